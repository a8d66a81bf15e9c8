/** How a group keeps time and saves itself. */
export interface GroupTiming {
  /** Milliseconds between two ticks. Default 50, so that an election takes 0.5 to 1 s without a leader. */
  readonly tickMs: number;
  /** See RaftOptions. Default 10. */
  readonly electionTicks: number;
  /**
   * See RaftOptions. Default 5: a lost heartbeat is sent again by QUIC within a few round trips, so two to four of them in an
   * election's time are enough, and each costs three to four packets with what acknowledges it. A death is found by the
   * heartbeat that stays away, no later than by probes.
   */
  readonly heartbeatTicks: number;
  /** See RaftOptions. Default 8: two seconds. */
  readonly learnerHeartbeats: number;
  /** Applied entries after which the catalogue is saved. Default 30,000: saving holds up commits, a restart applies those. */
  readonly snapshotEntries: number;
  /** Applied bytes after which the catalogue is saved. Default 16 MiB. */
  readonly snapshotBytes: number;
  /** Entries kept behind a snapshot, so that a follower a little behind needs none. Default 5,000. */
  readonly trailingEntries: number;
}

/** The product's choices; see {@link GroupTiming} for each. */
export const GROUP_TIMING: GroupTiming = {
  tickMs: 50,
  electionTicks: 10,
  heartbeatTicks: 5,
  learnerHeartbeats: 8,
  snapshotEntries: 30_000,
  snapshotBytes: 16 * 1024 * 1024,
  trailingEntries: 5_000,
};

/**
 * Ticks that are made up for after the event loop was late. More are forgotten: a node that stood still has heard nobody,
 * and ticking through its absence would make it doubt a leader whose messages lie in its own socket.
 */
export const TICKS_CAUGHT_UP_MAX = 3;

/** Ticks on a grid of its own, each in a turn of its own, so that what arrived meanwhile is taken between them. */
export class TickGrid {
  readonly #tickMs: number;
  #dueMs: number;

  constructor(tickMs: number, nowMs: number) {
    this.#tickMs = tickMs;
    this.#dueMs = nowMs + tickMs;
  }

  /** A tick happens now; milliseconds until the next but `ticks - 1`, 0 when it is late already. */
  next(nowMs: number, ticks = 1): number {
    this.#dueMs += this.#tickMs * ticks;
    const earliestMs = nowMs - (TICKS_CAUGHT_UP_MAX - 1) * this.#tickMs;
    if (this.#dueMs < earliestMs) this.#dueMs = earliestMs;
    return Math.max(0, this.#dueMs - nowMs);
  }
}
