import type { NodeId } from "../base/mod.ts";
import type { Clock, PeerAddress } from "../ports/mod.ts";
import type { OwnStanding } from "../transport/mod.ts";

/** How long the same member is not asked again. */
const ASK_PAUSE_MS = 5_000;
/** Members whose word settles it at once; one of them may have been shut out itself, and this node not know. */
const VOICES_NEEDED = 2;
/** After this long with nobody else to be heard, one member's word settles it. */
const ALONE_MS = 20_000;
/** Members that are asked at once. */
const ASKING_MAX = 4;

/** Why a node does not belong any more. */
export type ShutOut = Extract<OwnStanding, "removed" | "revoked">;

/** What watching takes. */
export interface StandingWatchParts {
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Members besides this node, as far as it knows. */
  readonly othersCount: () => number;
  /** Whether a member talks to this node. */
  readonly isConnected: () => boolean;
  readonly ask: (member: PeerAddress) => Promise<OwnStanding>;
  readonly onShutOut: (standing: ShutOut) => void;
}

/**
 * Finds out that this node was taken out of its cluster while it could not hear of it. Members refuse its hello then, which alone
 * proves nothing: who is behind does so, too. So they are asked, each having asked a quorum.
 */
export class StandingWatch {
  readonly #parts: StandingWatchParts;
  readonly #askedMs = new Map<NodeId, number>();
  readonly #voices = new Map<NodeId, ShutOut>();
  #asking = 0;
  #firstMs = Infinity;
  #isOver = false;

  constructor(parts: StandingWatchParts) {
    this.#parts = parts;
  }

  /** A member has refused this node's hello as none of a member. */
  noteRefused(by: PeerAddress): void {
    const nowMs = this.#parts.clock.monotonicMs();
    const askedMs = this.#askedMs.get(by.nodeId) ?? -Infinity;
    if (this.#isOver || this.#asking >= ASKING_MAX || nowMs - askedMs < ASK_PAUSE_MS) return;
    this.#askedMs.set(by.nodeId, nowMs);
    void this.#ask(by);
  }

  close(): void {
    this.#isOver = true;
  }

  async #ask(member: PeerAddress): Promise<void> {
    this.#asking++;
    try {
      this.#hear(member.nodeId, await this.#parts.ask(member));
    } finally {
      this.#asking--;
    }
  }

  #hear(from: NodeId, standing: OwnStanding): void {
    if (this.#isOver || standing === "unknown") return;
    if (standing === "member" || this.#parts.isConnected()) {
      this.#voices.clear();
      this.#firstMs = Infinity;
      return;
    }
    const nowMs = this.#parts.clock.monotonicMs();
    this.#voices.set(from, standing);
    this.#firstMs = Math.min(this.#firstMs, nowMs);
    const needed = Math.min(VOICES_NEEDED, this.#parts.othersCount());
    if (this.#voices.size < needed && nowMs - this.#firstMs < ALONE_MS) return;
    this.#isOver = true;
    this.#parts.onShutOut(standing);
  }
}
