import assert from "node:assert/strict";
import { addRun, compareRuns, comparisonText, type PastRun, readRuns } from "./history.ts";

function run(commit: string, seconds: number, outcome: "passed" | "failed" = "passed"): PastRun {
  return { at: "2026-01-31T12:00:00Z", task: "quick", commit, tests: { t: { outcome, seconds } } };
}

Deno.test("A test that takes twice its usual time is named, and one that a second explains is not", () => {
  const earlier = [run("a", 2), run("b", 3), run("c", 2.5)];
  assert.deepEqual(compareRuns([...earlier, run("d", 6)]).slower, [
    { test: "t", seconds: 6, usual: 2.5 },
  ]);
  assert.deepEqual(compareRuns([...earlier, run("d", 4.9)]).slower, []);
  assert.deepEqual(
    compareRuns([run("a", 0.1), run("b", 0.1), run("c", 0.1), run("d", 1)]).slower,
    [],
  );
  assert.deepEqual(compareRuns([run("a", 2), run("b", 60)]).slower, [], "one run is no usual time");
});

Deno.test("A test that passed and failed with the same sources is flaky, with others or changed ones it is not", () => {
  assert.deepEqual(compareRuns([run("a", 1), run("a", 1, "failed")]).flaky, ["t"]);
  assert.deepEqual(compareRuns([run("a", 1), run("b", 1, "failed")]).flaky, []);
  assert.deepEqual(compareRuns([run("", 1), run("", 1, "failed")]).flaky, []);
});

Deno.test("History keeps the newest sixty runs and what they took", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const result = { file: "x_test.ts", name: "t", outcome: "passed", seconds: 1 } as const;
    const skipped = { ...result, name: "left out", outcome: "skipped" } as const;
    for (let number = 0; number < 62; number++) {
      const results = [{ ...result, seconds: number }, skipped];
      await addRun(folder, { at: "now", task: "quick", commit: String(number), results });
    }
    const runs = await readRuns(folder);
    assert.equal(runs.length, 60);
    assert.deepEqual(runs.at(-1)?.tests, { t: { outcome: "passed", seconds: 61 } });
    assert.deepEqual(comparisonText(compareRuns(runs)), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
