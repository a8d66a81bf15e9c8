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

/** Nodes that tell each other what a key used. */
function metersOf(count: number, limits: KeyLimits) {
  const meters = Array.from({ length: count }, () => new KeyMeter());
  return {
    meters,
    ask: (at: number, nowMs: number) => meters[at]?.admit("k", limits, nowMs).kind === "admitted",
    tell(nowMs: number) {
      for (const [from, meter] of meters.entries()) {
        const uses = meter.told(nowMs);
        for (const other of meters) {
          if (other !== meter) other.hear(`n${from}`, uses, { limitsOf: () => limits, nowMs });
        }
      }
    },
  };
}

Deno.test("a key's requests a minute are those of all nodes, and what was too many at once is made up for", () => {
  const { meters, ask, tell } = metersOf(3, limitedTo({ requestsPerMinute: 60 }));
  let admitted = 0;
  for (let ms = 0; ms < 600_000; ms += 100) {
    for (let at = 0; at < 3; at++) if (ask(at, NOON + ms)) admitted++;
    if (ms % 1_000 === 0) tell(NOON + ms);
  }
  // Ten minutes of 60, the 60 that were there at first, and once more for each other node that had not heard yet.
  assert.ok(admitted >= 600 && admitted <= 660 + 2 * 60, `${admitted} admitted`);
  const [meter] = meters;
  assert.equal(meter?.check("k", limitedTo({ requestsPerMinute: 60 }), NOON).kind, "limited");
});

Deno.test("a key's tokens of a day are those of all nodes, and of those that started anew since", () => {
  const limits = limitedTo({ tokensPerDay: 1_000 });
  const { meters: [here, there], ask, tell } = metersOf(2, limits);
  assert.ok(here !== undefined && there !== undefined && ask(0, NOON) && ask(1, NOON));
  there.addTokens("k", 600);
  tell(NOON);
  tell(NOON);
  here.addTokens("k", 100);
  assert.ok(ask(0, NOON));
  // It lost its count; what it used before it did is still known here.
  const anew = new KeyMeter();
  anew.admit("k", limits, NOON);
  anew.addTokens("k", 300);
  here.hear("n1", anew.told(NOON), { limitsOf: () => limits, nowMs: NOON });
  assert.ok(!ask(0, NOON));
  assert.ok(ask(0, NOON + 24 * HOUR_MS), "the next day is another");
});

Deno.test("a key's requests at once are those of all nodes that are there", () => {
  const limits = limitedTo({ concurrentRequests: 2 });
  const { meters: [here, there], ask, tell } = metersOf(2, limits);
  assert.ok(ask(1, NOON) && ask(1, NOON));
  tell(NOON);
  assert.ok(!ask(0, NOON));
  there?.end("k");
  tell(NOON);
  assert.ok(ask(0, NOON));
  assert.ok(!ask(0, NOON));
  here?.hear("n1", undefined, { limitsOf: () => limits, nowMs: NOON });
  assert.ok(ask(0, NOON), "what ran on a node that is gone runs no more");
});

Deno.test("of keys without limits the others are told nothing", () => {
  const meter = new KeyMeter();
  meter.onChanged(() => assert.fail("there is nothing to tell"));
  meter.admit("k", NO_LIMITS, NOON);
  meter.end("k");
  assert.deepEqual(meter.told(NOON).keys, []);
});
