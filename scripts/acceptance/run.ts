/**
 * Runs the tests of all scenarios, those of clusters one after the other with the machine to themselves, and prints the table
 * of what came of them. `deno task acceptance -- --write` writes it to `docs/ACCEPTANCE.md`, `-- tests/acceptance` leaves out
 * what the other suites run anyway, `-- --filter TEXT` runs what has the text in its name.
 *
 * With `--resume` it goes on with a run that is made in pieces, test by test, and with `--within 10m` begins no test after that
 * time: `deno task acceptance -- --resume --within 10m --write` again and again, until it says that every row was reached, and how
 * many such runs in a row were green. What it has reached stands in `test-artifacts/acceptance.json`.
 *
 * Usage: `deno task acceptance [-- --write] [PATH...]`; `deno task acceptance -- --from FOLDER` writes what an earlier run of any
 * task left there; `deno task acceptance:page` writes the page without running anything.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describeMachine } from "../../bench/measuring/machine.ts";
import type { Figure } from "../../tests/harness/figures.ts";
import { findLastRun, readResults } from "../testing/last_run.ts";
import { parseDurationMs, readTestSettings } from "../testing/test_settings.ts";
import { judge, keyOf, renderPage, type Run, table, type Verdict } from "./page.ts";
import { filterOf, nextRun, noteRows, piecesLeft, type Progress, takeUp } from "./progress.ts";
import { SCENARIOS } from "./scenarios.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PAGE = join(ROOT, "docs/ACCEPTANCE.md");
/** Of a run that ended so recently the machine's load is still told. */
const JUST_ENDED_MS = 60_000;
/** Longer than all scenarios take on two cores. */
const TIMEOUT = "90m";

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--page")) {
    await writePage(new Map());
    return 0;
  }
  const from = args.indexOf("--from");
  if (from !== -1) {
    await writePage(judge(SCENARIOS, await readRun(args[from + 1] ?? "")));
    return 0;
  }
  if (args.includes("--resume")) return await resume(args);
  const code = await runTests(args.filter((it) => it !== "--write"));
  const folder = await findLastRun();
  if (args.every((argument) => argument === "--write")) await measureStart(folder);
  const run = await readRun(folder);
  const verdicts = judge(SCENARIOS, args.includes("--filter") ? chosen(run) : run);
  printTable(verdicts);
  if (args.includes("--write")) await writePage(verdicts);
  return code;
}

async function runTests(args: readonly string[]): Promise<number> {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "scripts/test.ts", "acceptance", ...args],
    env: { ODIST_TEST_TIMEOUT: Deno.env.get("ODIST_TEST_TIMEOUT") ?? TIMEOUT },
    cwd: ROOT,
    stdin: "null",
  }).spawn().status;
  return code;
}

/** What ran: others of its files were left out by a filter, and are reported as if they had been skipped for want of something. */
function chosen(run: Run): Run {
  const results = run.results.filter(({ outcome }) => outcome !== "skipped");
  return results.length > 0 ? { ...run, results } : run;
}

function printTable(verdicts: ReadonlyMap<string, Verdict>): void {
  const rows = SCENARIOS.flatMap((scenario) => {
    const verdict = verdicts.get(keyOf(scenario));
    return verdict ? [[keyOf(scenario), verdict.result, verdict.figure]] : [];
  });
  console.log(table(["Scenario", "Last", "Figure"], rows).join("\n"));
  const count = (result: string) => rows.filter((row) => row[1] === result).length;
  console.log(
    `${count("passed")} of ${SCENARIOS.length} scenarios passed, ${count("failed")} failed`,
  );
}

/** 0 while no row of the run has failed. */
async function resume(args: readonly string[]): Promise<number> {
  const within = args.indexOf("--within");
  const limitMs = within === -1 ? Infinity : parseDurationMs("--within", args[within + 1] ?? "");
  const startMs = performance.now();
  let progress = takeUp(await readProgress(), await describeSources());
  for (const piece of piecesLeft(SCENARIOS, progress)) {
    if (performance.now() - startMs > limitMs) break;
    const pieceMs = performance.now();
    await runTests([piece.file, "--filter", filterOf(piece)]);
    const run = chosen(await readRun(await findLastRun()));
    const seconds = (performance.now() - pieceMs) / 1_000;
    const verdicts = judge(SCENARIOS, run);
    progress = noteRows(progress, { scenarios: SCENARIOS, piece, verdicts, day: run.day, seconds });
    await writeProgress(progress);
  }
  const verdicts = new Map(Object.entries(progress.verdicts));
  printTable(verdicts);
  if (args.includes("--write")) await writePage(verdicts);
  const left = piecesLeft(SCENARIOS, progress).length;
  const took = `${Math.round(progress.seconds)} s so far`;
  if (left > 0) console.log(`${left} tests left, ${took}: the same command goes on`);
  else {
    const next = nextRun(progress);
    await writeProgress(next);
    console.log(`every row was reached, ${took}; runs in a row that were green: ${next.greenRuns}`);
  }
  return [...verdicts.values()].some(({ result }) => result === "failed") ? 1 : 0;
}

function progressPath(): string {
  return join(readTestSettings(Deno.env.toObject(), ROOT).artifactsFolder, "acceptance.json");
}

async function readProgress(): Promise<Progress | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(progressPath()));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function writeProgress(progress: Progress): Promise<void> {
  await Deno.writeTextFile(progressPath(), JSON.stringify(progress, undefined, 1) + "\n");
}

/** The commit and what was changed since, but for the page that a run writes. */
async function describeSources(): Promise<string> {
  const git = async (...args: readonly string[]) => {
    const { stdout } = await new Deno.Command("git", { args: [...args], cwd: ROOT }).output();
    return stdout;
  };
  const commit = new TextDecoder().decode(await git("rev-parse", "HEAD")).trim();
  const changes = await git("diff", "HEAD", "--", ".", ":(exclude)docs/ACCEPTANCE.md");
  if (changes.length === 0) return commit;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", changes));
  return `${commit} and ${digest.toHex().slice(0, 16)}`;
}

/** What a node costs, beside what its tests left. */
async function measureStart(folder: string): Promise<void> {
  await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "bench/start.ts", "--starts", "3", "--idle-seconds", "5"],
    env: { ODIST_TEST_ARTIFACTS_DIR: folder },
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
  }).spawn().status;
}

async function writePage(verdicts: ReturnType<typeof judge>): Promise<void> {
  const before = await Deno.readTextFile(PAGE).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  });
  const conditions = verdicts.size === 0
    ? []
    : Object.entries(await describeMachine()).map(([name, value]) => `${name}: ${value}`);
  await Deno.writeTextFile(PAGE, renderPage(SCENARIOS, { verdicts, before, conditions }));
}

async function readRun(folder: string): Promise<Run> {
  const { suites } = await readResults(folder);
  const file = await Deno.stat(join(folder, "results.json"));
  const ageMs = Date.now() - (file.mtime?.getTime() ?? NaN);
  // What else the machine does says as much of a figure as the machine.
  const [load = NaN] = Deno.loadavg();
  const busy = `, load ${Math.round(load)} on ${navigator.hardwareConcurrency} cores`;
  const day = `${file.mtime?.toISOString().slice(0, 10)}${ageMs < JUST_ENDED_MS ? busy : ""}`;
  return {
    day,
    results: suites.flatMap(({ results }) => results),
    figures: await figuresIn(folder),
  };
}

/** None where no test measured anything. */
async function figuresIn(folder: string): Promise<Figure[]> {
  try {
    const text = await Deno.readTextFile(join(folder, "figures.jsonl"));
    return text.trim().split("\n").map((line) => JSON.parse(line));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args.filter((argument) => argument !== "--")));
