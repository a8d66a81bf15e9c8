import type { Clock, ClusterStatus } from "../ports/mod.ts";

/** How often it is looked for a change. */
const LOOK_MS = 250;
/** Between two statuses at most, so that a reader can tell a quiet cluster from a lost connection. */
const SILENCE_MS_MAX = 5_000;

/** The status now, then after each change; ends with the signal. Reading it costs nothing while nobody takes the next one. */
export async function* feedStatus(
  read: () => Promise<ClusterStatus>,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<ClusterStatus> {
  let told = "";
  let toldMs = -Infinity;
  while (!signal.aborted) {
    const status = await read();
    const text = JSON.stringify(status);
    const nowMs = clock.monotonicMs();
    if (text !== told || nowMs - toldMs >= SILENCE_MS_MAX) {
      [told, toldMs] = [text, nowMs];
      yield status;
    }
    await pause(clock, signal);
  }
}

function pause(clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      timer.cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.after(LOOK_MS, done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
