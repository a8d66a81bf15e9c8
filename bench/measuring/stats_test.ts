import assert from "node:assert/strict";
import { fixed, median, percentile } from "./stats.ts";

Deno.test("percentile() takes the nearest rank", () => {
  const values = Array.from({ length: 20 }, (_, index) => 20 - index);
  assert.equal(percentile(values, 0.5), 10);
  assert.equal(percentile(values, 0.95), 19);
  assert.equal(percentile(values, 1), 20);
  assert.equal(percentile([7], 0.01), 7);
  assert.equal(fixed(median([]), 1), "–");
});
