import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type NodeId, UnavailableError } from "../../src/base/mod.ts";
import { openTransport } from "../../src/transport/mod.ts";
import { directoryOf } from "../harness/identities.ts";
import type { ClosingNode } from "../harness/node_that_closes.ts";
import { QuicWorld, testClock } from "../harness/quic_world.ts";
import { RecordingTelemetry } from "../harness/scripted_client.ts";
import { openNode, RecordingNode } from "../harness/transport_contract.ts";

Deno.test("A renewed certificate is used for new connections while old ones live on", () =>
  QuicWorld.run({}, async (world) => {
    const member = new RecordingNode();
    const { transport, identity } = await world.open(member);
    const [early, late] = [await openNode(world), await openNode(world)];
    const at = { nodeId: identity.nodeId, address: transport.address };
    early.send(at, "before");
    await member.until(() => member.frames.length === 1);
    // A certificate that nobody accepts shows which one is in use.
    const stranger = await world.identities.make();
    const wrong = {
      ...identity,
      certificatePem: stranger.certificatePem,
      privateKeyPem: stranger.privateKeyPem,
    };
    transport.useIdentity(wrong);
    late.send(at, "refused");
    await late.until(() => late.failures.length === 1);
    early.send(at, "still there");
    await member.until(() => member.frames.length === 2);
    transport.useIdentity(identity);
    const again = await openNode(world);
    again.send(at, "after");
    await member.until(() => member.frames.length === 3);
    assert.deepEqual(member.texts(), ["before", "still there", "after"]);
    assert.deepEqual([early.lost, early.failures], [[], []]);
  }));

Deno.test("A node with a renewed certificate is still reached when garbage was collected", () =>
  QuicWorld.run({}, async (world) => {
    const member = new RecordingNode();
    const { transport, identity } = await world.open(member);
    for (let renewal = 0; renewal < 3; renewal++) transport.useIdentity(identity);
    setFlagsFromString("--expose-gc");
    const collectGarbage: () => void = runInNewContext("gc");
    collectGarbage();
    const other = await openNode(world);
    other.send({ nodeId: identity.nodeId, address: transport.address }, "after");
    await Promise.race([
      member.until(() => member.frames.length === 1),
      other.until(() => other.failures.length === 1),
    ]);
    assert.deepEqual([member.texts(), other.failures], [["after"], []]);
  }));

Deno.test("A node that was restarted is known as such at once", () =>
  QuicWorld.run({}, async (world) => {
    const one = await openNode(world);
    const first = new RecordingNode();
    const { transport, identity, nodeId } = await world.open(first);
    one.send({ nodeId, address: transport.address }, "a");
    await first.until(() => first.frames.length === 1);
    // The first life says no goodbye; the second one has the same key.
    const second = new RecordingNode();
    second.transport = (await world.open(second, { identity })).transport;
    second.send(one.at, "hello again");
    await one.until(() => one.frames.length === 1);
    one.send({ nodeId, address: "" }, "b");
    await second.until(() => second.frames.length === 1);
    assert.deepEqual([second.texts(), first.texts()], [["b"], ["a"]]);
    assert.equal(one.transport.connections().length, 1);
    assert.deepEqual(one.lost, []);
  }));

Deno.test("A host that is not found is a failed send and one line in the log", () =>
  QuicWorld.run({}, async (world) => {
    const log = new RecordingTelemetry();
    const [node, other] = [new RecordingNode(), await openNode(world)];
    node.transport = (await world.open(node, { log })).transport;
    for (const address of ["no-such-host.invalid:11435", "not an address", "host:99999"]) {
      const count = node.failures.length;
      node.send({ nodeId: (await world.identities.make()).nodeId, address }, "a");
      await node.until(() => node.failures.length === count + 1);
    }
    const reasons = log.of("peer_unreachable").map(({ reason }) => String(reason));
    assert.equal(reasons.length, 3);
    assert.match(reasons[0] ?? "", /no-such-host\.invalid.*not found/);
    node.send(other.at, "others are not affected");
    await other.until(() => other.frames.length === 1);
  }));

Deno.test("A name is looked up and reached over either version of IP", () =>
  QuicWorld.run({}, async (world) => {
    const both = new RecordingNode();
    both.transport = (await world.open(both, { hostname: "::" })).transport;
    const four = await openNode(world);
    both.send(
      { ...four.at, address: four.transport.address.replace("127.0.0.1", "localhost") },
      "a",
    );
    await four.until(() => four.frames.length === 1);
    assert.match(both.transport.address, /^\[::\]:\d+$/);
  }));

Deno.test("A port that is taken is said so", () =>
  QuicWorld.run({}, async (world) => {
    const node = await openNode(world);
    const port = Number(node.transport.address.split(":").at(-1));
    const opening = openTransport({
      listen: { hostname: "127.0.0.1", port },
      identity: await world.identities.make(),
      directory: directoryOf(),
      handlers: new RecordingNode(),
      clock: testClock,
      log: new RecordingTelemetry(),
      metrics: new RecordingTelemetry(),
    });
    await assert.rejects(opening, (error) => {
      assert.ok(error instanceof UnavailableError);
      assert.equal(error.code, "address_unusable");
      assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}`));
      return true;
    });
  }));

Deno.test("A peer that is out of reach is dialed less and less often", () =>
  QuicWorld.run({ dialTimeoutMs: 5, dialBackoffMs: { first: 20, max: 80 } }, async (world) => {
    const metrics = new RecordingTelemetry();
    const node = new RecordingNode();
    node.transport = (await world.open(node, { metrics })).transport;
    const { nodeId } = await world.identities.make();
    const dials = () => metrics.total("odist_peer_dials_total", { outcome: "failed" });
    const startMs = performance.now();
    while (dials() < 4) {
      const count = node.failures.length;
      node.send({ nodeId, address: world.deadAddress }, "a");
      await node.until(() => node.failures.length > count);
    }
    // Three pauses of at least half of 20, 40 and 80 ms.
    assert.ok(performance.now() - startMs >= 70);
  }));

Deno.test("A process that closes its transport and ends is missed at once", () =>
  QuicWorld.run({}, async (world) => {
    const node = await openNode(world);
    const { chainPem, privateKeyPem } = world.identities.authority;
    const told: ClosingNode = { chainPem, privateKeyPem, peer: node.at };
    const script = new URL("../harness/node_that_closes.ts", import.meta.url).href;
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--unstable-net",
        script,
        JSON.stringify(told),
      ],
    }).spawn();
    await node.until(() => node.frames.length === 1);
    const from = node.frames[0]?.from;
    assert.ok(from !== undefined);
    node.send({ nodeId: from, address: "" }, "now go");
    const startMs = performance.now();
    assert.ok((await process.status).success);
    await node.until(() => node.lost.length === 1);
    // Without the goodbye QUIC would take 10 s to notice.
    assert.ok(performance.now() - startMs < 8_000);
  }));

Deno.test("A peer that would not get in now is cut off when it is judged again, and the others are not", () =>
  QuicWorld.run({}, async (world) => {
    const member = new RecordingNode();
    const judgements: Record<string, "unknown"> = {};
    const directory = { judge: (nodeId: NodeId) => judgements[nodeId] ?? "admitted" };
    const { transport, nodeId } = await world.open(member, { directory });
    const [one, other] = [await openNode(world), await openNode(world)];
    for (const node of [one, other]) node.send({ nodeId, address: transport.address }, "x");
    await member.until(() => member.frames.length === 2);
    transport.judgeAgain();
    assert.equal(transport.connections().length, 2);
    judgements[one.at.nodeId] = "unknown";
    const startMs = performance.now();
    transport.judgeAgain();
    assert.deepEqual(transport.connections().map(({ peer }) => peer), [other.at.nodeId]);
    await one.until(() => one.lost.length === 1);
    assert.ok(performance.now() - startMs < 100);
  }));
