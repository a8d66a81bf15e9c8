import type { Clock } from "../ports/mod.ts";

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

/**
 * Ticks on a grid of its own, counted by the clock, so that nobody need wake up for one that does nothing. After a stall, which
 * shows as a wake-up that is late, no more than {@link TICKS_CAUGHT_UP_MAX} count.
 */
export class TickGrid {
  readonly #tickMs: number;
  /** When the last tick was that is taken. */
  #takenMs: number;
  #wakeMs: number;

  constructor(tickMs: number, nowMs: number) {
    this.#tickMs = tickMs;
    this.#takenMs = nowMs;
    this.#wakeMs = nowMs + tickMs;
  }

  /** Ticks that have passed and are not taken. */
  passed(nowMs: number): number {
    const heldMs = TICKS_CAUGHT_UP_MAX * this.#tickMs;
    if (nowMs - this.#wakeMs >= heldMs) {
      this.#takenMs = Math.max(this.#takenMs, nowMs - heldMs);
      this.#wakeMs = nowMs;
    }
    return Math.floor((nowMs - this.#takenMs) / this.#tickMs);
  }

  /** One of those that have passed is made. */
  take(): void {
    this.#takenMs += this.#tickMs;
  }

  /** What has passed and is not taken counts no more. */
  forget(nowMs: number): void {
    this.#takenMs = nowMs;
  }

  /** When so many ticks will have passed; the owner wakes up then, or sooner. */
  wakeAt(ticks: number): number {
    return this.#wakeMs = this.#takenMs + ticks * this.#tickMs;
  }
}

/** Longest sleep while no tick is due that does anything. */
const QUIET_TICKS_MAX = 100;

/** What a ticker needs of the group. */
export interface TickerParts {
  readonly clock: Pick<Clock, "monotonicMs" | "after">;
  readonly tickMs: number;
  /** Ticks until one of them does more than count, >= 1. */
  readonly untilDue: () => number;
  readonly leads: () => boolean;
  readonly tick: (nowMs: number) => void;
  /** Calls back in a turn of its own. */
  readonly wake: (take: () => void) => void;
}

/** Raft's time: wakes the group up for the ticks that do something, and counts the others by the clock. */
export class Ticker {
  readonly #parts: TickerParts;
  readonly #grid: TickGrid;
  #wake: { readonly atMs: number; cancel(): void } | undefined;

  constructor(parts: TickerParts) {
    this.#parts = parts;
    this.#grid = new TickGrid(parts.tickMs, parts.clock.monotonicMs());
  }

  /** Wakes up for the next tick that does something. Call it after each turn. */
  wakeInTime(): void {
    const { clock, untilDue, leads, wake } = this.#parts;
    // One early before a campaign: after a stall the leader's word may lie in the socket, and is taken up in between.
    const early = leads() ? 0 : 1;
    const atMs = this.#grid.wakeAt(Math.min(Math.max(1, untilDue() - early), QUIET_TICKS_MAX));
    if (this.#wake?.atMs === atMs) return;
    this.#wake?.cancel();
    const timer = clock.after(Math.max(0, atMs - clock.monotonicMs()), () => {
      this.#wake = undefined;
      wake(() => this.take({ due: true }));
    });
    this.#wake = { atMs, cancel: () => timer.cancel() };
  }

  /** Those that only count are made up for in any turn; one that is due comes after what arrived meanwhile, one in a turn. */
  take(options: { readonly due: boolean }): void {
    const { clock, untilDue, leads, tick } = this.#parts;
    const nowMs = clock.monotonicMs();
    const passed = this.#grid.passed(nowMs);
    for (let left = passed; left > 0; left--) {
      const isDue = untilDue() <= 1;
      if (isDue && !options.due) {
        // It slept past a campaign.
        if (left < passed && !leads()) this.#grid.forget(nowMs);
        return;
      }
      this.#grid.take();
      tick(nowMs);
      if (isDue) return;
    }
  }

  stop(): void {
    this.#wake?.cancel();
  }
}
