import assert from "node:assert/strict";
import { sumLcov } from "./coverage.ts";

Deno.test("sumLcov() adds up the wanted files only", () => {
  const lcov = "SF:/r/src/a.ts\nDA:1,1\nLF:10\nLH:9\nend_of_record\n" +
    "SF:/r/src/b.ts\nLF:2\nLH:0\nend_of_record\nSF:/r/tests/c.ts\nLF:5\nLH:5\nend_of_record\n";
  const covered = sumLcov(lcov, (path) => path.startsWith("/r/src/"));
  assert.deepEqual(covered, { lines: 12, linesHit: 9 });
});
