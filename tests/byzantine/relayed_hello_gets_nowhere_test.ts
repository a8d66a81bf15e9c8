import assert from "node:assert/strict";
import { encodeStreamHeader } from "../../src/protocol/mod.ts";
import { forwardFrames } from "../harness/frame_pipes.ts";
import { BytePipe } from "../harness/hostile_peer.ts";
import { HostileScene } from "../harness/hostile_scene.ts";
import { RecordingTelemetry } from "../harness/scripted_client.ts";
import { RecordingNode } from "../harness/transport_contract.ts";

Deno.test("A member that passes a hello on to another node gets into neither", () =>
  HostileScene.play(async (scene) => {
    // The relay is a member: the victim trusts its certificate, and dials it on purpose.
    const relay = await scene.world.identities.make();
    const endpoint = new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 });
    const listener = endpoint.listen({
      cert: relay.certificatePem,
      key: relay.privateKeyPem,
      alpnProtocols: ["odist/1"],
    });
    const metrics = new RecordingTelemetry();
    const victim = new RecordingNode();
    victim.transport = (await scene.world.open(victim, { metrics })).transport;
    victim.send({ nodeId: relay.nodeId, address: `127.0.0.1:${endpoint.addr.port}` }, "secret");

    const conn = await (await listener.incoming()).accept<false>();
    conn.closed.catch(() => {});
    const { value } = await conn.incomingBidirectionalStreams.getReader().read();
    assert.ok(value);
    const near = new BytePipe(value);
    await near.skip(encodeStreamHeader("hello").length);
    await near.read();
    const onward = await scene.hostile({ identity: relay });
    const far = await onward.openHello();
    const relaying = Promise.allSettled([forwardFrames(near, far), forwardFrames(far, near)]);

    await victim.until(() => victim.failures.length === 1);
    assert.equal(metrics.faults("hello_wrong_node"), 1);
    assert.equal(await onward.closeCode(), 4);
    assert.equal(scene.metrics.faults("hello_wrong_node"), 1);
    assert.deepEqual(scene.heard, []);
    assert.equal(scene.node.transport.connections().length, 1);
    endpoint.close();
    await relaying;
  }));
