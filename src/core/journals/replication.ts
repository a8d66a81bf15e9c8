import type { NodeId } from "../../base/mod.ts";
import {
  ACK_WAIT_MS,
  BENCH_MS,
  DOUBTED_ACK_WAIT_MS,
  TRIAL_GAP_MS,
  TRIAL_MS_MAX,
} from "./limits.ts";

/** Facts for a {@link JournalReplication}; times in milliseconds that never go back. */
export type ReplicationFact<Word> =
  /** Who may be the second node, the best first; and who is there, perhaps: nobody goes there, but whoever is there may wait. */
  | {
    readonly kind: "candidates";
    readonly peers: readonly NodeId[];
    readonly doubted: readonly NodeId[];
  }
  /** Something to be known by two nodes before anybody sees it; words are counted from 1. */
  | { readonly kind: "wrote"; readonly word: Word }
  | { readonly kind: "linked"; readonly peer: NodeId }
  /** The peer knows a batch. */
  | { readonly kind: "acked"; readonly batch: number }
  | { readonly kind: "lost"; readonly peer: NodeId }
  | { readonly kind: "looked" };

export type ReplicationOrder<Word> =
  /** Waits for `linked` or `lost`. */
  | { readonly kind: "link"; readonly peer: NodeId }
  | { readonly kind: "unlink"; readonly peer: NodeId }
  /** Everything that is known so far, on a new link. Waits for `acked`. */
  | { readonly kind: "send_all"; readonly batch: number }
  | { readonly kind: "send"; readonly batch: number; readonly words: readonly Word[] }
  /** Words up to this one may be seen. */
  | { readonly kind: "release"; readonly upTo: number };

/** The way to a second node. */
interface Link {
  readonly peer: NodeId;
  isOpen: boolean;
  knowsAll: boolean;
  /** It has let words wait: none waits for it before it has answered. Since when, in milliseconds. */
  readonly trialSinceMs: number | undefined;
}

/**
 * One node's words on their way to a second node, before anybody sees them. Where there is no second node, or none that
 * answers in time, words are seen all the same: a client waits for 2 s at most, once. Meanwhile those that were late
 * are tried again, one after the other, without anybody waiting.
 */
export class JournalReplication<Word> {
  #candidates: readonly NodeId[] = [];
  #doubted: readonly NodeId[] = [];
  /** Until when they are passed over. */
  readonly #benched = new Map<NodeId, number>();
  #link: Link | undefined;
  #lastTrialMs = -Infinity;
  /** How long the next trial may take: all that is kept may be much for a busy machine. */
  #trialMs = ACK_WAIT_MS;
  /** Not sent yet; empty while everything is to be sent. */
  #queue: Word[] = [];
  #written = 0;
  #released = 0;
  #batch = 0;
  /** What an answer of the peer would release. */
  #inFlight: { readonly batch: number; readonly upTo: number } | undefined;
  /** Since when something waits to be seen. */
  #waitsSinceMs = 0;

  /** The node that has everything which was released, and answers. */
  get partner(): NodeId | undefined {
    return this.#link?.knowsAll === true ? this.#link.peer : undefined;
  }

  get written(): number {
    return this.#written;
  }

  step(fact: ReplicationFact<Word>, nowMs: number): readonly ReplicationOrder<Word>[] {
    switch (fact.kind) {
      case "candidates":
        return this.#choosable(fact, nowMs);
      case "wrote":
        return this.#wrote(fact.word, nowMs);
      case "linked":
        return this.#linked(fact.peer);
      case "acked":
        return this.#acked(fact.batch, nowMs);
      case "lost":
        return this.#link?.peer === fact.peer ? this.#next(nowMs, { isBenched: true }) : [];
      case "looked":
        return this.#looked(nowMs);
    }
  }

  #choosable(
    { peers, doubted }: Extract<ReplicationFact<Word>, { kind: "candidates" }>,
    nowMs: number,
  ): readonly ReplicationOrder<Word>[] {
    this.#candidates = peers;
    this.#doubted = doubted;
    const link = this.#link;
    if (link === undefined) return this.#next(nowMs, { isBenched: false });
    if (peers.includes(link.peer)) return [];
    // What it says speaks louder than what is said of it: a doubt only leaves it less time for what waits.
    if (doubted.includes(link.peer)) return this.#probe(nowMs);
    const { peer } = link;
    return [{ kind: "unlink", peer }, ...this.#next(nowMs, { isBenched: false })];
  }

  #wrote(word: Word, nowMs: number): readonly ReplicationOrder<Word>[] {
    if (this.#released === this.#written && this.#inFlight === undefined) {
      this.#waitsSinceMs = nowMs;
    }
    this.#written++;
    if (this.#link === undefined) return this.#release(this.#written);
    const shown = this.#link.trialSinceMs === undefined ? [] : this.#release(this.#written);
    // What is there when the link opens is sent as a whole.
    if (!this.#link.isOpen) return shown;
    this.#queue.push(word);
    return [...shown, ...this.#inFlight === undefined ? this.#send() : []];
  }

  /** Nothing, to be acknowledged: so that it is known whether the second node lives before something waits for it. */
  #probe(nowMs: number): readonly ReplicationOrder<Word>[] {
    if (this.#link?.isOpen !== true || this.#inFlight !== undefined) return [];
    this.#waitsSinceMs = nowMs;
    this.#inFlight = { batch: ++this.#batch, upTo: this.#written };
    return [{ kind: "send", batch: this.#batch, words: [] }];
  }

  #linked(peer: NodeId): readonly ReplicationOrder<Word>[] {
    if (this.#link?.peer !== peer || this.#link.isOpen) return [];
    this.#link.isOpen = true;
    this.#queue = [];
    this.#inFlight = { batch: ++this.#batch, upTo: this.#written };
    return [{ kind: "send_all", batch: this.#batch }];
  }

  #send(): readonly ReplicationOrder<Word>[] {
    if (this.#queue.length === 0) return [];
    const words = this.#queue;
    this.#queue = [];
    this.#inFlight = { batch: ++this.#batch, upTo: this.#written };
    return [{ kind: "send", batch: this.#batch, words }];
  }

  #acked(batch: number, nowMs: number): readonly ReplicationOrder<Word>[] {
    if (this.#inFlight?.batch !== batch) return [];
    const { upTo } = this.#inFlight;
    this.#inFlight = undefined;
    this.#waitsSinceMs = nowMs;
    const link = this.#link;
    if (link !== undefined) {
      this.#trialMs = ACK_WAIT_MS;
      // What a trial has shown by itself meanwhile is on its way.
      const knowsAll = link.knowsAll || upTo >= this.#released;
      this.#link = { ...link, knowsAll, trialSinceMs: undefined };
    }
    return [...this.#release(upTo), ...this.#send()];
  }

  #looked(nowMs: number): readonly ReplicationOrder<Word>[] {
    const link = this.#link;
    const isProbed = this.#isDoubted && this.#inFlight !== undefined;
    const isWaiting = this.#released < this.#written || link?.trialSinceMs !== undefined ||
      isProbed;
    const isTrial = link?.trialSinceMs !== undefined;
    const sinceMs = link?.trialSinceMs ?? this.#waitsSinceMs;
    const waitMs = isTrial ? this.#trialMs : this.#isDoubted ? DOUBTED_ACK_WAIT_MS : ACK_WAIT_MS;
    const isLate = isWaiting && nowMs - sinceMs >= waitMs;
    if (isLate && isTrial) this.#trialMs = Math.min(TRIAL_MS_MAX, this.#trialMs * 2);
    if (!isLate) return link === undefined ? this.#next(nowMs, { isBenched: false }) : [];
    if (link === undefined) return this.#release(this.#written);
    const { peer } = link;
    // Whoever waits has waited for little yet, and another one may know all sooner than this one answers, if it lives.
    const isEarly = !isTrial && this.#isDoubted && nowMs - sinceMs < ACK_WAIT_MS;
    if (isEarly && this.#candidates.some((it) => !this.#benched.has(it))) {
      return [{ kind: "unlink", peer }, ...this.#next(nowMs, { isBenched: false })];
    }
    const shown = this.#release(this.#written);
    return [{ kind: "unlink", peer }, ...this.#next(nowMs, { isBenched: true }), ...shown];
  }

  get #isDoubted(): boolean {
    return this.#link !== undefined && this.#doubted.includes(this.#link.peer);
  }

  /** Another second node, or none. */
  #next(
    nowMs: number,
    { isBenched }: { readonly isBenched: boolean },
  ): readonly ReplicationOrder<Word>[] {
    const last = this.#link?.peer;
    if (last !== undefined && isBenched) this.#benched.set(last, nowMs + BENCH_MS);
    for (const [peer, untilMs] of this.#benched) {
      if (untilMs <= nowMs) this.#benched.delete(peer);
    }
    this.#link = undefined;
    this.#inFlight = undefined;
    this.#queue = [];
    // Where all are in doubt, one of them most likely lives, and bytes without a copy would be the worse choice.
    const peer = [...this.#candidates, ...this.#doubted].find((it) => !this.#benched.has(it));
    if (peer === undefined) return [...this.#release(this.#written), ...this.#try(nowMs)];
    this.#link = { peer, isOpen: false, knowsAll: false, trialSinceMs: undefined };
    return [{ kind: "link", peer }];
  }

  /** Of those that are passed over, the one that was late before all others. */
  #try(nowMs: number): readonly ReplicationOrder<Word>[] {
    if (nowMs - this.#lastTrialMs < TRIAL_GAP_MS) return [];
    const untilMs = (peer: NodeId) => this.#benched.get(peer) ?? 0;
    const [peer] = this.#candidates.toSorted((a, b) => untilMs(a) - untilMs(b));
    if (peer === undefined) return [];
    this.#lastTrialMs = nowMs;
    this.#link = { peer, isOpen: false, knowsAll: false, trialSinceMs: nowMs };
    return [{ kind: "link", peer }];
  }

  #release(upTo: number): readonly ReplicationOrder<Word>[] {
    if (upTo <= this.#released) return [];
    this.#released = upTo;
    return [{ kind: "release", upTo }];
  }
}
