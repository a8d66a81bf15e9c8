/**
 * Which test files belong to which suite, and which suites a task runs. A suite without files is not there yet and is
 * left out.
 *
 * @module
 */
import { dirname, join, relative } from "node:path";

/** One `deno test` process. */
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
}

const PURE_ROOTS = ["src/base", "src/protocol", "src/core"];

/** In the order they run: the cheapest news first. */
export const SUITES: readonly Suite[] = [
  { name: "unit-pure", roots: PURE_ROOTS, except: [], permissions: "none", parallel: true },
  {
    name: "unit",
    roots: ["src", "scripts", "bench"],
    except: PURE_ROOTS,
    permissions: "all",
    parallel: false,
  },
  suiteOfTests("sim"),
  suiteOfTests("integration"),
  suiteOfTests("conformance"),
  suiteOfTests("e2e"),
  suiteOfTests("chaos"),
  suiteOfTests("byzantine"),
];

/** What each task runs. `chaos` and `byzantine` take long and run at night. */
export const TASKS: Readonly<Record<string, readonly string[]>> = {
  all: ["unit-pure", "unit", "sim", "integration", "conformance", "e2e"],
  quick: ["unit-pure", "unit"],
  unit: ["unit-pure", "unit"],
  coverage: ["unit-pure", "unit"],
  sim: ["sim"],
  integration: ["integration"],
  conformance: ["conformance"],
  e2e: ["e2e"],
  chaos: ["chaos", "byzantine"],
};

function suiteOfTests(folder: string): Suite {
  return {
    name: folder,
    roots: [`tests/${folder}`],
    except: [],
    permissions: "all",
    parallel: false,
  };
}

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
