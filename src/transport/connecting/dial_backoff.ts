import type { Random } from "../../base/mod.ts";

/** Losses in a row of connections that were hardly up before the next dial has to wait. */
const QUICK_LOSSES_FREE = 2;

/** When a peer may be dialed again. Pure: time is handed in. */
export class DialBackoff {
  readonly #limits: { readonly first: number; readonly max: number };
  readonly #random: Random;
  #failures = 0;
  #quickLosses = 0;
  #untilMs = -Infinity;

  constructor(limits: { readonly first: number; readonly max: number }, random: Random) {
    this.#limits = limits;
    this.#random = random;
  }

  allows(nowMs: number): boolean {
    return nowMs >= this.#untilMs;
  }

  /** A dial did not lead to a connection. */
  noteFailed(nowMs: number): void {
    this.#failures++;
    this.#wait(nowMs);
  }

  /** A connection that was up ended. Peers that greet and hang up at once must not be dialed in a tight loop. */
  noteLost(nowMs: number, livedMs: number): void {
    this.#failures = 0;
    if (livedMs >= this.#limits.max) {
      this.#quickLosses = 0;
      return;
    }
    this.#quickLosses++;
    if (this.#quickLosses <= QUICK_LOSSES_FREE) return;
    this.#failures = this.#quickLosses - QUICK_LOSSES_FREE;
    this.#wait(nowMs);
  }

  /** Doubles up to the limit; half of it is drawn, so that peers that failed together don't try together. */
  #wait(nowMs: number): void {
    const { first, max } = this.#limits;
    const longestMs = Math.min(max, first * 2 ** Math.min(30, this.#failures - 1));
    this.#untilMs = nowMs + longestMs / 2 + this.#random.below(Math.floor(longestMs / 2) + 1);
  }
}
