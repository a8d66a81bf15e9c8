import assert from "node:assert/strict";
import {
  CHANNEL_FRAME_BYTES_MAX,
  DATAGRAM_BYTES_MAX,
  encodeStreamHeader,
  STREAM_FRAME_BYTES_MAX,
} from "../../src/protocol/mod.ts";
import { frameOf, type HostilePeer } from "../harness/hostile_peer.ts";
import { HostileScene } from "../harness/hostile_scene.ts";

const NOTHING = new Uint8Array(0);
const FRAME = encodeStreamHeader("stream");

/** What a member that was let in sends, and the fault it is caught at. */
const ATTACKS: Readonly<
  Record<string, { fault: string; send: (peer: HostilePeer) => Promise<unknown> }>
> = {
  "a frame beyond the limit of its channel": {
    fault: "malformed_frame",
    send: (peer) =>
      peer.openChannel("raft", frameOf("fine"), frameOf(NOTHING, CHANNEL_FRAME_BYTES_MAX + 1)),
  },
  "the longest length there is on a channel": {
    fault: "malformed_frame",
    send: (peer) => peer.openChannel("raft", frameOf("fine"), frameOf(NOTHING, 0xffff_fffe)),
  },
  "a frame beyond the limit of a stream": {
    fault: "malformed_frame",
    send: (peer) => peer.openStream(FRAME, frameOf(NOTHING, STREAM_FRAME_BYTES_MAX + 1)),
  },
  "a stream of an unknown version": {
    fault: "unknown_version",
    send: (peer) => peer.openStream(new Uint8Array([2, 3]), frameOf("from the future")),
  },
  "a channel of an unknown version": {
    fault: "unknown_version",
    send: async (peer) => {
      const writer = (await peer.conn.createUnidirectionalStream()).getWriter();
      await writer.write(new Uint8Array([200, 1]));
    },
  },
  "a stream of an unknown kind": {
    fault: "malformed_frame",
    send: (peer) => peer.openStream(new Uint8Array([1, 77])),
  },
  "a second hello": {
    fault: "malformed_frame",
    send: (peer) => peer.openStream(encodeStreamHeader("hello")),
  },
  "a channel that is opened twice": {
    fault: "malformed_frame",
    send: async (peer) => {
      await peer.openChannel("raft", frameOf("fine"));
      await peer.openChannel("raft", frameOf("twice"));
    },
  },
  "a channel that is none": {
    fault: "malformed_frame",
    send: (peer) => peer.openChannel("stream", frameOf("odd")),
  },
  "a datagram beyond the limit": {
    fault: "malformed_frame",
    send: (peer) => peer.conn.sendDatagram(new Uint8Array(DATAGRAM_BYTES_MAX + 1)),
  },
};

for (const [name, { fault, send }] of Object.entries(ATTACKS)) {
  Deno.test(`A member that sends ${name} is hung up on, and nothing else happens`, () =>
    HostileScene.play(async (scene) => {
      const peer = await scene.insider();
      // Reads of a stream are its taker's; without one nobody learns what is wrong with it.
      const reading = scene.node.until(() => scene.node.streams.length > 0)
        .then(() => scene.node.streams[0]?.read()).catch((error) => error);
      await send(peer);
      assert.equal(await peer.closeCode(), 1);
      assert.equal(scene.metrics.faults(fault), 1);
      const [line] = scene.log.of("peer_fault");
      assert.equal(line?.peer, peer.identity.nodeId);
      await scene.node.until(() => scene.node.lost.includes(peer.identity.nodeId));
      if (scene.node.streams.length > 0) assert.equal((await reading).code, "peer_lost");
    }));
}
