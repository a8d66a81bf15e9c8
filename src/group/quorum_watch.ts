import { BoundedMap, type NodeId, UnavailableError } from "../base/mod.ts";
import type { Catalogue } from "../core/catalogue/mod.ts";
import { couldDecide } from "../core/voting/mod.ts";
import type { Clock, Consistency } from "../ports/mod.ts";
import type { GroupConfiguration } from "../protocol/mod.ts";

/** How long one question to the quorum may wait. Milliseconds. */
const QUESTION_TIMEOUT_MS = 2_000;
/** Pause between questions that failed at once. Milliseconds. */
const ASK_AGAIN_MS = 250;
/** How long nobody must have answered before changes don't wait any more: elections of a second or two pass unnoticed. */
const LOST_AFTER_MS = 3_000;
/** The same where those that are left could not even elect anybody. Milliseconds: a voter may only have been slow. */
const HOPELESS_AFTER_MS = 500;
/**
 * Whoever was heard of in this time is there, whatever is guessed: far nodes are doubted again and again, and a quorum of them
 * takes longer than that to answer. Milliseconds; two of the leader's heartbeats.
 */
const HEARD_LATELY_MS = 500;
/** Nodes that are remembered to have been heard; voters are fewer. */
const VOTERS_HEARD_MAX = 64;

/** What a read came to, and how much it may have missed. */
export interface Reading<T> {
  readonly value: T;
  readonly consistency: Consistency;
}

/** What the watch works with. */
export interface QuorumWatchParts {
  /** A linearizable read. @throws UnavailableError when it can't be had. */
  readonly read: <T>(
    look: (catalogue: Catalogue) => T,
    options: { readonly timeoutMs: number },
  ) => Promise<T>;
  /** As far as this node has applied the log. */
  readonly catalogue: () => Catalogue;
  readonly configuration: () => GroupConfiguration;
  /** Whether a voter may be there. A guess, which an answer refutes, or any other word of that voter. */
  readonly isThere: (voter: NodeId) => boolean;
  readonly clock: Pick<Clock, "monotonicMs" | "nowMs" | "after">;
}

/**
 * Knows for how long no quorum has answered, so that only the first who ask wait for it: the rest is told at once, until it
 * answers again, which this node keeps asking for.
 */
export class QuorumWatch {
  readonly #parts: QuorumWatchParts;
  /** When the oldest question was asked that may still be answered; undefined = none is open, or one was answered since. */
  #silent: { readonly sinceMs: number; readonly atMs: number } | undefined;
  #openCount = 0;
  /** When each node's last word came. */
  readonly #heardMs = new BoundedMap<NodeId, number>(VOTERS_HEARD_MAX);
  #isAsking = false;
  #state: "watching" | "out" | "closed" = "watching";
  #stopPause: () => void = () => {};

  constructor(parts: QuorumWatchParts) {
    this.#parts = parts;
  }

  /** Since when no quorum has answered, in milliseconds since the epoch; undefined = one does, or still may. */
  get lostAtMs(): number | undefined {
    if (this.#silent === undefined) return undefined;
    const { configuration, isThere, clock } = this.#parts;
    const heardAfterMs = clock.monotonicMs() - HEARD_LATELY_MS;
    const mayDecide = couldDecide(
      configuration(),
      (voter) => isThere(voter) || (this.#heardMs.get(voter) ?? -Infinity) > heardAfterMs,
    );
    const limitMs = mayDecide ? LOST_AFTER_MS : HOPELESS_AFTER_MS;
    if (this.#silenceMs() < limitMs) return undefined;
    return this.#silent.atMs;
  }

  /**
   * Looks at the catalogue once it holds all that was acknowledged before the call, or as far as this node knows it where
   * no quorum has answered for `waitMs`: counted from the first question that was not answered, so mostly at once.
   */
  async readOrStale<T>(
    look: (catalogue: Catalogue) => T,
    options: { readonly waitMs: number },
  ): Promise<Reading<T>> {
    const leftMs = options.waitMs - this.#silenceMs();
    if (leftMs > 0 && this.#state === "watching") {
      const value = await this.#within(leftMs, this.#ask(look));
      if (value !== undefined) return { value: value.read, consistency: "linearizable" };
    }
    return { value: look(this.#parts.catalogue()), consistency: "stale" };
  }

  /** A word of Raft came from this node. Cheap. */
  hear(from: NodeId): void {
    this.#heardMs.set(from, this.#parts.clock.monotonicMs());
  }

  /** There may be no quorum: it is asked for until one answers. Cheap. */
  doubt(): void {
    if (this.#isAsking || this.#state !== "watching") return;
    this.#isAsking = true;
    void this.#askOn();
  }

  /** Somebody was elected, by a quorum: whoever asks now waits for it again. */
  hope(): void {
    if (this.#silent === undefined) return;
    const { clock } = this.#parts;
    this.#silent = { sinceMs: clock.monotonicMs(), atMs: clock.nowMs() };
  }

  close(): void {
    this.#state = "closed";
    this.#stopPause();
  }

  #silenceMs(): number {
    if (this.#state === "out") return Infinity;
    return this.#silent === undefined ? 0 : this.#parts.clock.monotonicMs() - this.#silent.sinceMs;
  }

  /** Undefined when a quorum could not be had. @throws what `look` throws. */
  async #ask<T>(look: (catalogue: Catalogue) => T): Promise<{ readonly read: T } | undefined> {
    const { read, clock } = this.#parts;
    this.#silent ??= { sinceMs: clock.monotonicMs(), atMs: clock.nowMs() };
    this.#openCount++;
    try {
      const value = await read(look, { timeoutMs: QUESTION_TIMEOUT_MS });
      this.#answered();
      return { read: value };
    } catch (error) {
      if (!(error instanceof UnavailableError)) {
        this.#answered();
        throw error;
      }
      this.#failed(error);
      return undefined;
    } finally {
      this.#openCount--;
    }
  }

  /** Whoever is still waited for was asked when there was a quorum. */
  #answered(): void {
    const { clock } = this.#parts;
    this.#silent = this.#openCount > 1
      ? { sinceMs: clock.monotonicMs(), atMs: clock.nowMs() }
      : undefined;
  }

  #failed({ code }: UnavailableError): void {
    // A node that is fenced hears of no quorum until it is started again.
    if (code === "fenced" && this.#state === "watching") this.#state = "out";
    if (code === "no_quorum") this.doubt();
  }

  async #askOn(): Promise<void> {
    while (this.#state === "watching" && await this.#ask(() => true) === undefined) {
      await this.#pause();
    }
    this.#isAsking = false;
  }

  async #pause(): Promise<void> {
    if (this.#state !== "watching") return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#parts.clock.after(ASK_AGAIN_MS, resolve);
    this.#stopPause = resolve;
    await promise;
    timer.cancel();
  }

  /** What comes of it within so many milliseconds; undefined = nothing. */
  async #within<T>(waitMs: number, answer: Promise<T>): Promise<T | undefined> {
    const late = Promise.withResolvers<undefined>();
    const timer = this.#parts.clock.after(waitMs, () => late.resolve(undefined));
    // What comes too late, a failure included, is nobody's any more.
    answer.catch(() => {});
    try {
      return await Promise.race([answer, late.promise]);
    } finally {
      timer.cancel();
    }
  }
}
