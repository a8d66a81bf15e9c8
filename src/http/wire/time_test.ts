import assert from "node:assert/strict";
import { parseKeepAlive } from "./inference_fields.ts";
import { localTime, utcTime } from "./time.ts";

for (
  const [value, keepAliveMs] of [
    [undefined, undefined],
    [null, undefined],
    [0, 0],
    [1.5, 1500],
    [-1, Infinity],
    ["-1s", Infinity],
    ["10m", 600_000],
    [1e15, Infinity],
  ] as const
) {
  Deno.test(`parseKeepAlive(${JSON.stringify(value)}) is ${keepAliveMs}`, () => {
    assert.equal(parseKeepAlive(value), keepAliveMs);
  });
}

Deno.test("utcTime() is RFC 3339 in UTC", () => {
  assert.equal(utcTime(0), "1970-01-01T00:00:00.000Z");
});

Deno.test("localTime() names the same instant with a zone", () => {
  const timeMs = Date.UTC(2026, 5, 1, 12, 0, 0, 7);
  const text = localTime(timeMs);
  assert.match(text, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)$/);
  assert.equal(Date.parse(text), timeMs);
});
