import assert from "node:assert/strict";
import { NodeWorld } from "../harness/node_world.ts";

const YEAR_MS = 365 * 24 * 3_600_000;
/** A look at the clock every 5 s, and gossip's own pace. */
const BACK_MS_MAX = 15_000;

function standing(world: NodeWorld, of: number, seenBy: number): string | undefined {
  return world.node(seenBy).cluster.membership.find(world.machine(of).nodeId)?.standing;
}

for (const [what, aheadMs] of [["ahead", YEAR_MS], ["behind", -YEAR_MS / 4]] as const) {
  Deno.test(`a node whose clock was far ${what} at its start is back once its clock is right, without another one`, async () => {
    await using world = await NodeWorld.start(3);
    // A year of the past, so that a clock can be behind.
    world.crash(3, { power: false });
    await world.until("it is missed", () => standing(world, 3, 1) === "down", 60_000);
    world.machine(3).wallAheadMs = aheadMs;
    await world.boot(3);
    await world.advance(20_000);
    if (aheadMs > 0) {
      assert.notEqual(standing(world, 3, 1), "alive", "the others believe no such boot");
    }
    const { bootEpoch } = world.node(3).cluster.membership.view().self;
    world.machine(3).wallAheadMs = 0;
    const tookMs = await world.until(
      "it is back",
      () => [1, 2].every((at) => standing(world, 3, at) === "alive"),
      60_000,
    );
    assert.ok(tookMs <= BACK_MS_MAX, `back after ${tookMs} ms`);
    const now = world.node(3).cluster.membership.view().self.bootEpoch;
    assert.equal(now < bootEpoch, aheadMs > 0, "it is another life for the others");
    await world.until(
      "all know its values",
      () => world.node(1).cluster.gossip.find(world.machine(3).nodeId).facts?.name === "n3",
      BACK_MS_MAX,
    );
    // The next start is a later one still.
    world.crash(3, { power: false });
    await world.boot(3);
    assert.ok(world.node(3).cluster.membership.view().self.bootEpoch > now);
    await world.until("it is alive", () => standing(world, 3, 1) === "alive", 60_000);
  });
}
