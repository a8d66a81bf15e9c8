import type { Clock, Log, Metrics } from "../ports/mod.ts";

/** How often the loop of a busy node is looked at. A stall of twice this is always seen. */
const LOOK_EVERY_MS = 50;
/** The same at rest: 20 looks a second would cost an idle machine more than all else. */
const REST_LOOK_EVERY_MS = 500;
/** Share of a core from which this process counts as busy, and for how long it does. Others that are busy make none of its own. */
const BUSY_SHARE = 0.2;
const BUSY_MS = 10_000;
/** Lateness from which a look counts as a stall: a Raft heartbeat may not slip by more. */
const STALL_MS_MIN = 50;
/** Stalls from which a line is logged besides the metric. */
const STALL_LOG_MS_MIN = 250;

/** What watching takes. */
export interface StallWatchParts {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Milliseconds of a core that this process has used. */
  readonly cpuMs: () => number;
}

/** Watches how late the event loop runs its timers, until stopped. */
export function watchStalls(parts: StallWatchParts): { stop(): void } {
  const { clock, metrics, log, cpuMs } = parts;
  let lookedMs = clock.monotonicMs();
  let usedMs = cpuMs();
  let busyUntilMs = clock.monotonicMs() + BUSY_MS;
  let dueMs = clock.monotonicMs() + LOOK_EVERY_MS;
  let timer = clock.after(LOOK_EVERY_MS, look);

  function look(): void {
    const nowMs = clock.monotonicMs();
    const lateMs = nowMs - dueMs;
    if (lateMs > STALL_MS_MIN) metrics.observe("odist_event_loop_stall_seconds", lateMs / 1000);
    if (lateMs > STALL_LOG_MS_MIN) {
      log.log("warn", "event_loop_stalled", { stallMs: Math.round(lateMs) });
    }
    const used = cpuMs();
    if (used - usedMs > BUSY_SHARE * (nowMs - lookedMs)) busyUntilMs = nowMs + BUSY_MS;
    [lookedMs, usedMs] = [nowMs, used];
    const everyMs = nowMs < busyUntilMs ? LOOK_EVERY_MS : REST_LOOK_EVERY_MS;
    dueMs = nowMs + everyMs;
    timer = clock.after(everyMs, look);
  }

  return { stop: () => timer.cancel() };
}
