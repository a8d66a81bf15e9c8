import type { Clock } from "../../ports/mod.ts";

/** A stream with nothing to say says so that often. Milliseconds. */
const BEAT_EVERY_MS = 500;
/** A check that comes so much too late tells of this process's own stall, in which nobody could be heard. Milliseconds. */
const OWN_STALL_MS = 250;

/** Calls back once a peer was silent for too long. Counts only while it is told to. */
export class SilenceWatch {
  readonly #clock: Pick<Clock, "after" | "monotonicMs">;
  #limitMs: number;
  readonly #onSilent: () => void;
  #heardMs = 0;
  #timer: { cancel(): void } | undefined;
  #isStopped = false;

  constructor(
    clock: Pick<Clock, "after" | "monotonicMs">,
    options: { readonly limitMs: number; readonly onSilent: () => void },
  ) {
    this.#clock = clock;
    this.#limitMs = options.limitMs;
    this.#onSilent = options.onSilent;
    this.resume();
  }

  /** From now on so much silence is borne; milliseconds, at least as much as before. */
  relax(limitMs: number): void {
    this.#limitMs = limitMs;
  }

  heard(): void {
    this.#heardMs = this.#clock.monotonicMs();
  }

  /** Whoever does not listen can't blame the other for silence. */
  pause(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  resume(): void {
    if (this.#isStopped || this.#timer !== undefined) return;
    this.heard();
    this.#check(this.#limitMs);
  }

  stop(): void {
    this.#isStopped = true;
    this.pause();
  }

  #check(delayMs: number): void {
    const dueMs = this.#clock.monotonicMs() + delayMs;
    this.#timer = this.#clock.after(delayMs, () => {
      const nowMs = this.#clock.monotonicMs();
      // What came meanwhile may still wait to be read: one more look before anyone is given up.
      if (nowMs - dueMs > OWN_STALL_MS) return this.#check(this.#limitMs / 2);
      const leftMs = this.#heardMs + this.#limitMs - nowMs;
      // A timer may be early by a fraction of a millisecond.
      if (leftMs > 0) return this.#check(Math.max(1, leftMs));
      this.stop();
      this.#onSilent();
    });
  }
}

/** Says that this side is alive whenever it said nothing else for a while. */
export class Heartbeat {
  readonly #clock: Pick<Clock, "after">;
  readonly #send: () => void;
  #hasSpoken = false;
  #timer: { cancel(): void };

  constructor(clock: Pick<Clock, "after">, send: () => void) {
    this.#clock = clock;
    this.#send = send;
    this.#timer = this.#next();
  }

  /** Something else was said. */
  spoke(): void {
    this.#hasSpoken = true;
  }

  stop(): void {
    this.#timer.cancel();
  }

  #next(): { cancel(): void } {
    return this.#clock.after(BEAT_EVERY_MS, () => {
      this.#timer = this.#next();
      if (!this.#hasSpoken) this.#send();
      this.#hasSpoken = false;
    });
  }
}
