import type { Clock, Log, Metrics } from "../ports/mod.ts";

/** How often the loop is looked at. A stall of twice this is always seen; 20 looks a second cost nothing measurable. */
const LOOK_EVERY_MS = 50;
/** Lateness from which a look counts as a stall: a Raft heartbeat may not slip by more. */
const STALL_MS_MIN = 50;
/** Stalls from which a line is logged besides the metric. */
const STALL_LOG_MS_MIN = 250;

/** Watches how late the event loop runs its timers, until stopped. */
export function watchStalls(
  parts: { readonly clock: Clock; readonly metrics: Metrics; readonly log: Log },
): { stop(): void } {
  const { clock, metrics, log } = parts;
  let dueMs = clock.monotonicMs() + LOOK_EVERY_MS;
  let timer = clock.after(LOOK_EVERY_MS, look);

  function look(): void {
    const nowMs = clock.monotonicMs();
    const lateMs = nowMs - dueMs;
    if (lateMs > STALL_MS_MIN) metrics.observe("odist_event_loop_stall_seconds", lateMs / 1000);
    if (lateMs > STALL_LOG_MS_MIN) {
      log.log("warn", "event_loop_stalled", { stallMs: Math.round(lateMs) });
    }
    dueMs = nowMs + LOOK_EVERY_MS;
    timer = clock.after(LOOK_EVERY_MS, look);
  }

  return { stop: () => timer.cancel() };
}
