import type { Clock } from "../ports/mod.ts";

/** Timers of the runtime can't be longer; a longer wait is cut and asked for again by whoever waits. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The machine's own time. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const id = setTimeout(callback, Math.min(Math.max(0, Math.ceil(delayMs)), TIMER_MS_MAX));
    Deno.unrefTimer(id);
    return { cancel: () => clearTimeout(id) };
  },
};
