import { assert, keepMap, type NodeId, type StateKeeper } from "../../base/mod.ts";

/** A read waiting for a quorum to confirm that its leader still leads. */
export interface PendingRead {
  /** Who asked; the leader itself or a follower. */
  readonly from: NodeId;
  readonly context: string;
  /** The commit index when it was asked. */
  readonly index: number;
}

/**
 * Reads and the heartbeat rounds that confirm them (paper, section 8; thesis, 6.4).
 *
 * Each read opens a round with a number never used before in this leadership, and acknowledgements are counted like
 * commit indexes: who echoed round 7 confirmed all up to 7. Reusing what the asker chose as the round's name would let
 * an old echo confirm a new read.
 */
export class ReadRounds {
  #lastRound = 0;
  #waiting: { readonly round: number; readonly read: PendingRead }[] = [];
  readonly #acknowledged = new Map<NodeId, number>();
  /** Reads that came before this leader committed an entry of its term: it can't know the commit index yet. */
  #early: PendingReadRequest[] = [];

  /** The newest round, 0 before the first; heartbeats carry it. */
  get lastRound(): number {
    return this.#lastRound;
  }

  get count(): number {
    return this.#waiting.length + this.#early.length;
  }

  /** Opens a round for a read. */
  add(read: PendingRead): void {
    this.#lastRound++;
    this.#waiting.push({ round: this.#lastRound, read });
  }

  postpone(request: PendingReadRequest): void {
    this.#early.push(request);
  }

  takeEarly(): readonly PendingReadRequest[] {
    const early = this.#early;
    this.#early = [];
    return early;
  }

  /** The highest round this node echoed. */
  acknowledgedBy(id: NodeId): number | undefined {
    return this.#acknowledged.get(id);
  }

  /** Counts an echo; echoes of rounds never opened are nonsense and count for nothing. */
  acknowledge(id: NodeId, round: number): void {
    if (round > this.#lastRound) return;
    this.#acknowledged.set(id, Math.max(round, this.#acknowledged.get(id) ?? 0));
  }

  keep(keeper: StateKeeper): void {
    this.#lastRound = keeper.keep(this.#lastRound);
    this.#waiting = keeper.keep(this.#waiting);
    keepMap(keeper, this.#acknowledged);
    this.#early = keeper.keep(this.#early);
  }

  /** A quorum confirmed all rounds up to `round`: takes the reads out. */
  confirm(round: number): readonly PendingRead[] {
    const last = this.#lastRound;
    assert(round <= last, "Only rounds that were opened are confirmed", { round, last });
    const confirmed = this.#waiting.filter((waiting) => waiting.round <= round);
    this.#waiting = this.#waiting.slice(confirmed.length);
    return confirmed.map((waiting) => waiting.read);
  }
}

/** A read as it was asked. */
export type PendingReadRequest = Pick<PendingRead, "from" | "context">;
