import { YIELD_DEFAULTS, YieldJudge } from "../../core/sleeping/mod.ts";
import type { Clock, CoreSeconds, Log, Power } from "../../ports/mod.ts";

/** Between two measurements. Milliseconds. */
const MEASURE_MS = 5_000;

/** What yielding takes. */
export interface YieldWatchParts {
  readonly power: Pick<Power, "coreSeconds">;
  readonly busyPercent: number;
  readonly clock: Pick<Clock, "monotonicMs" | "after">;
  readonly log: Log;
  /** Called with each change. */
  readonly onChanged: (yields: boolean) => void;
}

/** Measures how much of this machine's cores other programs use, and tells when this node takes nothing new for it. */
export class YieldWatch {
  readonly #parts: YieldWatchParts;
  readonly #judge: YieldJudge;
  #before: CoreSeconds | undefined;
  #yields = false;
  #timer: { cancel(): void } | undefined;
  #isClosed = false;

  constructor(parts: YieldWatchParts) {
    this.#parts = parts;
    this.#judge = new YieldJudge({ ...YIELD_DEFAULTS, busyPercent: parts.busyPercent });
    this.#measureLater();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #measureLater(): void {
    this.#timer = this.#parts.clock.after(MEASURE_MS, () => void this.#measure());
  }

  async #measure(): Promise<void> {
    const { power, clock, log, onChanged, busyPercent } = this.#parts;
    const now = await power.coreSeconds();
    const before = this.#before;
    this.#before = now;
    if (this.#isClosed) return;
    this.#measureLater();
    if (now === undefined || before === undefined || now.passed <= before.passed) return;
    const others = now.used - before.used - Math.max(0, now.own - before.own);
    const othersPercent = Math.max(0, (100 * others) / (now.passed - before.passed));
    const yields = this.#judge.step({ othersPercent, nowMs: clock.monotonicMs() });
    if (yields === this.#yields) return;
    this.#yields = yields;
    const values = { othersPercent: Math.round(othersPercent), busyPercent };
    log.log("info", yields ? "node_yields" : "node_yields_no_more", values);
    onChanged(yields);
  }
}
