import assert from "node:assert/strict";
import type { NodeIdentity } from "../transport/mod.ts";
import { openIdentity } from "../transport/mod.ts";
import { readCertificate } from "../transport/identity/certificate.ts";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import { MemoryFiles } from "../../tests/harness/memory_files.ts";
import { renewRegularly } from "./renewal.ts";

const NOW_MS = Date.parse("2026-11-29T12:00:00Z");
const DAY_MS = 24 * 3_600_000;
const YEAR_MS = 365 * DAY_MS;

/** The founder of a cluster whose clock is wrong by so much, and what it shows others from then on. */
async function founder(wrongByMs: number) {
  const hand = new HandClock();
  const wrong = { byMs: wrongByMs };
  const clock = {
    monotonicMs: hand.monotonicMs,
    nowMs: () => NOW_MS + hand.nowMs() + wrong.byMs,
    after: hand.after.bind(hand),
  };
  const stored = await openIdentity(new MemoryFiles(), { name: "n1", nowMs: clock.nowMs });
  await stored.found();
  const shown: NodeIdentity[] = [];
  const log: string[] = [];
  let looks = 0;
  let wake = () => {};
  const renewal = renewRegularly({
    ...{ stored, clock, log: { log: (_level, event) => void log.push(event) } },
    transport: { useIdentity: (identity) => void shown.push(identity) },
    keeper: {
      look() {
        looks++;
        wake();
      },
    },
  });
  /** Time passes, and what was looked at then comes to its end. */
  const advance = async (ms: number, expected = looks) => {
    await hand.advance(ms);
    while (looks < expected) await new Promise<void>((resolve) => wake = resolve);
  };
  return { wrong, shown, log, renewal, advance, looks: () => looks };
}

function isValidNow(der: Uint8Array<ArrayBuffer>): boolean {
  const read = readCertificate(der);
  return read !== undefined && read.notBeforeMs <= NOW_MS && NOW_MS < read.notAfterMs;
}

for (const wrongByMs of [YEAR_MS, -2 * YEAR_MS]) {
  Deno.test(`what was made under a clock wrong by ${wrongByMs / YEAR_MS} years is made anew as soon as it is right`, async () => {
    const { wrong, shown, log, renewal, advance, looks } = await founder(wrongByMs);
    await advance(60_000);
    assert.deepEqual([shown, log, looks()], [[], [], 0]);
    wrong.byMs = 0;
    await advance(5_000, 1);
    assert.deepEqual([log, looks()], [["clock_was_set"], 1]);
    const identity = shown.at(-1);
    assert.ok(identity !== undefined);
    assert.ok(isValidNow(identity.leaf), "what it shows in TLS");
    assert.ok(isValidNow(identity.certificate), "what the authority says of it");
    await advance(60_000);
    assert.equal(log.length, 1);
    renewal.cancel();
  });
}

Deno.test("without a word of the clock a node looks once an hour, and no more once it is closed", async () => {
  const { renewal, advance, looks, log } = await founder(0);
  await advance(3_600_000 - 1);
  assert.equal(looks(), 0);
  await advance(1, 1);
  assert.equal(looks(), 1);
  await advance(3_600_000 - 1);
  assert.equal(looks(), 1);
  renewal.cancel();
  await advance(3 * 3_600_000);
  assert.deepEqual([looks(), log], [1, []]);
});
