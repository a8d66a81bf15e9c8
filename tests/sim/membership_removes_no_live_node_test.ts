import assert from "node:assert/strict";
import { MEMBERSHIP_PRESETS } from "../../src/core/membership/mod.ts";
import { IS_LONG } from "../harness/cluster.ts";
import { MembershipWorld } from "./membership_world.ts";

const timing = MEMBERSHIP_PRESETS.lan;

// The hundred hours are `deno task bench:membership`; this is the same in small.
const SPAN_MS = (IS_LONG ? 15 : 6) * 60_000;

Deno.test("Membership removes no live node at 10 % loss with 3 of 10 starved of CPU", () => {
  for (const seed of [1, 2]) {
    const world = new MembershipWorld({
      seed,
      nodeCount: 10,
      timing,
      lossPercent: 10,
      starvedCount: 3,
    });
    world.advance(SPAN_MS);
    const removals = world.changes.filter((change) => change.standing === "down");
    assert.deepEqual(removals, [], `seed ${seed}`);
    // Else the run would have proved nothing.
    assert.ok(world.changes.some((change) => change.standing === "suspect"));
  }
});

Deno.test("Membership blames a stall on the node that stalled", () => {
  // Given a node stopped for a minute, as by a laptop lid.
  const world = new MembershipWorld({ seed: 3, nodeCount: 10, timing });
  world.advance(5_000);
  world.pause(4, 60_000);
  world.advance(30_000);
  assert.equal(world.standing(0, 4), "down");
  // When it runs again, then all are back soon and it has removed no one.
  assert.ok(world.until(60_000, () => world.converged()));
  assert.deepEqual(
    world.changes.filter((change) => change.observer === 4 && change.standing === "down"),
    [],
  );
});
