import type { NodeId } from "../base/mod.ts";
import type { Clock } from "../ports/mod.ts";
import type { RaftWireMessage } from "../protocol/mod.ts";

/**
 * How long word of a commit may wait for the next append to the same follower, which says it too. Without the wait every
 * commit costs each follower a second message and a second answer; with it, a follower that asked for nothing learns of
 * the last commit of a burst this much later. Milliseconds.
 */
const NOTICE_DELAY_MS = 2;
/** Ticks for which a follower that proposed or read through this node is told of commits at once: it waits for them. */
const EAGER_TICKS = 4;

/** What an outbox needs of the group. */
export interface OutboxParts {
  readonly clock: Pick<Clock, "after">;
  readonly send: (to: NodeId, messages: readonly RaftWireMessage[]) => void;
}

/** Messages of one turn, by peer; each peer's leave together. */
export class Outbox {
  readonly #parts: OutboxParts;
  readonly #ready = new Map<NodeId, RaftWireMessage[]>();
  /** Appends without entries, which the next append to the same peer makes needless. */
  readonly #notices = new Map<NodeId, RaftWireMessage>();
  readonly #eagerUntilTick = new Map<NodeId, number>();
  #tick = 0;
  #timer: { cancel(): void } | undefined;

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  post(message: RaftWireMessage): void {
    const { to } = message;
    if (message.kind === "append_request") {
      // Dropped, not sent: Raft takes a lost message for granted, and this one says all that the older did.
      this.#notices.delete(to);
      if (message.entries.length === 0 && (this.#eagerUntilTick.get(to) ?? -1) < this.#tick) {
        this.#notices.set(to, message);
        return;
      }
    }
    const queued = this.#ready.get(to);
    if (queued === undefined) this.#ready.set(to, [message]);
    else queued.push(message);
  }

  /** A peer asked for something that ends with a commit. */
  onAsked(peer: NodeId): void {
    this.#eagerUntilTick.set(peer, this.#tick + EAGER_TICKS);
  }

  /** Whether anything here waits for ticks. */
  get countsTicks(): boolean {
    return this.#eagerUntilTick.size > 0;
  }

  onTick(): void {
    this.#tick++;
    for (const [peer, tick] of this.#eagerUntilTick) {
      if (tick < this.#tick) this.#eagerUntilTick.delete(peer);
    }
  }

  /** Sends what the turn left. */
  flush(): void {
    for (const [to, messages] of this.#ready) this.#parts.send(to, messages);
    this.#ready.clear();
    if (this.#notices.size === 0 || this.#timer !== undefined) return;
    this.#timer = this.#parts.clock.after(NOTICE_DELAY_MS, () => {
      this.#timer = undefined;
      for (const [to, notice] of this.#notices) this.#parts.send(to, [notice]);
      this.#notices.clear();
    });
  }

  /** Drops everything. */
  clear(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#ready.clear();
    this.#notices.clear();
  }
}
