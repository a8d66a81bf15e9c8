/**
 * Which test files belong to which suite, and which suites a task runs. A suite without files is not there yet and is
 * left out.
 *
 * @module
 */
import { dirname, join, relative } from "node:path";
import { SCENARIO_FILES } from "../acceptance/scenarios.ts";

/** Tests of one kind. */
export interface Suite {
  readonly name: string;
  /** Folders from the repository root, each searched at every depth. */
  readonly roots: readonly string[];
  /** Folders below `roots` that belong to another suite. */
  readonly except: readonly string[];
  /** Pure code gets no permission flag at all, so a file, network or environment access throws `NotCapable`. */
  readonly permissions: "none" | "all";
  /** Files side by side; only where no file owns a port, a process or the clock. */
  readonly parallel: boolean;
  /** Whether files share an isolate, so that what they import is compiled once and not once a file. */
  readonly isShared: boolean;
  /** Processes of `deno test` that share its files, side by side where lanes are free: what waits for nodes leaves cores idle. */
  readonly parts: number;
  /** Runs when all others have ended, as what it measures is a machine's. */
  readonly isAlone: boolean;
}

const PURE_ROOTS = ["src/base", "src/protocol", "src/core"];

const TESTS = {
  except: [],
  permissions: "all",
  parallel: false,
  isShared: true,
  parts: 1,
  isAlone: false,
} as const;

/** In the order they begin: the cheapest news first, then what takes longest, so that lanes end together. */
export const SUITES: readonly Suite[] = [
  { ...TESTS, name: "unit-pure", roots: PURE_ROOTS, permissions: "none", parallel: true },
  { ...TESTS, name: "unit", roots: ["src", "scripts", "bench"], except: PURE_ROOTS },
  { ...TESTS, name: "integration", roots: ["tests/integration"], parts: 3 },
  { ...TESTS, name: "byzantine", roots: ["tests/byzantine"] },
  { ...TESTS, name: "engine", roots: ["tests/engine"] },
  { ...TESTS, name: "sim", roots: ["tests/sim"] },
  { ...TESTS, name: "e2e", roots: ["tests/e2e"] },
  { ...TESTS, name: "conformance", roots: ["tests/conformance"] },
  // Of those that run at night, few share what they import, and each may leave its machine in any state.
  { ...TESTS, name: "ui", roots: ["tests/ui"], isShared: false },
  { ...TESTS, name: "chaos", roots: ["tests/chaos"], isShared: false },
  { ...TESTS, name: "gpu", roots: ["tests/gpu"], isShared: false },
  { ...TESTS, name: "acceptance", roots: ["tests/acceptance"], isShared: false, isAlone: true },
];

/** What one task runs. */
export interface TestTask {
  /** Names of {@link SUITES}. */
  readonly suites: readonly string[];
  /** Of their files only those that match; all when absent. */
  readonly only?: RegExp;
  /** Added to the environment of the tests. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Added to the arguments of `deno test`. */
  readonly arguments?: readonly string[];
}

const UNIT = ["unit-pure", "unit"];
const DAILY = [...UNIT, "sim", "integration", "engine", "conformance", "e2e", "byzantine"];
const EVERYTHING = [...DAILY, "ui", "chaos", "gpu"];

/** The tasks by name. `chaos` takes long and runs at night, as does `gpu`, where software compiles what a GPU would run. */
export const TASKS: Readonly<Record<string, TestTask>> = {
  all: { suites: DAILY },
  quick: { suites: UNIT },
  unit: { suites: UNIT },
  coverage: { suites: UNIT },
  sim: { suites: ["sim"] },
  integration: { suites: ["integration", "engine"] },
  conformance: { suites: ["conformance"] },
  e2e: { suites: ["e2e"] },
  ui: { suites: ["ui"] },
  gpu: { suites: ["gpu"] },
  chaos: { suites: ["chaos", "byzantine"] },
  full: { suites: EVERYTHING },
  acceptance: {
    suites: [...DAILY, "chaos", "acceptance"],
    only: new RegExp(`^(?:${SCENARIO_FILES.map((file) => RegExp.escape(file)).join("|")})$`),
  },
  p2p: {
    suites: [...UNIT, "sim", "integration"],
    only: /^src\/(transport|calls|members|core\/membership)\/|(quic|membership|joins|port)_\w*test/,
  },
  consensus: {
    suites: [...UNIT, "sim", "integration"],
    only: /^src\/(core\/raft|core\/voting|core\/catalogue|group|storage)\/|(raft|groups?|voters?)_/,
  },
  scheduler: {
    suites: [...UNIT, "integration", "engine", "conformance"],
    only: /^src\/(core\/scheduler|slots)\/|(lease|slots|crowd|scheduling)_/,
  },
  models: {
    suites: [...UNIT, "integration", "engine", "conformance"],
    only: /^src\/(models|library)\/|(models?|blobs?|registry|quantize)_/,
  },
  api: { suites: [...UNIT, "conformance"], only: /^src\/http\/|^tests\/conformance\// },
  byzantine: { suites: ["byzantine"] },
  "fault-tolerance": {
    suites: [...UNIT, "sim", "integration", "engine", "chaos"],
    only:
      /^src\/(answers|core\/answers)\/|^tests\/sim\/answers\/|^tests\/chaos\/|(killed|death|dies|moves|continues|outlives)_/,
  },
  "load-balancing": {
    suites: [...UNIT, "sim", "integration"],
    only: /routing|router|cluster_leases|requests_cross_nodes|serves_every_model|crowd/,
  },
  scalability: {
    suites: ["sim", "integration", "chaos"],
    only: /membership_|forms_and_grows|joins_and_leaves|voters_/,
  },
  debug: {
    suites: EVERYTHING,
    environment: { ODIST_LOG_LEVEL: "debug" },
    arguments: ["--fail-fast"],
  },
  trace: {
    suites: EVERYTHING,
    environment: { ODIST_LOG_LEVEL: "trace" },
    arguments: ["--fail-fast"],
  },
};

/** The suite's test files relative to `root`, sorted, so that a run can be compared with another. */
export async function findTestFiles(suite: Suite, root: string): Promise<string[]> {
  const files: string[] = [];
  for (const folder of suite.roots) {
    await collectTestFiles(join(root, folder), root, files);
  }
  const excluded = (file: string) => suite.except.some((folder) => isBelow(file, folder));
  return files.filter((file) => !excluded(file)).sort();
}

async function collectTestFiles(folder: string, root: string, files: string[]): Promise<void> {
  for await (const entry of readFolder(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) await collectTestFiles(path, root, files);
    else if (entry.name.endsWith("_test.ts")) {
      files.push(relative(root, path).replaceAll("\\", "/"));
    }
  }
}

/** A folder that is not there has no entries: suites come to be as their pieces do. */
async function* readFolder(folder: string): AsyncIterable<Deno.DirEntry> {
  try {
    yield* Deno.readDir(folder);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function isBelow(file: string, folder: string): boolean {
  for (let path = dirname(file); path !== "."; path = dirname(path)) {
    if (path === folder) return true;
  }
  return false;
}
