import { quantizeFile } from "../quantize/mod.ts";
import { printNatives } from "../llama/mod.ts";
import { type RunnerPlace, runRunner } from "../runner/mod.ts";

/**
 * Is a runner from now on, or does what the mode in `words` asks for: `--probe`, `--quantize` and its arguments. Ends the
 * process but for `--probe`.
 */
export async function becomeRunner(place: RunnerPlace, words: readonly string[]): Promise<void> {
  // Some are here still where a process can't be replaced, and in a file made by `deno compile`.
  for (const name of ["net", "write", "env"] as const) Deno.permissions.revokeSync({ name });
  const [mode, ...rest] = words;
  if (mode === "--probe") printNatives(place);
  else if (mode === "--quantize") quantizeFile(place.nativeFolder, rest);
  else await runRunner(place);
}
