import assert from "node:assert/strict";
import { encodeStreamHeader } from "../../src/protocol/mod.ts";
import { HostileScene } from "../harness/hostile_scene.ts";

const STREAMS = 10_000;

Deno.test("A member that opens streams without end gets no more than its share", () =>
  HostileScene.play(async (scene) => {
    const peer = await scene.insider();
    let refused = 0;
    for (let index = 0; index < STREAMS; index++) {
      try {
        await peer.openStream(encodeStreamHeader("stream"));
      } catch (error) {
        assert.ok(error instanceof RangeError, String(error));
        refused++;
      }
      if (index % 1_000 === 0) await scene.checkFriend();
    }
    const opened = STREAMS - refused;
    await scene.node.until(() => scene.node.streams.length === opened);
    assert.ok(opened <= 64 + 9, `${opened} streams were opened`);
  }, { limits: { streamsPerPeerMax: 64 } }));

Deno.test("A member that opens and drops streams without end holds up nobody else", () =>
  HostileScene.play(async (scene) => {
    const peer = await scene.insider();
    let taken = 0;
    scene.node.onStream = (stream) => {
      taken++;
      stream.reset();
    };
    for (let opened = 0; opened < STREAMS; opened++) {
      const stream = await peer.conn.createBidirectionalStream({ waitUntilAvailable: true });
      const writer = stream.writable.getWriter();
      await writer.write(encodeStreamHeader("stream"));
      writer.abort().catch(() => {});
      stream.readable.cancel().catch(() => {});
      if (opened % 1_000 === 0) await scene.checkFriend();
    }
    assert.ok(taken > 0);
    assert.deepEqual(scene.log.of("peer_fault"), []);
  }, { limits: { streamsPerPeerMax: 64 } }));
