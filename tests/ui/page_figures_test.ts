import assert from "node:assert/strict";
import { bytesText, hueOf, rateText, spanText } from "../../src/ui/parts/format.ts";

Deno.test("figures are short and have a unit", () => {
  assert.deepEqual([0, 999, 2_048, 1.5 * 2 ** 30, 3 * 2 ** 40].map(bytesText), [
    "0 B",
    "999 B",
    "2.0 KiB",
    "1.5 GiB",
    "3.0 TiB",
  ]);
  assert.deepEqual([3, 2_400, 180_000, 7_200_000, 172_800_000].map(spanText), [
    "3 ms",
    "2.4 s",
    "3 min",
    "2 h",
    "2 d",
  ]);
  assert.deepEqual([12.34, 1_236].map(rateText), ["12.3", "1236"]);
});

Deno.test("a model has one colour, with and without its usual tag", () => {
  assert.equal(hueOf("tiny"), hueOf("tiny:latest"));
  assert.notEqual(hueOf("tiny"), hueOf("tiny:1b"));
});
