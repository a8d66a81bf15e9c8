import assert from "node:assert/strict";
import { countResults, parseJunit } from "./junit.ts";

const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="5" failures="1" errors="1" time="0.001">
    <testsuite name="./a_test.ts" tests="5" disabled="1" errors="1" failures="1">
        <testcase name="x &lt;ok&gt;" classname="./a_test.ts" time="0.002" line="1" col="6">
        </testcase>
        <testcase name="ig" classname="./a_test.ts" time="0.000" line="2" col="6">
            <skipped/>
        </testcase>
        <testcase name="bad" classname="./a_test.ts" time="0.005" line="3" col="6">
            <failure message="Uncaught Error">Error: nope</failure>
        </testcase>
        <testcase name="cut" classname="./a_test.ts" time="0.000" line="4" col="6">
            <error message="Cancelled"/>
        </testcase>
        <testcase name="x &lt;ok&gt; &gt; inner" classname="./a_test.ts" time="0.000" line="1" col="40">
        </testcase>
    </testsuite>
</testsuites>`;

Deno.test("parseJunit() counts each test once, steps not at all", () => {
  const results = parseJunit(REPORT);
  assert.deepEqual(results.map((result) => `${result.name}: ${result.outcome}`), [
    "x <ok>: passed",
    "ig: skipped",
    "bad: failed",
    "cut: failed",
  ]);
  assert.deepEqual(countResults(results), { passed: 1, failed: 2, skipped: 1 });
});

Deno.test("parseJunit() refuses a report that was cut off", () => {
  assert.throws(() => parseJunit(REPORT.slice(0, -20)), TypeError);
});

Deno.test("parseJunit() keeps a test whose name only looks like a step", () => {
  const results = parseJunit(
    `<testsuites><testsuite name="f"><testcase name="a &gt; b" time="1"/></testsuite></testsuites>`,
  );
  assert.equal(results[0]?.name, "a > b");
});
