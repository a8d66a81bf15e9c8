import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { MEMBERSHIP_PRESETS } from "../../src/core/membership/mod.ts";
import { IS_LONG } from "../harness/cluster.ts";
import { MembershipWorld } from "./membership_world.ts";

const timing = MEMBERSHIP_PRESETS.lan;
const SEEDS = IS_LONG ? 400 : 20;

Deno.test("Membership converges after any sequence of faults", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = troubledWorld(seed);
    assert.ok(world.until(120_000, () => world.converged()), `seed ${seed}`);
  }
});

Deno.test("Membership replays a seed effect by effect", () => {
  for (const seed of [1, 2, 3]) {
    assert.equal(troubledWorld(seed).traceHash, troubledWorld(seed).traceHash);
  }
  assert.notEqual(troubledWorld(1).traceHash, troubledWorld(2).traceHash);
});

/** Two minutes of crashes, restarts, partitions, pauses and loss; then every node runs and every link works. */
function troubledWorld(seed: number): MembershipWorld {
  const random = new Random(seed);
  const nodeCount = random.between(2, 9);
  const world = new MembershipWorld({
    seed,
    nodeCount,
    timing,
    lossPercent: random.below(20),
    starvedCount: random.below(nodeCount),
    delayMsMax: random.below(30),
  });
  for (let fault = 0; fault < 40; fault++) {
    strike(world, random, nodeCount);
    world.advance(random.below(5_000));
  }
  world.cut = () => false;
  for (const node of world.nodes) {
    if (node.up) continue;
    world.restart(node.index);
    world.join(node.index, (node.index + 1) % nodeCount);
  }
  return world;
}

function strike(world: MembershipWorld, random: Random, nodeCount: number): void {
  const index = random.below(nodeCount);
  const node = world.node(index);
  switch (random.below(6)) {
    case 0:
      return world.crash(index);
    case 1:
    case 2:
      if (node.up) return;
      world.restart(index, { amnesia: random.chance(1, 4) });
      return world.join(index, (index + 1) % nodeCount);
    case 3: {
      const side = random.below(1 << nodeCount);
      world.cut = (from, to) => ((side >> from) & 1) !== ((side >> to) & 1);
      return;
    }
    case 4:
      world.cut = () => false;
      return;
    case 5:
      if (node.up && !node.stalled) world.pause(index, random.below(10_000));
  }
}
