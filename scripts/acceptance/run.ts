/**
 * Runs the tests of all scenarios, those of clusters one after the other with the machine to themselves, and prints the table
 * of what came of them. `deno task acceptance -- --write` writes it to `docs/ACCEPTANCE.md`, `-- tests/acceptance` leaves out
 * what the other suites run anyway, `-- --filter TEXT` runs what has the text in its name.
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
import { judge, keyOf, renderPage, type Run, table } from "./page.ts";
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
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "scripts/test.ts", "acceptance", ...args.filter((it) => it !== "--write")],
    env: { ODIST_TEST_TIMEOUT: Deno.env.get("ODIST_TEST_TIMEOUT") ?? TIMEOUT },
    cwd: ROOT,
    stdin: "null",
  }).spawn().status;
  const folder = await findLastRun();
  if (args.every((argument) => argument === "--write")) await measureStart(folder);
  const run = await readRun(folder);
  const verdicts = judge(SCENARIOS, run);
  const rows = SCENARIOS.flatMap((scenario) => {
    const verdict = verdicts.get(keyOf(scenario));
    return verdict ? [[keyOf(scenario), verdict.result, verdict.figure]] : [];
  });
  console.log(table(["Scenario", "Last", "Figure"], rows).join("\n"));
  const count = (result: string) => rows.filter((row) => row[1] === result).length;
  console.log(
    `${count("passed")} of ${SCENARIOS.length} scenarios passed, ${count("failed")} failed`,
  );
  if (args.includes("--write")) await writePage(verdicts);
  return code;
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
