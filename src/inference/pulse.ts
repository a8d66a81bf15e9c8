import type { Clock } from "../ports/mod.ts";

/** How often a runner with work is asked whether it is there. */
export const PULSE_EVERY_MS = 5_000;
/**
 * Questions in a row without any word of the runner after which it counts as hung. Questions, not time: a node that was
 * itself stopped for an hour must first hear what was said meanwhile. Between two batches a runner answers at once, and
 * batches are decoded beside its event loop, so that even a slow model answers.
 */
export const SILENT_PULSES_MAX = 3;

/** Watches one runner while somebody waits for it. A stopped or hung process closes no pipe, so nobody else would notice. */
export class Pulse {
  readonly #clock: Pick<Clock, "after">;
  readonly #ask: () => void;
  readonly #onSilent: () => void;
  #timer: { cancel(): void } | undefined;
  #unanswered = 0;

  /** `ask` makes the runner say something; `onSilent` is called once when it says nothing. */
  constructor(parts: {
    readonly clock: Pick<Clock, "after">;
    readonly ask: () => void;
    readonly onSilent: () => void;
  }) {
    this.#clock = parts.clock;
    this.#ask = parts.ask;
    this.#onSilent = parts.onSilent;
  }

  /** Somebody waits; more often than once is fine. */
  start(): void {
    this.#timer ??= this.#clock.after(PULSE_EVERY_MS, () => this.#beat());
  }

  /** Nobody waits any more. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#unanswered = 0;
  }

  /** The runner said something, whatever it was. */
  heard(): void {
    this.#unanswered = 0;
  }

  #beat(): void {
    this.#timer = undefined;
    if (this.#unanswered >= SILENT_PULSES_MAX) return this.#onSilent();
    this.#unanswered++;
    this.#ask();
    this.start();
  }
}
