import assert from "node:assert/strict";
import { isEdgeError } from "../../src/base/mod.ts";
import { nodeIdOf } from "../../src/protocol/mod.ts";
import {
  askStanding,
  generateSigningKey,
  joinCluster,
  type Seed,
  seedDialer,
} from "../../src/transport/mod.ts";
import { JoinDesk } from "../harness/join_desk.ts";
import { QuicWorld, testClock } from "../harness/quic_world.ts";
import { RecordingNode } from "../harness/transport_contract.ts";

/** A member with a desk for joiners, and where it is. */
async function openDesk(world: QuicWorld, hostname = "127.0.0.1") {
  const desk = await JoinDesk.open();
  const remotes: string[] = [];
  const { transport } = await world.open(new RecordingNode(), {
    identity: await desk.cluster.make(),
    onJoin: async (pipe, remoteAddress) => {
      remotes.push(remoteAddress);
      await desk.answer(pipe);
    },
    hostname,
  });
  const port = Number(transport.address.split(":").at(-1));
  return { desk, remotes, seed: { hostname, port } };
}

async function join(token: string, seed: Seed) {
  return await joinCluster({
    seeds: [seed],
    token,
    key: await generateSigningKey(),
    name: "joiner",
    clock: testClock,
    dial: seedDialer({ clock: testClock }),
    signal: new AbortController().signal,
    patience: { patienceMs: 1_000, pauseFirstMs: 10, pauseMaxMs: 50 },
  });
}

Deno.test("A node joins through a member's own port", () =>
  QuicWorld.run({}, async (world) => {
    const { desk, remotes, seed } = await openDesk(world);
    const answer = await join(await desk.createToken(), seed);
    assert.equal(desk.admitted.length, 1);
    assert.equal(desk.admitted[0]?.name, "joiner");
    assert.ok(answer.members.some(({ name }) => name === "desk"));
    assert.match(remotes[0] ?? "", /^127\.0\.0\.1:\d+$/);
  }));

Deno.test({
  name: "A node joins at an address of IPv6",
  ignore: !Deno.networkInterfaces().some(({ address }) => address === "::1"),
  fn: () =>
    QuicWorld.run({}, async (world) => {
      const { desk, seed } = await openDesk(world, "::1");
      await join(await desk.createToken(), seed);
      assert.equal(desk.admitted[0]?.name, "joiner");
    }),
});

Deno.test("A node that holds the token of another cluster says nothing to this one", () =>
  QuicWorld.run({}, async (world) => {
    const { desk, seed } = await openDesk(world);
    const foreign = await JoinDesk.open();
    await assert.rejects(join(await foreign.createToken(), seed), isEdgeError);
    assert.deepEqual([desk.outcomes, desk.admitted], [[], []]);
  }));

Deno.test("A node asks a member what it is to the cluster, and nothing changes by that", () =>
  QuicWorld.run({}, async (world) => {
    const { desk, seed } = await openDesk(world);
    const { publicKey: authorityKey } = desk.cluster.authority;
    const { nodeId, publicKey } = desk.identity;
    const key = await generateSigningKey();
    const ask = (asked: Parameters<typeof askStanding>[1]["asked"], at = seed) =>
      askStanding(at, {
        ...{ asked, key, name: "asker", clock: testClock, limitMs: 5_000 },
        dial: seedDialer({ clock: testClock }),
        signal: new AbortController().signal,
      });
    assert.equal(await ask({ authorityKey }), "removed", "it is none");
    const self = nodeIdOf(key.publicKey);
    desk.members.set(self, { publicKey: key.publicKey, standing: "admitted" });
    assert.equal(await ask({ authorityKey }), "member");
    desk.members.set(self, { publicKey: key.publicKey, standing: "revoked" });
    assert.equal(await ask({ authorityKey }), "revoked");
    assert.deepEqual(desk.admitted, []);
    // Whose word does not count, and who says nothing.
    const others = (await world.identities.make()).authorityKey;
    assert.equal(await ask({ authorityKey: others }), "unknown");
    assert.equal(await ask({ nodeId, publicKey: Uint8Array.from(publicKey) }), "unknown");
    const over = performance.now();
    assert.equal(await ask({ authorityKey }, { hostname: "127.0.0.1", port: 9 }), "unknown");
    assert.ok(performance.now() - over < 6_000);
  }));
