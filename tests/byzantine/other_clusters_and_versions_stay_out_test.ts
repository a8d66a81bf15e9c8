import assert from "node:assert/strict";
import { frameOf, HostilePeer } from "../harness/hostile_peer.ts";
import { HostileScene } from "../harness/hostile_scene.ts";
import { identityMaker } from "../harness/identities.ts";
import { RecordingTelemetry } from "../harness/scripted_client.ts";
import { RecordingNode } from "../harness/transport_contract.ts";

Deno.test("A node of another cluster is refused, and told why", () =>
  HostileScene.play(async (scene) => {
    const stranger = await (await identityMaker()).make();
    const member = await scene.world.identities.make();
    const peer = await scene.hostile({ identity: stranger, trusts: member });
    await assert.rejects(peer.greet(), /expected cluster/);
    assert.equal(await peer.closeCode(), 4);
    assert.equal(scene.metrics.faults("hello_other_cluster"), 1);
  }));

Deno.test("Valid frames of another cluster are not heard", () =>
  HostileScene.play(async (scene) => {
    const stranger = await (await identityMaker()).make();
    const peer = await scene.hostile({
      identity: stranger,
      trusts: await scene.world.identities.make(),
    });
    await peer.openChannel("raft", frameOf("a valid frame"));
    await peer.conn.sendDatagram(new Uint8Array([1]));
    await assert.rejects(peer.greet());
    await peer.closeCode();
    assert.deepEqual([scene.heard, scene.node.datagrams], [[], []]);
  }));

Deno.test("A node does not talk to a peer whose certificate is of another authority", () =>
  HostileScene.play(async (scene) => {
    const telemetry = new RecordingTelemetry();
    const [log, metrics] = [telemetry, telemetry];
    const identity = await (await identityMaker()).make();
    const stranger = new RecordingNode();
    stranger.transport = (await scene.world.open(stranger, { identity, log, metrics })).transport;
    stranger.send(scene.node.at, "to the wrong cluster");
    await stranger.until(() => stranger.failures.length === 1);
    assert.equal(metrics.faults("peer_refused"), 1);
    assert.match(String(log.of("peer_fault")[0]?.reason), /certificate/);
    assert.deepEqual(scene.heard, []);
  }));

Deno.test("A peer that speaks an unknown version is refused", () =>
  HostileScene.play(async (scene) => {
    const peer = await scene.hostile();
    await peer.openHello(new Uint8Array([9, 0]));
    assert.equal(await peer.closeCode(), 4);
    assert.equal(scene.metrics.faults("unknown_version"), 1);
  }));

Deno.test("A peer that asks for an unknown protocol gets no connection", () =>
  HostileScene.play(async (scene) => {
    await assert.rejects(scene.hostile({ protocol: "odist/2" }), /protocol/);
    await assert.rejects(scene.hostile({ protocol: "odist-join/1" }), /protocol/);
  }));

Deno.test("Two nodes with one id are both told", () =>
  HostileScene.play(async (scene) => {
    const telemetry = new RecordingTelemetry();
    const [log, metrics] = [telemetry, telemetry];
    const node = new RecordingNode();
    const { identity, transport } = await scene.world.open(node, { log, metrics });
    node.transport = transport;
    const original = { nodeId: identity.nodeId, address: transport.address };
    const twin = await HostilePeer.connect(original, { identity });
    await assert.rejects(twin.greet(), /copied data folder/);
    assert.equal(metrics.faults("hello_own_id"), 1);
    assert.match(String(log.of("peer_fault")[0]?.reason), /copied data folder/);
    twin.close();
  }));

Deno.test("A node that speaks another protocol is named as such to whoever dials it", () =>
  HostileScene.play(async (scene) => {
    const telemetry = new RecordingTelemetry();
    const [log, metrics] = [telemetry, telemetry];
    const node = new RecordingNode();
    node.transport = (await scene.world.open(node, { log, metrics })).transport;
    const other = await scene.world.identities.make();
    const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
    const listener = endpoint.listen({
      cert: other.certificatePem,
      key: other.privateKeyPem,
      alpnProtocols: ["odist/2"],
    });
    const incoming = listener.incoming().then((found) => found.accept()).catch(() => {});
    node.send({ nodeId: other.nodeId, address: `127.0.0.1:${endpoint.addr.port}` }, "a");
    await node.until(() => node.failures.length === 1);
    assert.equal(metrics.faults("unknown_version"), 1);
    assert.match(String(log.of("peer_fault")[0]?.reason), /speaks no odist\/1.*update the older/);
    await incoming;
    listener.stop();
    endpoint.close();
  }));

Deno.test("Nodes that have no version of the wire in common say so on both sides, and hear nothing", () =>
  HostileScene.play(async (scene) => {
    const telemetry = new RecordingTelemetry();
    const [log, metrics] = [telemetry, telemetry];
    const node = new RecordingNode();
    const speaks = { wire: { min: 8, max: 9 }, catalogue: { min: 1, max: 9 } };
    const opened = await scene.world.open(node, { log, metrics, speaks });
    node.transport = opened.transport;
    node.send(scene.node.at, "a");
    await node.until(() => node.failures.length === 1);
    assert.deepEqual(scene.heard, []);
    const text = String(log.of("peer_fault")[0]?.reason);
    assert.match(text, /wire versions 8 to 9.*wire versions 1 to 2: update odist on node/);
    assert.ok(text.endsWith(scene.node.nodeId));
    // The refusal is still on its way to the other side.
    const isTold = () => scene.metrics.faults("hello_unknown_version") === 1;
    for (let turn = 0; turn < 500 && !isTold(); turn++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.ok(isTold());
  }));
