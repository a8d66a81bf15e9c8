import assert from "node:assert/strict";
import { clusterIdOf, decodeApiKey, encodeApiKey } from "../../src/protocol/mod.ts";
import { askRemote, type ClientHandler, type KnownMembers } from "../../src/transport/mod.ts";
import { QuicWorld, testClock } from "../harness/quic_world.ts";
import { RecordingNode } from "../harness/transport_contract.ts";

/** As the command line's file, in memory. */
class KeptMembers implements KnownMembers {
  readonly path = "known_members.json";
  readonly rows = new Map<string, readonly string[]>();
  find = (clusterId: string) => this.rows.get(clusterId) ?? [];
  keep = (clusterId: string, keys: readonly string[]) => void this.rows.set(clusterId, keys);
}

/** A node that any key opens, and the keys that it was shown. */
async function openNode(world: QuicWorld, members: () => readonly string[]) {
  const shown: string[] = [];
  const onClient: ClientHandler = {
    admit: (key) => {
      shown.push(key);
      return Promise.resolve({ kind: "welcome", node: "n", version: "1", members: members() });
    },
    answer: () => Promise.resolve(new Response("fine")),
  };
  const { transport, identity } = await world.open(new RecordingNode(), { onClient });
  const port = Number(transport.address.split(":").at(-1));
  return { shown, port, key: identity.publicKey.toBase64() };
}

Deno.test("A client that has met the cluster shows its key to no former member, and to each new one that it was told of", () =>
  QuicWorld.run({}, async (world) => {
    const { publicKey: authorityKey } = world.identities.authority;
    const secret = new Uint8Array(16);
    const keyText = encodeApiKey({ keyId: "k1", secret, authorityKey });
    const key = decodeApiKey(keyText);
    assert.ok(key.kind === "decoded");
    const known = new KeptMembers();
    const ask = async (port: number) => {
      const node = { hostname: "127.0.0.1", port, key: key.value, keyText, clock: testClock };
      return await (await askRemote({ ...node, known }, "/")).text();
    };
    const members: string[] = [];
    const [member, other] = [
      await openNode(world, () => members),
      await openNode(world, () => members),
    ];
    // Certified by the same authority, and in nobody's list any more.
    const former = await openNode(world, () => [former.key]);
    members.push(member.key);

    assert.equal(await ask(member.port), "fine");
    assert.deepEqual(known.find(clusterIdOf(authorityKey)), [member.key]);
    await assert.rejects(ask(former.port), /none of the members that were told to this machine/);
    assert.deepEqual(former.shown, []);
    await assert.rejects(ask(other.port), /none of the members/);
    members.push(other.key);
    assert.equal(await ask(member.port), "fine");
    assert.equal(await ask(other.port), "fine");
  }));

Deno.test("A node that names members by what are no keys is not believed", () =>
  QuicWorld.run({}, async (world) => {
    const { publicKey: authorityKey } = world.identities.authority;
    const keyText = encodeApiKey({ keyId: "k1", secret: new Uint8Array(16), authorityKey });
    const key = decodeApiKey(keyText);
    assert.ok(key.kind === "decoded");
    const known = new KeptMembers();
    const { port } = await openNode(world, () => ["bm8ga2V5"]);
    const node = { hostname: "127.0.0.1", port, key: key.value, keyText, clock: testClock, known };
    await assert.rejects(askRemote(node, "/"), /what are no keys/);
    assert.equal(known.rows.size, 0);
  }));
