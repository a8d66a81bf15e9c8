/**
 * A run of tests or of a bench that is told to end leaves no process and no folder behind. Deno's own test runner is gone with
 * Ctrl-C before that is done; whoever bounds a run's time sends SIGTERM.
 *
 * @module
 */

/** What ends something that outlives its process. */
type End = () => Promise<void>;

const SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM"];
const ends = new Set<End>();

/** Has `end` called when this process is told to end; until the returned function is called. */
export function endWithRun(end: End): () => void {
  ends.add(end);
  return () => void ends.delete(end);
}

for (const signal of SIGNALS) Deno.addSignalListener(signal, onSignal);

async function onSignal(): Promise<void> {
  await Promise.allSettled([...ends].map((end) => end()));
  // In a test, Deno.exit() is an error of that test, and this process hears all other signals.
  Deno.kill(Deno.pid, "SIGKILL");
}
