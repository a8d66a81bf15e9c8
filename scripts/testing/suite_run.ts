/**
 * Runs one suite as one `deno test` process and reads Deno's own report of it.
 *
 * @module
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { countResults, parseJunit, type TestCounts, type TestResult } from "./junit.ts";
import type { Suite } from "./suites.ts";

/** How a suite ended. */
export interface SuiteOutcome extends TestCounts {
  readonly name: string;
  readonly seconds: number;
  /** Why the suite failed beyond its tests: it crashed, was stopped, or left no report. */
  readonly trouble?: string;
  readonly results: readonly TestResult[];
}

/** Where and how a suite runs. */
export interface SuiteRunOptions {
  readonly root: string;
  /** Test files relative to `root`. */
  readonly files: readonly string[];
  /** The run's own folder; logs, reports and coverage go there. */
  readonly artifactsFolder: string;
  /** Added to the environment of the tests. */
  readonly environment: Readonly<Record<string, string>>;
  /** Lock file, which a test that loads this machine's own llama.cpp package may extend; undefined for none. */
  readonly lockPath: string | undefined;
  readonly coverage: boolean;
  /** Added to the arguments of `deno test`. */
  readonly arguments: readonly string[];
  /** Whether those may leave no test: of a suite in which nothing has changed, none is wanted. */
  readonly mayBeEmpty: boolean;
  /** Only tests whose name has this text. */
  readonly filter?: string;
  readonly signal: AbortSignal;
  /** Takes each piece of output as it comes. */
  readonly onOutput: (bytes: Uint8Array) => void;
}

/** Time a stopped suite gets to write its report before its whole process group is killed. */
const REPORT_GRACE_MS = 3_000;

/** Runs the suite to its end, or until `signal` says so. */
export async function runSuite(suite: Suite, options: SuiteRunOptions): Promise<SuiteOutcome> {
  const startedAtMs = performance.now();
  const report = join(options.artifactsFolder, `${suite.name}.junit.xml`);
  await using shared = await gatherFiles(suite, options);
  const files = shared.files;
  const child = new Deno.Command(Deno.execPath(), {
    args: suiteArguments(suite, report, { ...options, files }),
    cwd: options.root,
    env: { ...options.environment },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    // A group of its own, so that nodes and runners the tests started can't outlive the suite.
    detached: Deno.build.os !== "windows",
  }).spawn();
  const stop = () => stopGroup(child.pid);
  options.signal.addEventListener("abort", stop);
  if (options.signal.aborted) stop();
  const logged = writeLog(suite, child, options);
  const { code } = await child.status;
  options.signal.removeEventListener("abort", stop);
  // First the group, then the log: a process left behind would hold the pipe open for ever.
  killGroup(child.pid);
  await logged;
  const { results, missing } = await readReport(report);
  const counts = countResults(results);
  const trouble = troubleOf({
    code,
    counts,
    missing,
    stopped: options.signal.aborted,
    mayBeEmpty: options.mayBeEmpty,
  });
  return {
    name: suite.name,
    seconds: (performance.now() - startedAtMs) / 1_000,
    results,
    ...counts,
    ...(trouble === undefined ? {} : { trouble }),
  };
}

/** What the exit code says that the report does not, or undefined. */
export function troubleOf(end: {
  readonly code: number;
  readonly counts: TestCounts;
  readonly missing: boolean;
  readonly stopped: boolean;
  readonly mayBeEmpty: boolean;
}): string | undefined {
  if (end.stopped) return "stopped before its end";
  if (end.missing && end.code === 0 && end.mayBeEmpty) return undefined;
  if (end.missing) return `left no report (exit code ${end.code})`;
  if (end.code !== 0 && end.counts.failed === 0) {
    return `ended with exit code ${end.code} outside its tests`;
  }
  const total = end.counts.passed + end.counts.failed + end.counts.skipped;
  return total === 0 && !end.mayBeEmpty ? "ran no test" : undefined;
}

/**
 * The files to give to `deno test`: those of the suite, or where they share isolates, one file for each of these that
 * imports them. A selection is Deno's to make, of the files themselves.
 */
async function gatherFiles(
  suite: Suite,
  options: SuiteRunOptions,
): Promise<{ readonly files: readonly string[] } & AsyncDisposable> {
  if (!suite.isShared || options.mayBeEmpty) {
    return { files: options.files, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  // Not among the artifacts: Deno runs no tests from there.
  const folder = await Deno.makeTempDir({ prefix: `odist-${suite.name}-` });
  const count = suite.parallel ? navigator.hardwareConcurrency : 1;
  const groups = Map.groupBy(options.files, (file) => options.files.indexOf(file) % count);
  const files = await Promise.all([...groups].map(async ([number, members]) => {
    const imports = members.map((file) =>
      `import "${pathToFileURL(join(options.root, file)).href}";\n`
    );
    const path = join(folder, `group${number}_test.ts`);
    await Deno.writeTextFile(path, imports.join(""));
    return path;
  }));
  return { files, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

function suiteArguments(suite: Suite, report: string, options: SuiteRunOptions): string[] {
  // Types are checked once for all suites, by the caller: each suite alone would check most of the source again.
  const args = ["test", "--no-check", "--no-prompt", `--junit-path=${report}`];
  if (suite.permissions === "all") args.push("-A", "--unstable-net");
  if (suite.parallel) args.push("--parallel");
  args.push(options.lockPath === undefined ? "--no-lock" : `--lock=${options.lockPath}`);
  if (options.coverage) {
    args.push(
      `--coverage=${join(options.artifactsFolder, "coverage")}`,
      "--coverage-raw-data-only",
    );
  }
  if (options.filter !== undefined) args.push("--filter", options.filter);
  if (options.mayBeEmpty) args.push("--permit-no-files");
  return [...args, ...options.arguments, ...options.files];
}

async function writeLog(
  suite: Suite,
  child: Deno.ChildProcess,
  options: SuiteRunOptions,
): Promise<void> {
  using log = await Deno.create(join(options.artifactsFolder, `${suite.name}.log`));
  const copy = async (stream: ReadableStream<Uint8Array>) => {
    for await (const bytes of stream) {
      log.writeSync(bytes);
      options.onOutput(bytes);
    }
  };
  await Promise.all([copy(child.stdout), copy(child.stderr)]);
}

async function readReport(
  path: string,
): Promise<{ readonly results: TestResult[]; readonly missing: boolean }> {
  try {
    return { results: parseJunit(await Deno.readTextFile(path)), missing: false };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof TypeError) {
      return { results: [], missing: true };
    }
    throw error;
  }
}

/** Deno writes its report on SIGINT; a suite that hangs past that is killed. */
function stopGroup(pid: number): void {
  signalQuietly(pid, "SIGINT");
  Deno.unrefTimer(setTimeout(() => killGroup(pid), REPORT_GRACE_MS));
}

function killGroup(pid: number): void {
  if (Deno.build.os !== "windows") signalQuietly(-pid, "SIGKILL");
}

/** A process that is already gone is what the caller wanted. */
function signalQuietly(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
