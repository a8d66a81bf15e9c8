import { invalidRequest, UnavailableError } from "../base/mod.ts";
import type { Applied, Outcome } from "../core/catalogue/mod.ts";
import {
  CATALOGUE_COMMAND_BYTES_MAX,
  type CatalogueCommand,
  type ChangeOrigin,
  encodeCommand,
  type RequestStamp,
} from "../protocol/mod.ts";

/** Proposals of this node that wait for their outcome; more are refused. */
const PROPOSALS_MAX = 4_096;
/**
 * Sequences of one session that may be open at once: as many outcomes as the catalogue remembers of a session, so that
 * none is forgotten before its request could be repeated.
 */
const SEQUENCES_MAX = 256;
/** Bytes proposed as one batch; the rest makes the next one. One command may go beyond. */
const BATCH_BYTES_MAX = 512 * 1024;
/** Ticks without an outcome after which a proposal that was sent to another node's log is sent once more. */
const RESEND_TICKS = 20;

/** How long a caller waits, and when it gives up by itself. */
export interface ProposeOptions {
  /** Milliseconds, default 10,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What proposals need of the group. */
export interface ProposalsParts {
  /** Hands commands to Raft; false = dropped, all of them. */
  readonly send: (batch: readonly Uint8Array[]) => boolean;
  readonly drawNonce: () => Uint8Array;
}

interface Pending {
  readonly command: CatalogueCommand;
  readonly origin: ChangeOrigin | undefined;
  readonly deadlineMs: number;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (reason: unknown) => void;
  readonly stopListening: () => void;
  /** Undefined until it has a place in a session. */
  stamped: { readonly request: RequestStamp; readonly bytes: Uint8Array } | undefined;
  sentAtTick: number;
  /** `sent`: in a log or on its way there, as far as known. */
  state: "due" | "sent";
  /** True once any attempt left: from then on it may be applied. */
  wasSent: boolean;
  /** Snapshots that had replaced the catalogue when it was first sent: one more may have hidden its outcome. */
  restores: number;
}

interface Opening {
  readonly nonce: Uint8Array;
  readonly bytes: Uint8Array;
  sentAtTick: number;
  state: "due" | "sent";
}

/**
 * This node as a client of the log (Raft thesis, 6.3): each command is stamped with a session and a sequence and proposed
 * under that stamp until its outcome is known, so that it is applied once however often it was sent.
 */
export class Proposals {
  readonly #parts: ProposalsParts;
  /** Not stamped yet, oldest first. */
  #unstamped: Pending[] = [];
  /** By sequence of the present session, rising: a Map keeps the order of insertion. */
  readonly #bySequence = new Map<number, Pending>();
  /** Of sessions that are gone, until their entries come by. */
  readonly #orphans = new Map<string, Pending>();
  #session: number | undefined;
  #opening: Opening | undefined;
  #sequence = 0;
  #tick = 0;
  #restores = 0;
  /** Something may be due: keeps the walk over all that waits off the path of a commit. */
  #hasDue = false;

  constructor(parts: ProposalsParts) {
    this.#parts = parts;
  }

  /** Proposals without an outcome. */
  get count(): number {
    return this.#unstamped.length + this.#bySequence.size + this.#orphans.size;
  }

  /** Takes a command; it is sent by the next {@link flush}. See `Group.propose` for what it throws. */
  add(
    command: CatalogueCommand,
    limits: {
      readonly deadlineMs: number;
      readonly signal: AbortSignal | undefined;
      readonly origin?: ChangeOrigin | undefined;
    },
  ): Promise<Outcome> {
    const { deadlineMs, signal, origin } = limits;
    if (this.count >= PROPOSALS_MAX) {
      return Promise.reject(
        new UnavailableError("queue_full", `Cannot propose: ${PROPOSALS_MAX} changes wait already`),
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    const onAbort = () => {
      this.#remove(pending);
      reject(signal?.reason);
    };
    const pending: Pending = {
      command,
      origin,
      deadlineMs,
      resolve,
      reject,
      stopListening: () => signal?.removeEventListener("abort", onAbort),
      stamped: undefined,
      sentAtTick: 0,
      state: "due",
      wasSent: false,
      restores: 0,
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#unstamped.push(pending);
    this.#hasDue = true;
    return promise;
  }

  /** Sends what is due. */
  flush(): void {
    if (!this.#hasDue || this.count === 0) return;
    if (this.#session === undefined) return this.#openSession();
    this.#stampWaiting(this.#session);
    let batch: Pending[] = [];
    let bytes = 0;
    for (const pending of [...this.#orphans.values(), ...this.#bySequence.values()]) {
      if (pending.state !== "due" || pending.stamped === undefined) continue;
      if (bytes > BATCH_BYTES_MAX) {
        if (!this.#send(batch)) return;
        [batch, bytes] = [[], 0];
      }
      batch.push(pending);
      bytes += pending.stamped.bytes.length;
    }
    if (batch.length > 0 && !this.#send(batch)) return;
    this.#hasDue = this.#unstamped.length > 0;
  }

  /** An entry of the log was applied. */
  onApplied(applied: Applied): void {
    if (applied.kind === "halted" || applied.command === undefined) return;
    const { command: { command, request }, outcome } = applied;
    if (request !== undefined) return this.#onOutcome(request, outcome);
    if (command.kind === "open_session" && outcome.kind === "applied") {
      this.#onSessionOpened(command.nonce, outcome.revision);
    }
  }

  /** A snapshot took the catalogue past entries that this node never saw. */
  onRestored(): void {
    this.#restores++;
    this.resendAll();
  }

  /** Whoever had the proposals may have lost them: they are sent again under their old stamps. */
  resendAll(): void {
    for (const pending of this.#bySequence.values()) pending.state = "due";
    for (const pending of this.#orphans.values()) pending.state = "due";
    if (this.#opening !== undefined) this.#opening.state = "due";
    this.#hasDue = true;
  }

  /** Whether anything here waits for ticks. */
  get countsTicks(): boolean {
    return this.count > 0 || this.#opening !== undefined;
  }

  /** One unit of time passed. A leader can't lose what it has in its own log; elsewhere a lost message is sent again. */
  onTick(nowMs: number, options: { readonly resends: boolean }): void {
    this.#tick++;
    this.#hasDue = true;
    for (const pending of this.#all()) {
      if (nowMs >= pending.deadlineMs) this.#giveUp(pending);
      else if (options.resends) this.#resendLate(pending);
    }
    if (this.#opening !== undefined && options.resends) this.#resendLate(this.#opening);
    if (this.count === 0) this.#opening = undefined;
  }

  /** Ends all that waits. */
  failAll(reason: () => unknown): void {
    for (const pending of this.#all()) {
      this.#remove(pending);
      pending.reject(reason());
    }
  }

  /** Nearly always there are none, and this is asked for each entry that any node proposed. */
  #findOrphan(request: RequestStamp): Pending | undefined {
    return this.#orphans.size === 0 ? undefined : this.#orphans.get(keyOf(request));
  }

  #all(): readonly Pending[] {
    return [...this.#orphans.values(), ...this.#bySequence.values(), ...this.#unstamped];
  }

  #openSession(): void {
    if (this.#opening === undefined) {
      const nonce = this.#parts.drawNonce();
      const command = { kind: "open_session", nonce } as const;
      const bytes = encodeCommand({ command, request: undefined });
      this.#opening = { nonce, bytes, sentAtTick: 0, state: "due" };
    }
    const opening = this.#opening;
    if (opening.state === "due" && this.#parts.send([opening.bytes])) {
      opening.state = "sent";
      opening.sentAtTick = this.#tick;
    }
  }

  #onSessionOpened(nonce: Uint8Array, session: number): void {
    const wanted = this.#opening?.nonce;
    if (wanted === undefined || !nonce.every((byte, index) => byte === wanted[index])) return;
    this.#opening = undefined;
    this.#session = session;
    this.#sequence = 0;
    this.#hasDue = true;
  }

  #stampWaiting(session: number): void {
    let taken = 0;
    for (const pending of this.#unstamped) {
      const [oldest] = this.#bySequence.keys();
      const firstUnanswered = oldest ?? this.#sequence + 1;
      if (this.#sequence + 1 - firstUnanswered >= SEQUENCES_MAX) break;
      taken++;
      const sequence = ++this.#sequence;
      const request = { session, sequence, firstUnanswered };
      const { command, origin } = pending;
      const bytes = encodeCommand({ command, request, ...(origin && { origin }) });
      if (bytes.length > CATALOGUE_COMMAND_BYTES_MAX) {
        const message = `Cannot change the catalogue: the change takes ${bytes.length} bytes, ` +
          `at most ${CATALOGUE_COMMAND_BYTES_MAX} are allowed`;
        pending.stopListening();
        pending.reject(invalidRequest(message));
        continue;
      }
      pending.stamped = { request, bytes };
      this.#bySequence.set(sequence, pending);
    }
    this.#unstamped.splice(0, taken);
  }

  #send(batch: readonly Pending[]): boolean {
    if (
      !this.#parts.send(
        batch.flatMap(({ stamped }) => stamped === undefined ? [] : [stamped.bytes]),
      )
    ) {
      return false;
    }
    for (const pending of batch) {
      if (!pending.wasSent) pending.restores = this.#restores;
      pending.state = "sent";
      pending.wasSent = true;
      pending.sentAtTick = this.#tick;
    }
    return true;
  }

  #resendLate(sent: { sentAtTick: number; state: "due" | "sent" }): void {
    if (sent.state === "sent" && this.#tick - sent.sentAtTick >= RESEND_TICKS) sent.state = "due";
  }

  #onOutcome(request: RequestStamp, outcome: Outcome): void {
    const pending = request.session === this.#session
      ? this.#bySequence.get(request.sequence)
      : this.#findOrphan(request);
    const isForgotten = outcome.kind === "refused" &&
      (outcome.reason === "session_unknown" || outcome.reason === "request_stale");
    const isPresent = request.session === this.#session;
    if (isForgotten && isPresent && outcome.reason === "session_unknown") this.#leaveSession();
    if (pending === undefined) return;
    if (!isForgotten) {
      this.#remove(pending);
      pending.resolve(outcome);
      // Its end may have made room for those behind it.
      this.#hasDue ||= this.#unstamped.length > 0;
      return;
    }
    this.#onForgotten(pending);
  }

  /**
   * The catalogue no longer knows what became of a request. Had this node applied it, it would have its outcome by now,
   * and no entry under the old stamp can be applied any more; so it may go under another. Unless a snapshot hid entries.
   */
  #onForgotten(pending: Pending): void {
    this.#remove(pending);
    if (pending.restores !== this.#restores) {
      const message = "Cannot tell what became of the change: its session is gone and this node " +
        "was brought up to date by a snapshot meanwhile; the outcome is unknown";
      pending.reject(new UnavailableError("no_quorum", message));
      return;
    }
    pending.stamped = undefined;
    pending.state = "due";
    pending.wasSent = false;
    this.#unstamped.push(pending);
    this.#hasDue = true;
  }

  /** The session was evicted: what was never sent goes under the next one, the rest waits for its entry's refusal. */
  #leaveSession(): void {
    this.#session = undefined;
    const early: Pending[] = [];
    for (const pending of this.#bySequence.values()) {
      if (pending.stamped === undefined) continue;
      if (pending.wasSent) this.#orphans.set(keyOf(pending.stamped.request), pending);
      else {
        pending.stamped = undefined;
        early.push(pending);
      }
    }
    this.#bySequence.clear();
    this.#unstamped = [...early, ...this.#unstamped];
    this.#hasDue = true;
  }

  #giveUp(pending: Pending): void {
    this.#remove(pending);
    const known = pending.wasSent
      ? "the change was proposed and may still be applied; its outcome is unknown"
      : "the change was not proposed and nothing was changed";
    const message = `No quorum of the cluster's voters answered in time: ${known}`;
    pending.reject(new UnavailableError("no_quorum", message, { retryAfterMs: 1_000 }));
  }

  #remove(pending: Pending): void {
    pending.stopListening();
    const { stamped } = pending;
    if (stamped === undefined) {
      const at = this.#unstamped.indexOf(pending);
      if (at >= 0) this.#unstamped.splice(at, 1);
      return;
    }
    const { request } = stamped;
    if (this.#bySequence.get(request.sequence) === pending) {
      this.#bySequence.delete(request.sequence);
    } else if (this.#orphans.get(keyOf(request)) === pending) this.#orphans.delete(keyOf(request));
  }
}

function keyOf(request: RequestStamp): string {
  return `${request.session}/${request.sequence}`;
}
