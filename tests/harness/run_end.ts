/**
 * A run of tests or of a bench that is told to end leaves no process and no folder behind. What a run leaves all the same that was
 * killed, or ended by Ctrl-C before it could tidy up, the next one removes.
 *
 * @module
 */

import process from "node:process";
import { readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

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

/** Folders of this run begin so, whatever `name` says of them. */
export function folderPrefix(name: string): string {
  return `odist-${name}-${Deno.pid}-`;
}

const OF_A_RUN = /^odist-[\w.]+-(\d+)-[^-]+$/;

for (const name of readdirSync(tmpdir())) {
  const [, pid] = OF_A_RUN.exec(name) ?? [];
  if (pid !== undefined && !isAlive(Number(pid))) {
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process can't be asked, and is there.
    return (error as { readonly code?: string }).code !== "ESRCH";
  }
}
