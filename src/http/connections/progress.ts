import type { ConnectionLimits } from "./limits.ts";

/** What a look at a connection tells. */
export interface ConnectionFacts {
  /** Requests whose answer is not over. */
  readonly openRequests: number;
  /** Requests so far. */
  readonly requests: number;
  /** Somebody waits for more of a body. */
  readonly awaitsBody: boolean;
  /** The rest of a body that nobody reads is thrown away. */
  readonly discards: boolean;
  readonly bytesRead: number;
  /** Bytes of answers that the client has not taken. */
  readonly bytesPending: number;
  /** Bytes of answers that it has taken. */
  readonly bytesTaken: number;
}

/** Why a connection is ended. */
export type Overdue =
  | "headers_late"
  | "body_stalled"
  | "body_unread"
  | "idle"
  | "reader_stuck";

/** What a connection waits for, and how far it is: while both stay the same, its time runs. */
interface Wait {
  readonly overdue: Overdue;
  readonly limitMs: number;
  readonly mark: number;
}

/** Tells when a connection has kept its place for too long without getting on. Times are in monotonic milliseconds. */
export class ConnectionProgress {
  readonly #limits: ConnectionLimits;
  #wait: Wait | undefined;
  #sinceMs: number;
  #bytesReadBefore = 0;
  #requestsBefore = 0;

  constructor(limits: ConnectionLimits, nowMs: number) {
    this.#limits = limits;
    this.#sinceMs = nowMs;
  }

  /** Milliseconds without a request, undefined while there is one. */
  idleMs(nowMs: number): number | undefined {
    return this.#wait?.overdue === "idle" ? nowMs - this.#sinceMs : undefined;
  }

  /** To be called about once a second. */
  look(facts: ConnectionFacts, nowMs: number): Overdue | undefined {
    const wait = this.#waitOf(facts);
    const before = this.#wait;
    if (before?.overdue !== wait?.overdue || before?.mark !== wait?.mark) this.#sinceMs = nowMs;
    this.#wait = wait;
    if (wait === undefined || nowMs - this.#sinceMs < wait.limitMs) return undefined;
    return wait.overdue;
  }

  #waitOf(facts: ConnectionFacts): Wait | undefined {
    const limits = this.#limits;
    if (facts.bytesPending > 0) {
      return { overdue: "reader_stuck", limitMs: limits.readerStallMs, mark: facts.bytesTaken };
    }
    if (facts.awaitsBody) {
      return { overdue: "body_stalled", limitMs: limits.bodyStallMs, mark: facts.bytesRead };
    }
    if (facts.openRequests > 0) return undefined;
    if (facts.discards) {
      return { overdue: "body_unread", limitMs: limits.discardMs, mark: facts.requests };
    }
    if (facts.requests !== this.#requestsBefore) {
      this.#requestsBefore = facts.requests;
      this.#bytesReadBefore = facts.bytesRead;
    }
    return facts.bytesRead === this.#bytesReadBefore
      ? { overdue: "idle", limitMs: limits.idleTimeoutMs, mark: facts.requests }
      : { overdue: "headers_late", limitMs: limits.headersTimeoutMs, mark: facts.requests };
  }
}
