import assert from "node:assert/strict";
import { type KeyLimits, KeyMeter, NO_LIMITS, readKeyLimits, writeKeyLimits } from "./mod.ts";

/** Noon of a day. */
const NOON = Date.UTC(2026, 0, 1, 12);
const HOUR_MS = 3_600_000;

function limitedTo(limits: Partial<KeyLimits>): KeyLimits {
  return { ...NO_LIMITS, ...limits };
}

Deno.test("a key without limits is never limited", () => {
  const meter = new KeyMeter();
  for (let at = 0; at < 1_000; at++) {
    assert.deepEqual(meter.admit("k", NO_LIMITS, NOON), { kind: "admitted", standing: {} });
    meter.addTokens("k", 1_000_000);
  }
});

Deno.test("a key makes so many requests a minute, and more as they come back, each key its own", () => {
  const meter = new KeyMeter();
  const limits = limitedTo({ requestsPerMinute: 2 });
  const ask = (nowMs: number, key = "k") => meter.admit(key, limits, nowMs);
  assert.deepEqual(ask(NOON), {
    kind: "admitted",
    standing: { requests: { limit: 2, remaining: 1, resetMs: 30_000 } },
  });
  assert.equal(ask(NOON).kind, "admitted");
  assert.deepEqual(ask(NOON + 10_000), {
    kind: "limited",
    by: "requestsPerMinute",
    limit: 2,
    retryMs: 20_000,
    standing: { requests: { limit: 2, remaining: 0, resetMs: 50_000 } },
  });
  assert.equal(ask(NOON + 10_000, "other").kind, "admitted");
  assert.equal(ask(NOON + 30_000).kind, "admitted");
  assert.equal(ask(NOON + 30_000).kind, "limited");
});

Deno.test("a key uses so many tokens a day, and starts again with the next one", () => {
  const meter = new KeyMeter();
  const limits = limitedTo({ tokensPerDay: 100 });
  meter.admit("k", limits, NOON);
  meter.addTokens("k", 60);
  const { standing } = meter.admit("k", limits, NOON);
  assert.deepEqual(standing.tokens, { limit: 100, remaining: 40, resetMs: 12 * HOUR_MS });
  meter.addTokens("k", 60);
  const over = meter.admit("k", limits, NOON + HOUR_MS);
  assert.ok(over.kind === "limited" && over.by === "tokensPerDay");
  assert.equal(over.retryMs, 11 * HOUR_MS);
  assert.equal(meter.admit("k", limits, NOON + 12 * HOUR_MS).kind, "admitted");
});

Deno.test("a key has so many requests at once", () => {
  const meter = new KeyMeter();
  const limits = limitedTo({ concurrentRequests: 2 });
  for (let at = 0; at < 2; at++) assert.equal(meter.admit("k", limits, NOON).kind, "admitted");
  const over = meter.admit("k", limits, NOON);
  assert.ok(over.kind === "limited" && over.by === "concurrentRequests");
  meter.end("k");
  assert.equal(meter.admit("k", limits, NOON).kind, "admitted");
});

Deno.test("limits that make no sense are none", () => {
  const limits = limitedTo({ weight: 5, tokensPerDay: 7 });
  assert.deepEqual(readKeyLimits(writeKeyLimits(limits)), limits);
  for (const nonsense of [undefined, "", "{", "7", '{"weight":0}']) {
    assert.deepEqual(readKeyLimits(nonsense), NO_LIMITS);
  }
});
