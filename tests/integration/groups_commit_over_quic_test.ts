import assert from "node:assert/strict";
import { putSetting } from "../harness/groups.ts";
import { QuicWorld } from "../harness/quic_world.ts";
import { RealGroup } from "../harness/real_group.ts";

Deno.test("Three nodes commit over QUIC to their disks, through a leader's end and its return", async () => {
  const folder = await Deno.makeTempDir({ prefix: "odist-groups-" });
  await QuicWorld.run({}, async (world) => {
    const real = new RealGroup(world, folder);
    const identities = await Promise.all([0, 1, 2].map(() => world.identities.make()));
    await real.start(identities);
    const first = await real.leader();
    for (const [index, { group }] of real.members.entries()) {
      const outcome = await group.propose(putSetting(`k${index}`, "1", 0));
      assert.equal(outcome.kind, "applied");
    }
    const many = Array.from(
      { length: 300 },
      (_, index) => first.group.propose(putSetting(`many${index}`, "x".repeat(1_000))),
    );
    for (const outcome of await Promise.all(many)) assert.equal(outcome.kind, "applied");

    await first.stop();
    const next = await real.leader(first);
    assert.equal((await next.group.propose(putSetting("after", "1", 0))).kind, "applied");

    const back = await real.open(first.identity, identities.map(({ nodeId }) => nodeId));
    real.members[real.members.indexOf(first)] = back;
    const read = await back.group.read(
      (catalogue) => [catalogue.findSetting("after")?.value, catalogue.findSetting("k0")?.value],
      { timeoutMs: 10_000 },
    );
    assert.deepEqual(read, ["1", "1"]);
    for (const { group } of real.members) await group.close();
  });
  await Deno.remove(folder, { recursive: true });
});
