/**
 * What happens when in a simulated network: on a virtual clock that a test moves, or as soon as possible on the real one.
 *
 * @module
 */
import type { Clock } from "../../src/ports/mod.ts";

/** Events one `advance` may run before it is taken for an endless exchange. */
const EVENTS_PER_ADVANCE_MAX = 1_000_000;

/** Something to be done later; may be taken back. */
export interface Scheduled {
  cancel(): void;
}

/** Runs events one after another, never from within the call that plans them. */
export interface Schedule {
  readonly clock: Clock;
  /** Events of one instant run in the order planned. */
  after(delayMs: number, run: () => void): Scheduled;
  /** Runs all that is due in the next `durationMs`; only a virtual schedule can be moved. */
  advance(durationMs: number): Promise<void>;
  /** Drops what is still planned. */
  stop(): void;
}

interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Time stands still until a test advances it. Wall time starts at 2026-01-01. */
export class VirtualSchedule implements Schedule {
  readonly clock: Clock;
  readonly #planned: Planned[] = [];
  #nowMs = 0;
  #order = 0;
  readonly #step: () => Promise<boolean>;

  /** `step` does one thing that takes no virtual time and waits for its turn; false = there was none. */
  constructor(step: () => Promise<boolean> = () => Promise.resolve(false)) {
    this.#step = step;
    const startMs = Date.UTC(2026, 0, 1);
    this.clock = {
      nowMs: () => startMs + this.#nowMs,
      monotonicMs: () => this.#nowMs,
      after: (delayMs, callback) => this.after(delayMs, callback),
    };
  }

  after(delayMs: number, run: () => void): Scheduled {
    const planned: Planned = { atMs: this.#nowMs + delayMs, order: this.#order++, run };
    let at = this.#planned.length;
    while (at > 0 && isLater(this.#planned[at - 1], planned)) at--;
    this.#planned.splice(at, 0, planned);
    return {
      cancel: () => {
        const index = this.#planned.indexOf(planned);
        if (index !== -1) this.#planned.splice(index, 1);
      },
    };
  }

  /** Whoever awaits something gets to run between two events, but not behind real I/O. */
  async advance(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs;
    await this.#settled();
    for (let count = 0;; count++) {
      if (count > EVENTS_PER_ADVANCE_MAX) throw new Error("The exchange does not come to an end");
      const next = this.#planned[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#planned.shift();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
      await this.#settled();
    }
    this.#nowMs = untilMs;
  }

  /** After every promise that is ready now has run its course. */
  async #settled(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve)); while (await this.#step());
  }

  stop(): void {
    this.#planned.length = 0;
  }
}

/** Due events run in the next turn of the event loop, later ones on real timers. */
export class PromptSchedule implements Schedule {
  readonly clock: Clock;
  readonly #due: Array<{ run: () => void; cancelled: boolean }> = [];
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #pumping = false;
  #stopped = false;

  constructor() {
    this.clock = {
      nowMs: () => Date.now(),
      monotonicMs: () => performance.now(),
      after: (delayMs, callback) => this.after(delayMs, callback),
    };
  }

  after(delayMs: number, run: () => void): Scheduled {
    const item = { run, cancelled: false };
    if (this.#stopped) return { cancel() {} };
    if (delayMs <= 0) {
      this.#due.push(item);
      this.#wake();
      return { cancel: () => item.cancelled = true };
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#due.push(item);
      this.#wake();
    }, delayMs);
    this.#timers.add(timer);
    return {
      cancel: () => {
        item.cancelled = true;
        this.#timers.delete(timer);
        clearTimeout(timer);
      },
    };
  }

  advance(): Promise<void> {
    throw new Error("A prompt network moves by itself");
  }

  stop(): void {
    this.#stopped = true;
    this.#due.length = 0;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #wake(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    setImmediate(() => {
      this.#pumping = false;
      for (const item of this.#due.splice(0)) {
        if (!item.cancelled) item.run();
      }
      if (this.#due.length > 0) this.#wake();
    });
  }
}

function isLater(planned: Planned | undefined, than: Planned): boolean {
  return planned !== undefined &&
    (planned.atMs > than.atMs || (planned.atMs === than.atMs && planned.order > than.order));
}
