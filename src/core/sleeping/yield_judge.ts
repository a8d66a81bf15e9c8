/** How a machine keeps out of the way of other programs. */
export interface YieldOptions {
  /** Share of all cores that other programs may use, in percent. */
  readonly busyPercent: number;
  /** Busy for so long before it yields: a program that starts is no reason. Milliseconds. */
  readonly busyMs: number;
  /** Not busy for so long before it takes requests again. Milliseconds. */
  readonly calmMs: number;
}

/** Values of {@link YieldOptions} besides the limit. */
export const YIELD_DEFAULTS: Omit<YieldOptions, "busyPercent"> = { busyMs: 10_000, calmMs: 30_000 };

/** Decides when a node takes nothing new because other programs use its cores. */
export class YieldJudge {
  readonly #options: YieldOptions;
  #yields = false;
  /** Since when the opposite of what is decided was measured. */
  #sinceMs: number | undefined;

  constructor(options: YieldOptions) {
    this.#options = options;
  }

  /** Takes a measurement, of the time since the last one, and returns whether the node yields. */
  step(measured: { readonly othersPercent: number; readonly nowMs: number }): boolean {
    const { busyPercent, busyMs, calmMs } = this.#options;
    const { othersPercent, nowMs } = measured;
    const isBusy = othersPercent > busyPercent;
    if (isBusy === this.#yields) {
      this.#sinceMs = undefined;
      return this.#yields;
    }
    this.#sinceMs ??= nowMs;
    if (nowMs - this.#sinceMs >= (isBusy ? busyMs : calmMs)) {
      this.#yields = isBusy;
      this.#sinceMs = undefined;
    }
    return this.#yields;
  }
}
