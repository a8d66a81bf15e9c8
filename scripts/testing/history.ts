/**
 * What tests took and how they ended, kept over runs, and what a run says beside the earlier ones.
 *
 * @module
 */
import { join } from "node:path";
import type { TestResult } from "./junit.ts";

/** Older runs are forgotten. */
const RUNS_MAX = 60;
/** So many earlier runs make a usual time. */
const USUAL_RUNS_MIN = 3;
const SLOWER_TIMES = 2;
/** Below that a machine's mood says more than a test. */
const SLOWER_SECONDS_MIN = 1;

/** One run, as a line of `history.jsonl`. */
export interface PastRun {
  /** ISO time of its end. */
  readonly at: string;
  readonly task: string;
  /** Of the sources; empty where there is no repository, or where it was changed. */
  readonly commit: string;
  readonly tests: Readonly<Record<string, PastTest>>;
}

interface PastTest {
  readonly outcome: TestResult["outcome"];
  readonly seconds: number;
}

/** What comparing says. */
export interface Comparison {
  /** Passed and failed with the same sources. */
  readonly flaky: readonly string[];
  /** Took more than twice as long as usual, the worst first. */
  readonly slower: readonly {
    readonly test: string;
    readonly seconds: number;
    readonly usual: number;
  }[];
}

/** The last run beside those before it, oldest first. */
export function compareRuns(runs: readonly PastRun[]): Comparison {
  const last = runs.at(-1);
  if (last === undefined) return { flaky: [], slower: [] };
  const slower = Object.entries(last.tests).flatMap(([test, { outcome, seconds }]) => {
    const earlier = runs.slice(0, -1).flatMap(({ tests }) => tests[test] ?? [])
      .filter((its) => its.outcome === "passed");
    if (outcome !== "passed" || earlier.length < USUAL_RUNS_MIN) return [];
    const usual = median(earlier.map((its) => its.seconds));
    const isSlower = seconds > SLOWER_TIMES * usual && seconds - usual > SLOWER_SECONDS_MIN;
    return isSlower ? [{ test, seconds, usual }] : [];
  });
  return {
    flaky: findFlaky(runs),
    slower: slower.toSorted((a, b) => b.seconds - b.usual - (a.seconds - a.usual)),
  };
}

function findFlaky(runs: readonly PastRun[]): string[] {
  const seen = new Map<string, Set<string>>();
  for (const { commit, tests } of runs) {
    if (commit === "") continue;
    for (const [test, { outcome }] of Object.entries(tests)) {
      const key = `${commit} ${test}`;
      seen.set(key, (seen.get(key) ?? new Set()).add(outcome));
    }
  }
  const flaky = [...seen].filter(([, outcomes]) =>
    outcomes.has("passed") && outcomes.has("failed")
  );
  return [...new Set(flaky.map(([key]) => key.slice(key.indexOf(" ") + 1)))].sort();
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

/** Adds a run to the history in the folder of all runs and returns the runs, oldest first. */
export async function addRun(
  folder: string,
  run: Pick<PastRun, "at" | "task" | "commit"> & { readonly results: readonly TestResult[] },
): Promise<PastRun[]> {
  const { results, ...rest } = run;
  const tests = Object.fromEntries(
    results.filter(({ outcome }) => outcome !== "skipped")
      .map(({ name, outcome, seconds }) => [name, { outcome, seconds }]),
  );
  const runs = [...await readRuns(folder), { ...rest, tests }].slice(-RUNS_MAX);
  const text = runs.map((line) => JSON.stringify(line) + "\n").join("");
  await Deno.writeTextFile(join(folder, "history.jsonl"), text);
  return runs;
}

/** The runs that are remembered, oldest first. */
export async function readRuns(folder: string): Promise<PastRun[]> {
  try {
    const text = await Deno.readTextFile(join(folder, "history.jsonl"));
    return text.trim().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Lines for people; none where nothing is to be said. */
export function comparisonText({ flaky, slower }: Comparison): string[] {
  return [
    ...flaky.map((test) => `flaky: ${test}`),
    ...slower.map(({ test, seconds, usual }) =>
      `slower: ${seconds.toFixed(1)} s, usually ${usual.toFixed(1)} s: ${test}`
    ),
  ];
}
