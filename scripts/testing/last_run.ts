/**
 * What the newest test run left behind: `deno task test:status` (counts and what failed), `test:logs` (its logs; `-- NAME` for one
 * suite), `test:artifacts` (its folder, opened where there is a desktop), `deno run -A scripts/testing/last_run.ts slowest`.
 *
 * @module
 */
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { compareRuns, comparisonText, readRuns } from "./history.ts";
import { readTestSettings } from "./test_settings.ts";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** Tests that `slowest` lists. */
const SLOWEST_COUNT = 30;

export interface Results {
  readonly task: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly troubles: readonly string[];
  readonly suites: readonly {
    readonly name: string;
    readonly passed: number;
    readonly failed: number;
    readonly seconds: number;
    readonly results: readonly {
      readonly name: string;
      readonly file: string;
      readonly outcome: "passed" | "failed" | "skipped";
      readonly seconds: number;
    }[];
  }[];
}

/** Ends the process with a line that says what to do when no test was ever run. */
export async function findLastRun(): Promise<string> {
  const parent = readTestSettings(Deno.env.toObject(), ROOT).artifactsFolder;
  const last = (await namesIn(parent)).filter((name) => /^\d{8}T\d{6}/.test(name)).sort().at(-1);
  if (last !== undefined) return join(parent, last);
  console.error(`Error: no test run has left anything in "${parent}" yet: deno task test:quick`);
  Deno.exit(1);
}

/** None where there is no such folder yet. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** What the run of this folder counted. */
export async function readResults(folder: string): Promise<Results> {
  return JSON.parse(await Deno.readTextFile(join(folder, "results.json")));
}

const ACTIONS: Readonly<Record<string, (folder: string, word?: string) => Promise<void>>> = {
  async status(folder) {
    const { task, suites, troubles, passed, failed, skipped } = await readResults(folder);
    console.log(`${basename(folder)}: ${task}`);
    for (const suite of suites) {
      const counts = `${suite.passed} passed, ${suite.failed} failed`;
      console.log(`  ${suite.name}: ${counts} in ${suite.seconds.toFixed(1)} s`);
    }
    for (const trouble of troubles) console.log(`  error: ${trouble}`);
    for (const { results } of suites) {
      for (const { name, outcome } of results) {
        if (outcome === "failed") console.log(`  failed: ${name}`);
      }
    }
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  },
  async logs(folder, word) {
    const names: string[] = [];
    for await (const { name } of Deno.readDir(folder)) if (name.endsWith(".log")) names.push(name);
    const wanted = names.sort().filter((name) => word === undefined || name === `${word}.log`);
    if (wanted.length === 0) {
      const known = names.map((name) => name.slice(0, -4)).join(", ");
      throw new TypeError(`Cannot print the logs of "${word ?? ""}": wanted one of ${known}`);
    }
    for (const name of wanted) {
      using file = await Deno.open(join(folder, name));
      await file.readable.pipeTo(Deno.stdout.writable, { preventClose: true });
    }
  },
  async artifacts(folder) {
    for await (const { name } of Deno.readDir(folder)) {
      console.log(join(relative(".", folder), name));
    }
    const opener = { linux: "xdg-open", darwin: "open", windows: "explorer" };
    const program = Object.entries(opener).find(([os]) => os === Deno.build.os)?.[1];
    const hasDesktop = Deno.build.os !== "linux" || Deno.env.has("DISPLAY");
    if (program === undefined || !hasDesktop) return;
    await new Deno.Command(program, { args: [folder] }).output();
  },
  async slowest(folder) {
    const { suites } = await readResults(folder);
    const tests = suites.flatMap(({ name: suite, results }) =>
      results.map(({ name, seconds }) => ({ suite, name, seconds }))
    );
    for (const test of tests.toSorted((a, b) => b.seconds - a.seconds).slice(0, SLOWEST_COUNT)) {
      console.log(`${test.seconds.toFixed(2).padStart(8)} s  ${test.suite}: ${test.name}`);
    }
    const compared = comparisonText(compareRuns(await readRuns(dirname(folder))));
    for (const line of compared) console.log(line);
  },
};

if (import.meta.main) {
  const [action = "status", ...words] = Deno.args.filter((word) => word !== "--");
  const act = ACTIONS[action];
  if (act === undefined) {
    throw new TypeError(`Cannot "${action}": wanted one of ${Object.keys(ACTIONS).join(", ")}`);
  }
  await act(await findLastRun(), words[0]);
}
