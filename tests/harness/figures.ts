/**
 * What a scenario measured, kept with the run's artifacts and shown in the acceptance table beside its test.
 *
 * @module
 */
import { join } from "node:path";

/** One line of `figures.jsonl` in the folder of a run. */
export interface Figure {
  /** Name of the test. */
  readonly test: string;
  /** As people read it: `1000 requests in 42.0 s, p95 310 ms`. */
  readonly figure: string;
}

/** Prints the figure, and keeps it where a run gathers artifacts. */
export function recordFigure(test: string, figure: string): void {
  console.log(`figure: ${figure}`);
  const folder = Deno.env.get("ODIST_TEST_ARTIFACTS_DIR");
  if (!folder) return;
  const line: Figure = { test, figure };
  Deno.writeTextFileSync(join(folder, "figures.jsonl"), JSON.stringify(line) + "\n", {
    append: true,
  });
}
