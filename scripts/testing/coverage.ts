/**
 * Turns the raw coverage of a test run into HTML and lcov, and sums up the lines of `src`.
 *
 * @module
 */
import { join } from "node:path";

/** Lines with code, and how many of them ran. */
export interface LineCoverage {
  readonly lines: number;
  readonly linesHit: number;
}

/** Share of lines of `src` that unit tests must run, 0..1. */
export const LINE_COVERAGE_MIN = 0.9;

/** Sums an lcov report over the files `wanted` accepts. */
export function sumLcov(lcov: string, wanted: (path: string) => boolean): LineCoverage {
  let lines = 0;
  let linesHit = 0;
  for (const record of lcov.split("end_of_record")) {
    const path = /^SF:(.*)$/m.exec(record)?.[1];
    if (path === undefined || !wanted(path)) continue;
    lines += Number(/^LF:(\d+)$/m.exec(record)?.[1] ?? 0);
    linesHit += Number(/^LH:(\d+)$/m.exec(record)?.[1] ?? 0);
  }
  return { lines, linesHit };
}

/** Writes `coverage.lcov` and `coverage/html/` into the artifacts folder; undefined when nothing was collected. */
export async function reportCoverage(
  options: { readonly root: string; readonly artifactsFolder: string },
): Promise<LineCoverage | undefined> {
  const raw = join(options.artifactsFolder, "coverage");
  const lcovPath = join(options.artifactsFolder, "coverage.lcov");
  const source = `${join(options.root, "src")}/`;
  const include = `--include=${new URL(`file://${source}`).href}`;
  const written = await denoCoverage([include, "--lcov", `--output=${lcovPath}`, raw]) &&
    await denoCoverage([include, "--html", raw]);
  if (!written) return undefined;
  return sumLcov(await Deno.readTextFile(lcovPath), (path) => path.startsWith(source));
}

async function denoCoverage(args: readonly string[]): Promise<boolean> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["coverage", ...args],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  return success;
}
