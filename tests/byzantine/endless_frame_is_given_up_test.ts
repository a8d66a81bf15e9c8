import assert from "node:assert/strict";
import { encodeStreamHeader } from "../../src/protocol/mod.ts";
import { frameOf, type HostilePeer } from "../harness/hostile_peer.ts";
import { HostileScene } from "../harness/hostile_scene.ts";

const LIMITS = { frameStallMs: 200 };

const ATTACKS: Readonly<Record<string, (peer: HostilePeer) => Promise<unknown>>> = {
  "a frame on a channel": (peer) => peer.openChannel("raft", frameOf("begun", 1_000)),
  "a length": (peer) => peer.openChannel("membership", new Uint8Array([1, 0])),
  "a header": (peer) => peer.openStream(new Uint8Array([1])),
  "a frame on a stream": (peer) =>
    peer.openStream(encodeStreamHeader("stream"), frameOf("begun", 1_000_000)),
};

for (const [what, begin] of Object.entries(ATTACKS)) {
  Deno.test(`A member that begins ${what} and does not go on is hung up on`, () =>
    HostileScene.play(async (scene) => {
      const peer = await scene.insider();
      const reading = scene.node.until(() => scene.node.streams.length > 0)
        .then(() => scene.node.streams[0]?.read()).catch((error) => error);
      await begin(peer);
      assert.equal(await peer.closeCode(), 1);
      assert.equal(scene.metrics.faults("peer_stalled"), 1);
      assert.deepEqual(scene.heard, []);
      if (scene.node.streams.length > 0) assert.equal((await reading).code, "peer_lost");
    }, { limits: LIMITS }));
}

Deno.test("A member that has nothing to say, or whose stream nobody reads, is left alone", () =>
  HostileScene.play(async (scene) => {
    const quiet = await scene.insider();
    const channel = await quiet.openChannel("raft", frameOf("a"));
    const stream = await quiet.openStream(encodeStreamHeader("stream"), frameOf("begun", 10));
    // Another peer's stall shows that the check has run meanwhile.
    for (let round = 0; round < 2; round++) {
      const loud = await scene.insider();
      await loud.openChannel("raft", new Uint8Array([1]));
      await loud.closeCode();
    }
    await channel.write(new TextEncoder().encode("b"));
    await scene.node.until(() => scene.heard.length === 2);
    assert.deepEqual(scene.heard, ["a", "b"]);
    await stream.writeBytes(new TextEncoder().encode("ended"));
    const frame = await scene.node.streams[0]?.read();
    assert.equal(new TextDecoder().decode(frame), "begunended");
  }, { limits: LIMITS }));
