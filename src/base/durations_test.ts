import assert from "node:assert/strict";
import fc from "fast-check";
import { formatGoDuration, parseGoDuration } from "./durations.ts";

Deno.test("parseGoDuration reads what Go reads", () => {
  const rows: readonly (readonly [string, number | undefined])[] = [
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["300ms", 300],
    ["1.5s", 1_500],
    ["-1m", -60_000],
    ["0", 0],
    ["-0", 0],
    ["10us", 0.01],
    ["5", undefined],
    ["5 m", undefined],
    ["m", undefined],
    ["", undefined],
  ];
  for (const [text, wanted] of rows) {
    assert.equal(Math.abs(parseGoDuration(text) ?? NaN), Math.abs(wanted ?? NaN), text);
  }
  assert.equal(parseGoDuration("-1m"), -60_000);
});

Deno.test("formatGoDuration is read back as the same span", () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 1e10 }), (durationMs) => {
    assert.equal(parseGoDuration(formatGoDuration(durationMs)), durationMs);
  }));
  assert.deepEqual([300_000, 5_400_000, 300, 1_500, 0].map(formatGoDuration), [
    "5m",
    "1h30m",
    "300ms",
    "1.5s",
    "0s",
  ]);
});
