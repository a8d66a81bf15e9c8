import { UnavailableError } from "../base/mod.ts";
import type { Catalogue } from "../core/catalogue/mod.ts";
import type { ReadState } from "../core/raft/mod.ts";

/** Reads that wait for their index; more are refused. */
const READS_MAX = 4_096;
/** Rounds on the way at once; reads that come meanwhile share the next one. */
const ROUNDS_MAX = 4;
/**
 * Ticks without an answer after which a round is asked for once more: an answer that a change of leaders lost never comes. One
 * that only takes longer, as between far nodes, still counts.
 */
const RESEND_TICKS = 10;

interface Read {
  readonly deadlineMs: number;
  readonly serve: (catalogue: Catalogue) => void;
  readonly reject: (reason: unknown) => void;
}

interface Round {
  reads: readonly Read[];
  askedAtTick: number;
  isLate: boolean;
  /** Undefined until the leader has answered. */
  index: number | undefined;
}

/** What reads need of the group. */
export interface ReadsParts {
  /** Asks Raft for an index under a context; false = not now. */
  readonly ask: (context: string) => boolean;
  /** Unlike that of any other node or life: an answer to somebody else's question must not serve here. */
  readonly contextPrefix: string;
}

/**
 * Linearizable reads by read index (Raft thesis, 6.4): whatever comes within one turn shares a round to the quorum, and is
 * served from the own catalogue once that has applied what was committed when the round began.
 */
export class Reads {
  readonly #parts: ReadsParts;
  #waiting: Read[] = [];
  /** By context; a round that was asked for again has several, and the first answer to any of them serves it. */
  readonly #rounds = new Map<string, Round>();
  #contexts = 0;
  #tick = 0;

  constructor(parts: ReadsParts) {
    this.#parts = parts;
  }

  /** Takes a read; it is asked for by the next {@link flush}. */
  add<T>(look: (catalogue: Catalogue) => T, deadlineMs: number): Promise<T> {
    let count = this.#waiting.length;
    for (const { reads } of this.#open()) count += reads.length;
    if (count >= READS_MAX) {
      const message = `Cannot read the catalogue: ${READS_MAX} reads wait already`;
      return Promise.reject(new UnavailableError("queue_full", message));
    }
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const serve = (catalogue: Catalogue) => {
      try {
        resolve(look(catalogue));
      } catch (error) {
        reject(error); // The caller's own function failed: its business, and nobody else's.
      }
    };
    this.#waiting.push({ deadlineMs, serve, reject });
    return promise;
  }

  /** Asks for what waits. */
  flush(): void {
    for (const round of this.#open()) if (round.isLate) this.#ask(round);
    if (this.#waiting.length === 0 || this.#open().size >= ROUNDS_MAX) return;
    const reads = this.#waiting;
    const round = { reads, askedAtTick: this.#tick, isLate: false, index: undefined };
    if (this.#ask(round)) this.#waiting = [];
  }

  #ask(round: Round): boolean {
    // A context is never used twice, so that an answer to an earlier question can't pass for one to a later.
    const context = `${this.#parts.contextPrefix}-${++this.#contexts}`;
    if (!this.#parts.ask(context)) return false;
    round.askedAtTick = this.#tick;
    round.isLate = false;
    this.#rounds.set(context, round);
    return true;
  }

  /** Each once. */
  #open(): ReadonlySet<Round> {
    return new Set(this.#rounds.values());
  }

  #close(round: Round): void {
    for (const [context, its] of this.#rounds) if (its === round) this.#rounds.delete(context);
  }

  /** The leader answered. */
  onReadState(state: ReadState): void {
    const round = this.#rounds.get(state.context);
    // Of several answers the first has the lowest index; each was asked for after the reads had come.
    if (round !== undefined) round.index ??= state.index;
  }

  /** Serves what may be read now. */
  serve(catalogue: Catalogue): void {
    for (const round of this.#open()) {
      const { index, reads } = round;
      if (index === undefined || index > catalogue.appliedIndex) continue;
      this.#close(round);
      for (const read of reads) read.serve(catalogue);
    }
  }

  /** The leader who was asked may not be one any more. */
  askAgain(): void {
    for (const round of this.#open()) {
      if (round.index !== undefined) continue;
      this.#close(round);
      this.#waiting = [...round.reads, ...this.#waiting];
    }
  }

  /** Whether anything here waits for ticks. */
  get countsTicks(): boolean {
    return this.#waiting.length > 0 || this.#rounds.size > 0;
  }

  /** One unit of time passed. */
  onTick(nowMs: number): void {
    this.#tick++;
    const isOpen = (read: Read) => {
      if (nowMs < read.deadlineMs) return true;
      read.reject(noAnswer());
      return false;
    };
    this.#waiting = this.#waiting.filter(isOpen);
    for (const round of this.#open()) {
      round.reads = round.reads.filter(isOpen);
      round.isLate = round.index === undefined && this.#tick - round.askedAtTick >= RESEND_TICKS;
      if (round.reads.length === 0) this.#close(round);
    }
  }

  /** Ends all that waits. */
  failAll(reason: () => unknown): void {
    const reads = [...this.#open()].flatMap((round) => round.reads);
    for (const read of [...reads, ...this.#waiting]) read.reject(reason());
    this.#rounds.clear();
    this.#waiting = [];
  }
}

function noAnswer(): UnavailableError {
  const message = "No quorum of the cluster's voters answered in time: " +
    "the catalogue can't be read consistently";
  return new UnavailableError("no_quorum", message, { retryAfterMs: 1_000 });
}
