import assert from "node:assert/strict";
import { MEMBERSHIP_PRESETS } from "../../src/core/membership/mod.ts";
import { MembershipWorld } from "./membership_world.ts";

const timing = MEMBERSHIP_PRESETS.lan;

Deno.test("Membership takes back a node that restarts before its death is known", () => {
  const world = new MembershipWorld({ seed: 1, nodeCount: 10, timing });
  world.advance(2_000);
  world.crash(3);
  world.restart(3);
  world.join(3, 0);
  assert.ok(world.until(5_000, () => world.converged()));
  assert.equal(world.node(0).membership.find(world.node(3).nodeId)?.bootEpoch, 2);
});

Deno.test("Membership takes back a node that lost its past, though it is known as long dead", () => {
  // memberlist 311, nodedb 165: dead at incarnation 100 is known, the node restarts at 1 and no one tells it.
  const world = new MembershipWorld({ seed: 2, nodeCount: 6, timing });
  world.advance(2_000);
  for (let life = 0; life < 3; life++) {
    world.crash(5);
    assert.ok(world.until(20_000, () => world.standing(0, 5) === "down"));
    world.restart(5);
    world.join(5, 1);
    assert.ok(world.until(5_000, () => world.converged()));
  }
  world.crash(5);
  world.advance(20_000);
  world.restart(5, { amnesia: true });
  world.join(5, 1);
  assert.ok(world.until(5_000, () => world.converged()));
  assert.ok(world.node(5).persisted.bootEpoch > 4, "it outbids its own past and writes that down");
});

Deno.test("Membership does not grow by restarts (foca 31)", () => {
  const world = new MembershipWorld({ seed: 3, nodeCount: 4, timing });
  for (let life = 0; life < 10; life++) {
    world.crash(3);
    world.advance(500);
    world.restart(3);
    world.join(3, 0);
    world.advance(2_000);
  }
  assert.ok(world.converged());
  assert.equal(world.node(0).membership.view().members.length, 3);
});

Deno.test("Membership forgets the dead for good, all nodes together", () => {
  const short = { ...timing, downKeptMs: 60_000 };
  const world = new MembershipWorld({ seed: 4, nodeCount: 8, timing: short });
  world.advance(2_000);
  world.crash(7);
  world.advance(10_000);
  // Each node forgets at its own time; push-pull must not hand the row round for ever.
  world.advance(5 * 60_000);
  for (let index = 0; index < 7; index++) assert.equal(world.standing(index, 7), undefined);
});

Deno.test("Membership gives up when another process has its identity", () => {
  const world = new MembershipWorld({ seed: 5, nodeCount: 3, timing });
  world.advance(1_000);
  for (let copy = 0; copy < 6 && !world.node(2).conflicted; copy++) {
    const { bootEpoch, incarnation } = world.node(2).persisted;
    const { nodeId } = world.node(2);
    for (const by of [0, 1]) world.rumor(2, by, { nodeId, bootEpoch: bootEpoch + 5, incarnation });
  }
  assert.ok(world.node(2).conflicted);
});

Deno.test("Membership keeps a leave that a late rumour of life contradicts", () => {
  const world = new MembershipWorld({ seed: 6, nodeCount: 10, timing, lossPercent: 10 });
  world.advance(2_000);
  const { nodeId, persisted } = world.node(9);
  world.tell(9, { kind: "leave_requested" });
  assert.ok(world.until(500, () => world.node(9).left));
  world.crash(9);
  world.rumor(0, 1, { nodeId, ...persisted });
  assert.ok(
    world.until(2_000, () => world.nodes.every((node) => node.index === 9 || leftFor(node.index))),
  );
  world.advance(60_000);
  for (let index = 0; index < 9; index++) assert.ok(leftFor(index));
  // When it comes back it is a member as before.
  world.restart(9);
  world.join(9, 0);
  assert.ok(world.until(5_000, () => world.converged()));

  function leftFor(index: number): boolean {
    return world.standing(index, 9) === "left";
  }
});

Deno.test("Membership lets 30 nodes join through one", () => {
  const world = new MembershipWorld({ seed: 7, nodeCount: 30, timing, acquainted: false });
  for (let index = 1; index < 30; index++) world.join(index, 0);
  assert.ok(world.until(5_000, () => world.converged()));
});

Deno.test("Membership keeps asking its seeds until one is there", () => {
  const world = new MembershipWorld({ seed: 8, nodeCount: 2, timing, acquainted: false });
  world.cut = () => true;
  world.join(1, 0);
  world.advance(10_000);
  world.cut = () => false;
  assert.ok(world.until(2_000, () => world.converged()));
});
