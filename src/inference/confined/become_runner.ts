import { quantizeFile } from "../quantize/mod.ts";
import { printNatives, type RunnerPlace, runRunner } from "../runner/mod.ts";

/**
 * Is a runner from now on, or does what the mode in `words` asks for: `--probe`, `--quantize` and its arguments. Ends the
 * process but for `--probe`.
 */
export async function becomeRunner(place: RunnerPlace, words: readonly string[]): Promise<void> {
  const [mode, ...rest] = words;
  if (mode === "--probe") printNatives(place);
  else if (mode === "--quantize") quantizeFile(place.nativeFolder, rest);
  else await runRunner(place);
}
