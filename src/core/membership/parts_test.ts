import assert from "node:assert/strict";
import { type Incarnation, type NodeId, Random } from "../../base/mod.ts";
import type { MemberClaim } from "../../protocol/mod.ts";
import { Roster } from "./roster.ts";
import { Rumors } from "./rumors.ts";
import { Suspicion } from "./suspicion.ts";
import { Timers } from "./timers.ts";
import { log10Thousandths, MEMBERS_MAX, syncIntervalMs } from "./timing.ts";
import { MEMBERSHIP_PRESETS } from "./mod.ts";

const idOf = (index: number) => index.toString(16).padStart(16, "0") as NodeId;
const claimOf = (index: number, standing: MemberClaim["standing"] = "alive"): MemberClaim => ({
  nodeId: idOf(index),
  standing,
  bootEpoch: 1,
  incarnation: 0 as Incarnation,
  address: `n${index}:1`,
  accuser: undefined,
});

Deno.test("Suspicion ends sooner with each member that shares it, and not by its first accuser", () => {
  const suspicion = new Suspicion(idOf(1), {
    startedMs: 100,
    msMin: 1_000,
    msMax: 3_000,
    accusersPossible: 9,
  });
  assert.equal(suspicion.deadlineMs(), 3_100);
  assert.equal(
    suspicion.confirm(idOf(1)),
    false,
    "its origin is no confirmation (memberlist 2016)",
  );
  assert.equal(suspicion.confirm(idOf(2)), true);
  assert.equal(suspicion.confirm(idOf(2)), false);
  assert.equal(suspicion.deadlineMs(), 2_100);
  suspicion.confirm(idOf(3));
  suspicion.confirm(idOf(4));
  assert.equal(suspicion.deadlineMs(), 1_100);
  assert.equal(suspicion.confirm(idOf(5)), false);
});

Deno.test("Suspicion in a cluster of two waits for no one else", () => {
  const options = { startedMs: 0, msMin: 1_000, msMax: 3_000, accusersPossible: 1 };
  assert.equal(new Suspicion(idOf(1), options).deadlineMs(), 1_000);
});

Deno.test("Timers come out by time, then by age, without the cancelled ones", () => {
  const random = new Random(1);
  const timers = new Timers<number>();
  const kept: { dueMs: number; fact: number }[] = [];
  for (let fact = 0; fact < 2_000; fact++) {
    const dueMs = random.below(500);
    const timer = timers.at(dueMs, fact);
    if (random.chance(2, 3)) timers.cancel(timer);
    else kept.push({ dueMs, fact });
  }
  const expected = kept.sort((a, b) => a.dueMs - b.dueMs || a.fact - b.fact).map((k) => k.fact);
  const found: number[] = [];
  for (let fact = timers.takeDue(499); fact !== undefined; fact = timers.takeDue(499)) {
    found.push(fact);
  }
  assert.deepEqual(found, expected);
  assert.equal(timers.nextDueMs(), undefined);
});

Deno.test("Rumors sends the least often sent first and each a bounded number of times", () => {
  const rumors = new Rumors({ rumorsMax: 10 });
  const sentCounts = new Map<number, number>();
  for (let subject = 0; subject < 6; subject++) rumors.add(`${subject}`, Uint8Array.of(subject, 0));
  for (let packet = 0; packet < 20; packet++) {
    for (const [subject = -1] of rumors.take(4, 3)) {
      sentCounts.set(subject, (sentCounts.get(subject) ?? 0) + 1);
    }
  }
  assert.deepEqual([...sentCounts.values()], [3, 3, 3, 3, 3, 3]);
  assert.equal(rumors.count, 0, "the backlog drains (foca 19)");
});

Deno.test("Rumors replaces what is outdated and drops the most often sent when full", () => {
  const rumors = new Rumors({ rumorsMax: 2 });
  rumors.add("a", Uint8Array.of(1));
  rumors.add("a", Uint8Array.of(2));
  assert.deepEqual(rumors.take(100, 9), [Uint8Array.of(2)]);
  rumors.add("b", Uint8Array.of(3));
  rumors.add("c", Uint8Array.of(4));
  assert.deepEqual(rumors.take(100, 9), [Uint8Array.of(3), Uint8Array.of(4)]);
});

Deno.test("Rumors passes over what does not fit", () => {
  const rumors = new Rumors({ rumorsMax: 9 });
  rumors.add("long", new Uint8Array(50));
  rumors.add("short", Uint8Array.of(1));
  assert.deepEqual(rumors.take(10, 9), [Uint8Array.of(1)]);
});

for (const count of [1, 2, 3, 10]) {
  Deno.test(`Roster gives each of ${count} others one turn per round (memberlist 2026)`, () => {
    const roster = new Roster(new Random(count));
    for (let index = 1; index <= count; index++) roster.add(claimOf(index), 0, true);
    for (let round = 0; round < 5; round++) {
      const turns = Array.from({ length: count }, () => roster.nextProbeTarget()?.nodeId);
      assert.equal(new Set(turns).size, count);
      assert.equal(turns.includes(undefined), false);
    }
  });
}

Deno.test("Roster picks no one twice and no one excluded", () => {
  const roster = new Roster(new Random(1));
  for (let index = 1; index <= 5; index++) roster.add(claimOf(index), 0, true);
  for (let round = 0; round < 50; round++) {
    const picked = roster.pickLive(3, (member) => member.nodeId !== idOf(2));
    assert.equal(new Set(picked).size, 3);
    assert.ok(picked.every((member) => member.nodeId !== idOf(2)));
  }
});

Deno.test("Roster is bounded: the one gone longest makes room, a live one never (foca 31)", () => {
  const roster = new Roster(new Random(1));
  for (let index = 1; index < MEMBERS_MAX; index++) roster.add(claimOf(index), 0, true);
  roster.add(claimOf(MEMBERS_MAX, "down"), 5, true);
  assert.notEqual(roster.add(claimOf(MEMBERS_MAX + 1), 9, true), undefined);
  assert.equal(roster.find(idOf(MEMBERS_MAX)), undefined);
  assert.equal(roster.add(claimOf(MEMBERS_MAX + 2), 9, true), undefined);
  assert.equal(roster.size, MEMBERS_MAX);
});

Deno.test("log10Thousandths() stays within 4 % of the logarithm", () => {
  for (let count = 2; count <= 4096; count++) {
    const error = Math.abs(log10Thousandths(count) / 1000 - Math.log10(count));
    assert.ok(error <= 0.04 * Math.max(1, Math.log10(count)), `count ${count}`);
  }
});

Deno.test("syncIntervalMs() grows with the logarithm of the cluster", () => {
  const timing = MEMBERSHIP_PRESETS.lan;
  const spans = [2, 32, 33, 64, 65, 1_000].map((count) => syncIntervalMs(timing, count) / 1000);
  assert.deepEqual(spans, [30, 30, 60, 60, 90, 180]);
});
