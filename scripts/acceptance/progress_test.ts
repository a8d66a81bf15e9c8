import assert from "node:assert/strict";
import { keyOf, type Verdict } from "./page.ts";
import { filterOf, nextRun, noteRows, piecesLeft, type Progress, takeUp } from "./progress.ts";
import { type Scenario, SCENARIOS } from "./scenarios.ts";

const row = (name: string, test: string): Scenario => ({
  ...{ group: "G", name, file: "tests/a_test.ts", test },
});
const ROWS = [row("one", "first"), row("two", "second"), row("three", "first")];
const FRESH = takeUp(undefined, "abc");

function ran(
  progress: Progress,
  test: string,
  results: Readonly<Record<string, Verdict["result"]>>,
) {
  const verdicts = new Map(
    Object.entries(results).map(([name, result]) => [
      keyOf({ group: "G", name }),
      { result, figure: "1.0 s", day: "2026-01-31" },
    ]),
  );
  const piece = { file: "tests/a_test.ts", test };
  return noteRows(progress, { scenarios: ROWS, piece, verdicts, day: "2026-01-31", seconds: 7 });
}

Deno.test("A run in pieces goes on behind the rows that it has reached, each test once", () => {
  const tests = (progress: Progress) => piecesLeft(ROWS, progress).map(({ test }) => test);
  assert.deepEqual(tests(FRESH), ["first", "second"]);
  const half = ran(FRESH, "first", { one: "passed", three: "passed" });
  assert.deepEqual(tests(half), ["second"]);
  assert.equal(half.seconds, 7);
  assert.deepEqual(tests(ran(half, "second", { two: "failed" })), []);
});

Deno.test("Runs in pieces count while each row passes, and on the same sources alone", () => {
  const half = ran(FRESH, "first", { one: "passed", three: "passed" });
  const once = nextRun(ran(half, "second", { two: "passed" }));
  assert.equal(once.greenRuns, 1);
  assert.equal(piecesLeft(ROWS, once).length, 2, "the next run begins anew");
  for (const result of ["failed", "skipped"] as const) {
    assert.equal(nextRun(ran({ ...half, greenRuns: 2 }, "second", { two: result })).greenRuns, 0);
  }
  assert.deepEqual(takeUp(once, "abc"), once);
  assert.deepEqual(takeUp(once, "abd"), { ...FRESH, sources: "abd" });
});

Deno.test("A piece that says nothing of its row has failed there, and is not asked again", () => {
  const progress = ran(FRESH, "first", { one: "passed" });
  assert.equal(progress.verdicts["G: three"]?.result, "failed");
  assert.deepEqual(piecesLeft(ROWS, progress).map(({ test }) => test), ["second"]);
});

Deno.test("Each test of a scenario is chosen by its filter, and none that is only called alike", () => {
  for (const scenario of SCENARIOS) {
    const pattern = new RegExp(filterOf(scenario).slice(1, -1));
    const name = scenario.test.replaceAll(/\$\{[^}]*\}/g, "anything");
    assert.ok(pattern.test(name), name);
    assert.ok(!pattern.test(`${name} twice`) || scenario.test.endsWith("}"), name);
  }
});
