import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findTestFiles, SUITES } from "../testing/suites.ts";
import { judge, keyOf, readVerdicts, renderPage } from "./page.ts";
import { type Scenario, SCENARIO_FILES, SCENARIOS } from "./scenarios.ts";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The names of the list that the product was asked for, in its words. */
const WANTED = {
  "Unit (beside the code)": "discovery, scheduler, model sync, API",
  "Integration":
    "basic inference, inference over more than one node, load balancing, model sync, replication, eviction, versioning, " +
    "node failure, leader failover, partial failure, consensus operations, consensus consistency, " +
    "data integrity during failures, scaling up under load",
  "End to end":
    "complete workflow, model management, fault tolerance, scaling, single-node bootstrap, cluster expansion",
  "Performance":
    "1,000 requests at 50 at once, 100 in a row, 20 models, burst, sustained, memory leak, network throughput",
  "Chaos":
    "random node failure, partition 90 s, exhaustion with 50 models, cascading, storm and recovery, memory pressure, high latency",
  "Byzantine: 1,000 lies of each kind from an admitted member":
    "term, commit, epoch, incarnation, forwarded proposals, definitions, templates, load, ownership, blobs",
  "Targets":
    "more than 10 requests a second| 100 and more at once| 10 and more nodes| 30 % of nodes lost at once| start in less than 30 s| " +
    "cluster traffic below 10 %| less than 4 GB a node| small models in less than 5 s| 70B by plan",
};

Deno.test("Every scenario that is asked for is in the table", () => {
  for (const [group, names] of Object.entries(WANTED)) {
    const rows = SCENARIOS.filter((scenario) => scenario.group === group).map(({ name }) => name);
    const wanted = names.split(group === "Targets" ? "| " : /, (?=[a-zA-Z0-9])(?!000 )/);
    const missing = wanted.filter((name) => !rows.some((row) => row.includes(name)));
    assert.deepEqual(missing, [], `${group}: there are ${rows.join("; ")}`);
  }
});

Deno.test("Every scenario's test is there by its name, in a file that some suite runs", async () => {
  const files = (await Promise.all(SUITES.map((suite) => findTestFiles(suite, ROOT)))).flat();
  assert.deepEqual(SCENARIO_FILES.filter((file) => !files.includes(file)), []);
  const texts = new Map(SCENARIO_FILES.map((file) => [
    file,
    Deno.readTextFileSync(join(ROOT, file)),
  ]));
  const isThere = ({ file, test }: Scenario) =>
    ['"', "`"].some((quote) => texts.get(file)?.includes(quote + test + quote));
  assert.deepEqual(SCENARIOS.filter((row) => !isThere(row)).map(({ test }) => test), []);
});

Deno.test("The page names every scenario and test", () => {
  const page = Deno.readTextFileSync(join(ROOT, "docs/ACCEPTANCE.md"));
  const made = renderPage(SCENARIOS, { verdicts: new Map(), before: page, conditions: [] });
  assert.equal(page, made, "run deno task acceptance:page");
});

const ROW = {
  group: "Chaos",
  name: "storm | rain",
  file: "tests/x_test.ts",
  test: "${N} are *it*",
};

Deno.test("A run's verdict takes the worst of a scenario's tests, with the figure that it told", () => {
  const result = (name: string, outcome: "passed" | "failed") => ({
    ...{ file: ROW.file, name, outcome, seconds: 1.5 },
  });
  const verdicts = judge([ROW], {
    day: "2026-01-31",
    results: [
      result("3 are *it*", "failed"),
      result("4 are *it*", "passed"),
      result("it", "failed"),
    ],
    figures: [{ test: "4 are *it*", figure: "7 | 8 ms" }],
  });
  const expected = { result: "failed", figure: "7 | 8 ms", day: "2026-01-31" } as const;
  assert.deepEqual([...verdicts], [[keyOf(ROW), expected]]);
  const page = renderPage([ROW], { verdicts, before: "", conditions: ["2 cores"] });
  assert.deepEqual([...readVerdicts(page)], [[keyOf(ROW), expected]]);
  const again = renderPage([ROW], { verdicts: new Map(), before: page, conditions: [] });
  assert.equal(again, page, "what no run reached stays");
  const skipped = new Map([[keyOf(ROW), { ...expected, result: "skipped" } as const]]);
  assert.equal(renderPage([ROW], { verdicts: skipped, before: page, conditions: [] }), page);
});

Deno.test("A scenario that no run reached says so", () => {
  const page = renderPage([ROW], { verdicts: new Map(), before: "", conditions: [] });
  assert.match(page, /\| not run \|/);
});
