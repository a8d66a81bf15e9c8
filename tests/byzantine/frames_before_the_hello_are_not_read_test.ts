import assert from "node:assert/strict";
import { encodeStreamHeader } from "../../src/protocol/mod.ts";
import { frameOf } from "../harness/hostile_peer.ts";
import { HostileScene } from "../harness/hostile_scene.ts";

Deno.test("A second stream before the hello is over ends the connection", () =>
  HostileScene.play(async (scene) => {
    const peer = await scene.hostile();
    await peer.openHello();
    await peer.openStream(encodeStreamHeader("stream"), frameOf("too early"));
    assert.equal(await peer.closeCode(), 4);
    assert.equal(scene.metrics.faults("early_frame"), 1);
    assert.deepEqual([scene.heard, scene.node.streams], [[], []]);
  }));

Deno.test("A first stream that is no hello ends the connection", () =>
  HostileScene.play(async (scene) => {
    const peer = await scene.hostile();
    await peer.openStream(encodeStreamHeader("stream"), frameOf("instead of a hello"));
    assert.equal(await peer.closeCode(), 4);
    assert.equal(scene.metrics.faults("early_frame"), 1);
    assert.deepEqual(scene.node.streams, []);
  }));

Deno.test("Channels and datagrams of a peer that never proves itself are never heard", () =>
  HostileScene.play(async (scene) => {
    const peer = await scene.hostile();
    await peer.openChannel("raft", frameOf("too early"));
    await peer.conn.sendDatagram(new Uint8Array([1]));
    await peer.openHello();
    assert.equal(await peer.closeCode(), 4);
    assert.equal(scene.metrics.faults("peer_stalled"), 1);
    assert.deepEqual([scene.heard, scene.node.datagrams], [[], []]);
    assert.equal(scene.node.transport.connections().length, 1);
  }, { limits: { helloTimeoutMs: 200 } }));
