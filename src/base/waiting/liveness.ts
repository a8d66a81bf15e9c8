/** The time and the timers that a watch lives on; it has none of its own. */
export interface WatchClock {
  /** Milliseconds that never go back. */
  monotonicMs(): number;
  after(delayMs: number, run: () => void): { cancel(): void };
}

/** A check that comes so much too late tells of this process's own stall, in which nobody could be heard. Milliseconds. */
const OWN_STALL_MS = 250;
/** What a peer's longest pause is taken of: this and the span before it. Milliseconds. */
const PULSE_SPAN_MS = 5_000;

/** What silence of a doubted peer is borne, and for how long it stays doubted. Milliseconds. */
export interface Doubt {
  /** In any case. */
  readonly limitMs: number;
  /** Where the peer paused for half as long at most of late: one that pauses longer has twice that, up to the limit. */
  readonly leastMs: number;
  readonly forMs: number;
}

/** Calls back once a peer was silent for too long. Counts only while it is told to. */
export class SilenceWatch {
  readonly #clock: WatchClock;
  #limitMs: number;
  readonly #onSilent: () => void;
  #heardMs = 0;
  readonly #pulse = new Pulse();
  #doubt: (Doubt & { readonly untilMs: number }) | undefined;
  /** Goes on through a pause: one is made for every message elsewhere, and a timer costs more than all else here. */
  #timer: { cancel(): void } | undefined;
  #dueMs = 0;
  #isPaused = false;
  #isStopped = false;

  constructor(
    clock: WatchClock,
    options: { readonly limitMs: number; readonly onSilent: () => void },
  ) {
    this.#clock = clock;
    this.#limitMs = options.limitMs;
    this.#onSilent = options.onSilent;
    this.resume();
  }

  /** From now on so much silence is borne, less from the next {@link resume} on; milliseconds. */
  bear(limitMs: number): void {
    this.#limitMs = limitMs;
  }

  heard(): void {
    const nowMs = this.#clock.monotonicMs();
    if (!this.#isPaused) this.#pulse.paused(nowMs - this.#heardMs, nowMs);
    this.#heardMs = nowMs;
  }

  /**
   * Others doubt the peer: for a while only so much silence is borne, counted from its last word. A word does not end that,
   * since what a dead node said last may still be on its way.
   */
  doubt(doubt: Doubt): void {
    const nowMs = this.#clock.monotonicMs();
    this.#doubt = { ...doubt, untilMs: nowMs + doubt.forMs };
    if (this.#isPaused || this.#timer === undefined) return;
    this.#timer.cancel();
    this.#check(Math.max(0, this.#heardMs + this.#patienceMs - nowMs));
  }

  /** Whoever does not listen can't blame the other for silence. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (this.#isStopped || !this.#isPaused && this.#timer !== undefined) return;
    this.#isPaused = false;
    this.#heardMs = this.#clock.monotonicMs();
    const patienceMs = this.#patienceMs;
    if (this.#timer !== undefined && this.#dueMs <= this.#heardMs + patienceMs) return;
    this.#timer?.cancel();
    this.#check(patienceMs);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  get #patienceMs(): number {
    const doubt = this.#doubt;
    if (doubt === undefined || this.#clock.monotonicMs() >= doubt.untilMs) return this.#limitMs;
    const usualMs = Math.max(doubt.leastMs, 2 * this.#pulse.longestMs);
    return Math.min(this.#limitMs, doubt.limitMs, usualMs);
  }

  #check(delayMs: number): void {
    const dueMs = this.#dueMs = this.#clock.monotonicMs() + delayMs;
    this.#timer = this.#clock.after(delayMs, () => {
      this.#timer = undefined;
      if (this.#isPaused) return;
      const nowMs = this.#clock.monotonicMs();
      // What came meanwhile may still wait to be read: one more look before anyone is given up.
      if (nowMs - dueMs > OWN_STALL_MS) return this.#check(this.#patienceMs / 2);
      const leftMs = this.#heardMs + this.#patienceMs - nowMs;
      // A timer may be early by a fraction of a millisecond.
      if (leftMs > 0) return this.#check(Math.max(1, leftMs));
      this.stop();
      this.#onSilent();
    });
  }
}

/** The longest pause that a peer made between two words of late. */
class Pulse {
  #spanEndMs = 0;
  #beforeMs = 0;
  #nowMs = 0;

  get longestMs(): number {
    return Math.max(this.#beforeMs, this.#nowMs);
  }

  paused(pauseMs: number, atMs: number): void {
    if (atMs >= this.#spanEndMs) {
      this.#spanEndMs = atMs + PULSE_SPAN_MS;
      this.#beforeMs = this.#nowMs;
      this.#nowMs = 0;
    }
    this.#nowMs = Math.max(this.#nowMs, pauseMs);
  }
}

/** Says something whenever nothing else was said for a while: that this side lives, or a question whether the other does. */
export class Heartbeat {
  readonly #clock: WatchClock;
  readonly #everyMs: number;
  readonly #send: () => void;
  #spokeMs: number;
  #timer: { cancel(): void };

  constructor(clock: WatchClock, options: { readonly everyMs: number; readonly send: () => void }) {
    this.#clock = clock;
    this.#everyMs = options.everyMs;
    this.#send = options.send;
    this.#spokeMs = clock.monotonicMs();
    this.#timer = this.#next(this.#everyMs);
  }

  /** Something else was said. */
  spoke(): void {
    this.#spokeMs = this.#clock.monotonicMs();
  }

  stop(): void {
    this.#timer.cancel();
  }

  #next(delayMs: number): { cancel(): void } {
    return this.#clock.after(delayMs, () => {
      const leftMs = this.#spokeMs + this.#everyMs - this.#clock.monotonicMs();
      // A timer may be early by a fraction of a millisecond.
      this.#timer = this.#next(leftMs > 1 ? leftMs : this.#everyMs);
      if (leftMs > 1) return;
      this.spoke();
      this.#send();
    });
  }
}
