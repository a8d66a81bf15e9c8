/**
 * The test runner behind `deno task test` and its parts. Runs each suite as a `deno test` process, gathers logs,
 * reports and coverage in one folder, and ends with one line counted from Deno's own reports.
 *
 * Usage: `deno task test`, `deno task test:unit -- --filter "Random"`, `deno task test:unit -- src/http`,
 * `deno task test -- --shard 1/3`, `deno task test:quick -- --changed`, `deno task test -- --related src/base/ids.ts`.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { addRun, compareRuns, comparisonText } from "./testing/history.ts";
import { LINE_COVERAGE_MIN, reportCoverage } from "./testing/coverage.ts";
import { runSuite, type SuiteOutcome } from "./testing/suite_run.ts";
import { findTestFiles, type Suite, SUITES, TASKS } from "./testing/suites.ts";
import { readTestSettings, type TestSettings } from "./testing/test_settings.ts";

/** Older runs' folders are deleted. */
const KEPT_RUNS_MAX = 20;

/** Collect coverage, of unit tests only: others start processes that it can't see. Costs them half their time again. */
const COVERED_TASKS = ["coverage", "full"];
/** Of two cores a third is idle while nodes wait for each other and tests for nodes, be there three lanes. */
const LANES = 4;
/** Of what a run says beside earlier ones, so much is printed; `test:profile` has all. */
const COMPARED_LINES_MAX = 8;

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** One call of the runner. */
interface TestRun {
  readonly task: string;
  /** Only test files below one of these; all when empty. */
  readonly paths: readonly string[];
  readonly filter: string | undefined;
  /** Arguments of `deno test` that choose among the files. */
  readonly selection: readonly string[];
  readonly settings: TestSettings;
  readonly artifactsFolder: string;
}

/** A suite, or a part of it, and those of its files that are wanted. */
interface PlannedSuite {
  readonly suite: Suite;
  readonly files: readonly string[];
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    args: Deno.args.filter((argument) => argument !== "--"),
    allowPositionals: true,
    options: {
      filter: { type: "string" },
      shard: { type: "string" },
      related: { type: "string" },
      changed: { type: "boolean", default: false },
    },
  });
  const [task = "all", ...paths] = positionals;
  if (TASKS[task] === undefined) {
    throw new TypeError(`Cannot run "${task}": wanted one of ${Object.keys(TASKS).join(", ")}`);
  }
  const settings = readTestSettings(Deno.env.toObject(), ROOT);
  const artifactsFolder = await makeArtifactsFolder(settings.artifactsFolder, task);
  const selection = [
    ...(values.shard === undefined ? [] : [`--shard=${values.shard}`]),
    ...(values.related === undefined ? [] : [`--related=${values.related}`]),
    ...(values.changed ? ["--changed"] : []),
  ];
  const { filter } = values;
  return await runTask({ task, paths, filter, selection, settings, artifactsFolder });
}

async function runTask(run: TestRun): Promise<number> {
  const timeout = AbortSignal.timeout(run.settings.timeoutMs);
  const stopped = new AbortController();
  Deno.addSignalListener("SIGINT", () => stopped.abort());
  if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", () => stopped.abort());
  const signal = AbortSignal.any([timeout, stopped.signal]);
  const planned = await planSuites(run);
  const [troubles, outcomes] = await Promise.all([
    checkTypes(planned.flatMap(({ files }) => files)),
    runAll(planned, { run, signal }),
  ]);
  troubles.push(...outcomes.flatMap(({ name, trouble }) => trouble ? [`${name}: ${trouble}`] : []));
  if (timeout.aborted) troubles.push(`the run took longer than ${run.settings.timeoutMs} ms`);
  if (run.settings.ci) troubles.push(...await findCiTroubles());
  if (COVERED_TASKS.includes(run.task)) troubles.push(...await checkCoverage(run));
  return await conclude(run, { outcomes, troubles });
}

/** Runs what can side by side, and then what wants the machine to itself. */
async function runAll(
  planned: readonly PlannedSuite[],
  options: { readonly run: TestRun; readonly signal: AbortSignal },
): Promise<SuiteOutcome[]> {
  const { together = [], alone = [] } = Object.groupBy(
    planned,
    ({ suite }) => suite.isAlone ? "alone" : "together",
  );
  return [...await runInLanes(LANES, together, options), ...await runInLanes(1, alone, options)];
}

/** Each lane takes what is next. Only one is shown live: what two print at once nobody can read. */
async function runInLanes(
  lanes: number,
  planned: readonly PlannedSuite[],
  options: { readonly run: TestRun; readonly signal: AbortSignal },
): Promise<SuiteOutcome[]> {
  const outcomes: SuiteOutcome[] = [];
  const waiting = planned.values();
  await Promise.all(Array.from({ length: lanes }, async (_, lane) => {
    for (const { suite, files } of waiting) {
      if (options.signal.aborted) return;
      outcomes.push(await runOne(suite, files, { ...options, isLive: lane === 0 }));
    }
  }));
  return outcomes;
}

/** A pipe may take less than it is given. */
function print(bytes: Uint8Array): void {
  for (let from = 0; from < bytes.length;) from += Deno.stdout.writeSync(bytes.subarray(from));
}

/** The suites of the task that have test files, with those that are wanted. */
async function planSuites(run: TestRun): Promise<PlannedSuite[]> {
  const planned: PlannedSuite[] = [];
  const task = TASKS[run.task];
  for (const suite of SUITES.filter(({ name }) => task?.suites.includes(name))) {
    const files = (await findTestFiles(suite, ROOT))
      .filter((file) => isWanted(file, run.paths) && task?.only?.test(file) !== false);
    planned.push(...partsOf(suite, files));
  }
  return planned;
}

/** What each of its processes runs; none without files. */
function partsOf(suite: Suite, files: readonly string[]): PlannedSuite[] {
  const parts = [...Map.groupBy(files, (file) => files.indexOf(file) % suite.parts).values()];
  if (parts.length === 1) return [{ suite, files }];
  return parts.map((some, index) => ({
    suite: { ...suite, name: `${suite.name}-${index + 1}` },
    files: some,
  }));
}

/** Checks the types of all tests and what they import, beside the tests: these run even when that fails, to show what else does. */
async function checkTypes(files: readonly string[]): Promise<string[]> {
  if (files.length === 0) return [];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--quiet", "--no-lock", ...files],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
  }).output();
  return success ? [] : [`types don't check:\n${new TextDecoder().decode(stderr).trim()}`];
}

async function runOne(
  suite: Suite,
  files: readonly string[],
  options: { readonly run: TestRun; readonly signal: AbortSignal; readonly isLive: boolean },
): Promise<SuiteOutcome> {
  const { settings, artifactsFolder, filter, task } = options.run;
  const held: Uint8Array[] = [];
  // A copy, because Deno adds what tests import by a computed name, and that differs from machine to machine.
  const lockPath = join(artifactsFolder, `${suite.name}.lock`);
  await Deno.copyFile(join(ROOT, "deno.lock"), lockPath);
  const outcome = await runSuite(suite, {
    root: ROOT,
    files,
    artifactsFolder,
    environment: {
      ODIST_TEST_NODE_COUNT: String(settings.nodeCount),
      ODIST_TEST_CI: String(settings.ci),
      ODIST_TEST_VECTORS: settings.vectorsFolder,
      ODIST_TEST_ARTIFACTS_DIR: artifactsFolder,
      ...TASKS[task]?.environment,
    },
    arguments: [...options.run.selection, ...TASKS[task]?.arguments ?? []],
    mayBeEmpty: options.run.selection.length > 0,
    lockPath,
    coverage: COVERED_TASKS.includes(task) && suite.name.startsWith("unit"),
    ...(filter === undefined ? {} : { filter }),
    signal: options.signal,
    onOutput: (bytes) => options.isLive ? print(bytes) : held.push(bytes.slice()),
  });
  for (const bytes of held) print(bytes);
  console.log(`${suite.name}: ${summary(outcome)} in ${outcome.seconds.toFixed(1)} s`);
  return outcome;
}

/** Prints what went wrong and, alone on the last line, the counts; returns the exit code. */
async function conclude(
  run: TestRun,
  end: { readonly outcomes: readonly SuiteOutcome[]; readonly troubles: readonly string[] },
): Promise<number> {
  const add = (key: "passed" | "failed" | "skipped") =>
    end.outcomes.reduce((sum, outcome) => sum + outcome[key], 0);
  const counts = { passed: add("passed"), failed: add("failed"), skipped: add("skipped") };
  const troubles = [...end.troubles];
  if (counts.passed + counts.failed === 0) troubles.push("no test ran");
  const results = { task: run.task, ...counts, troubles, suites: end.outcomes };
  await Deno.writeTextFile(
    join(run.artifactsFolder, "results.json"),
    JSON.stringify(results, null, 2) + "\n",
  );
  for (const trouble of troubles) console.log(`error: ${trouble}`);
  if (!existsSync(run.settings.vectorsFolder)) {
    console.log(
      `note: cases of others in "${run.settings.vectorsFolder}" were skipped: there is no such folder`,
    );
  }
  for (const line of (await compare(run, end.outcomes)).slice(0, COMPARED_LINES_MAX)) {
    console.log(line);
  }
  console.log(`Artifacts: ${relative(Deno.cwd(), run.artifactsFolder)}`);
  console.log(summary(counts));
  return counts.failed === 0 && troubles.length === 0 ? 0 : 1;
}

/** Keeps what the tests took and returns what that says beside earlier runs. */
async function compare(run: TestRun, outcomes: readonly SuiteOutcome[]): Promise<string[]> {
  const runs = await addRun(run.settings.artifactsFolder, {
    at: new Date().toISOString(),
    task: run.task,
    commit: await findCommit(),
    results: outcomes.flatMap(({ results }) => results),
  });
  return comparisonText(compareRuns(runs));
}

/** Empty where the sources are not those of a commit: a test may fail there for what was changed. */
async function findCommit(): Promise<string> {
  const git = async (...args: readonly string[]) => {
    const { stdout } = await new Deno.Command("git", { args: [...args], cwd: ROOT, stderr: "null" })
      .output();
    return new TextDecoder().decode(stdout).trim();
  };
  try {
    return await git("status", "--porcelain") === "" ? await git("rev-parse", "HEAD") : "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return ""; // No git here.
    throw error;
  }
}

function summary(counts: { passed: number; failed: number; skipped: number }): string {
  const skipped = counts.skipped === 0 ? "" : `, ${counts.skipped} skipped`;
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`;
}

function isWanted(file: string, paths: readonly string[]): boolean {
  if (paths.length === 0) return true;
  return paths.map((path) => path.replace(/^\.\//, "").replace(/\/$/, ""))
    .some((path) => file === path || file.startsWith(`${path}/`));
}

async function checkCoverage(run: TestRun): Promise<string[]> {
  const covered = await reportCoverage({ root: ROOT, artifactsFolder: run.artifactsFolder });
  if (covered === undefined || covered.lines === 0) return ["no coverage was collected"];
  const share = covered.linesHit / covered.lines;
  const text = `${(share * 100).toFixed(1)} % of ${covered.lines} lines of src`;
  console.log(`coverage: ${text}`);
  // Of a part of the tests nothing can be demanded.
  const isDemanded = run.paths.length === 0 && run.filter === undefined;
  return share >= LINE_COVERAGE_MIN || !isDemanded
    ? []
    : [`unit tests must cover ${LINE_COVERAGE_MIN * 100} % of lines: covered ${text}`];
}

/** What a person's own run may lack and continuous integration may not. */
async function findCiTroubles(): Promise<string[]> {
  const troubles: string[] = [];
  const locked = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "--frozen", "--quiet", "main.ts"],
    cwd: ROOT,
    stdin: "null",
  }).output();
  if (!locked.success) troubles.push("deno.lock must name every dependency of main.ts");
  return troubles;
}

async function makeArtifactsFolder(parent: string, task: string): Promise<string> {
  await Deno.mkdir(parent, { recursive: true });
  const runs = [];
  for await (const entry of Deno.readDir(parent)) {
    if (/^\d{8}T\d{6}/.test(entry.name)) runs.push(entry.name);
  }
  for (const name of runs.sort().reverse().slice(KEPT_RUNS_MAX - 1)) {
    await Deno.remove(join(parent, name), { recursive: true });
  }
  const startedAt = new Date().toISOString().replaceAll(/[-:]|\..*/g, "");
  const folder = join(parent, `${startedAt}-${task}-${Deno.pid}`);
  await Deno.mkdir(folder);
  return folder;
}

if (import.meta.main) Deno.exit(await main());
