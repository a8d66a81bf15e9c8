import assert from "node:assert/strict";
import { NodeWorld } from "../harness/node_world.ts";

/** Of the world, in which the others go on. */
const SUSPENDED_MS = 10 * 60_000;
const BACK_MS_MAX = 3_000;

for (const clock of ["stands", "runs"] as const) {
  Deno.test(`a machine that slept for ten minutes is a member again within 3 s, while its clock ${clock}`, async () => {
    await using world = await NodeWorld.start(3);
    for (const role of ["follower", "leader"] as const) {
      const leader = world.leader() ?? 0;
      const sleeper = role === "leader" ? leader : leader % 3 + 1;
      const others = world.running.filter((number) => number !== sleeper);
      world.suspend(sleeper, clock);
      await world.advance(SUSPENDED_MS);
      const { nodeId } = world.machine(sleeper);
      const standings = () =>
        others.map((at) => world.node(at).cluster.membership.find(nodeId)?.standing);
      assert.deepEqual(standings(), ["down", "down"]);
      world.resume(sleeper);
      const backMs = await world.until(`the ${role} is back`, () => {
        const seen = world.node(sleeper).cluster.membership.view().members;
        const [one = 0] = others;
        return standings().every((standing) => standing === "alive") &&
          seen.every(({ standing }) => standing === "alive") &&
          world.leader() !== undefined &&
          world.group(sleeper).view().leader === world.group(one).view().leader;
      });
      assert.ok(backMs <= BACK_MS_MAX, `the ${role} took ${backMs} ms`);
    }
  });
}
