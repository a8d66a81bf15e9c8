import assert from "node:assert/strict";
import { MEMBERSHIP_PRESETS } from "../../src/core/membership/mod.ts";
import { MembershipWorld } from "./membership_world.ts";

const timing = MEMBERSHIP_PRESETS.lan;

Deno.test("Membership heals after both halves have buried each other", () => {
  const world = new MembershipWorld({ seed: 1, nodeCount: 10, timing });
  world.advance(5_000);
  // Given a partition, long enough for every verdict and every rumour of it to be over.
  world.cut = (from, to) => (from < 5) !== (to < 5);
  world.advance(120_000);
  assert.equal(world.standing(0, 9), "down");
  assert.equal(world.standing(9, 0), "down");
  // When it ends
  world.cut = () => false;
  // then all are members again within three announcements, and no one who never was cut off is buried on the way.
  world.changes.length = 0;
  const healed = world.until(3 * timing.announceIntervalMs, () => world.converged());
  assert.ok(healed);
  assert.deepEqual(world.changes.filter((change) => change.standing === "down"), []);
});

Deno.test("Membership of five is whole again within four seconds of a partition's end, whenever that is", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const world = new MembershipWorld({ seed, nodeCount: 5, timing });
    world.advance(3_000);
    world.cut = (from, to) => (from < 2) !== (to < 2);
    world.advance(5_000 + 250 * seed);
    assert.equal(world.standing(0, 4), "down");
    world.cut = () => false;
    assert.ok(world.until(4_000, () => world.converged()), `seed ${seed}`);
  }
});

Deno.test("Membership is quiet again after two nodes held each other down (foca 25)", () => {
  const world = new MembershipWorld({ seed: 2, nodeCount: 2, timing });
  world.advance(1_000);
  world.cut = () => true;
  world.advance(60_000);
  assert.equal(world.standing(0, 1), "down");
  assert.equal(world.standing(1, 0), "down");
  world.cut = () => false;
  assert.ok(world.until(20_000, () => world.converged()));
  world.advance(5_000);
  const before = world.datagrams;
  world.advance(10_000);
  // A probe and an ack per node and interval, and a little; a shouting match would send thousands.
  const quiet = (4 * 10_000) / timing.probeIntervalMs + 10;
  assert.ok(world.datagrams - before <= quiet, `datagrams ${world.datagrams - before}`);
});

Deno.test("Membership with a one-way link keeps the node that others can reach", () => {
  const world = new MembershipWorld({ seed: 3, nodeCount: 10, timing });
  world.advance(5_000);
  world.changes.length = 0;
  world.cut = (from, to) => from === 1 && to === 2;
  world.advance(60_000);
  assert.deepEqual(world.changes.filter((change) => change.standing === "down"), []);
});

Deno.test("Membership finds back from having lost everyone (foca 15)", () => {
  const world = new MembershipWorld({ seed: 4, nodeCount: 5, timing });
  world.advance(1_000);
  world.cut = (from, to) => from === 0 || to === 0;
  world.advance(10 * 60_000);
  world.cut = () => false;
  assert.ok(world.until(2 * timing.announceIntervalMs, () => world.converged()));
});

Deno.test("Membership sees all as down when its own network is", () => {
  // memberlist 242: local send errors were taken for nothing, so everyone seemed alive.
  const world = new MembershipWorld({ seed: 5, nodeCount: 4, timing });
  world.advance(1_000);
  world.cut = (from) => from === 0;
  world.advance(60_000);
  assert.deepEqual([1, 2, 3].map((index) => world.standing(0, index)), ["down", "down", "down"]);
});
