import assert from "node:assert/strict";
import { type Digest, Heartbeat, type NodeId } from "../base/mod.ts";
import { MessageStream } from "../calls/mod.ts";
import type { PeerStream } from "../ports/mod.ts";
import { decodeValue } from "../transport/mod.ts";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import { streamPair } from "../../tests/harness/peer_streams.ts";
import { LentWorker } from "./lent_worker.ts";
import { SHARD_ANSWER_MS, SHARD_BEAT_MS } from "./limits.ts";

const [SELF, LENDER] = ["aa", "bb"] as unknown as [NodeId, NodeId];
const QUESTION = Uint8Array.of(14, 0, 0, 0);

/** A worker of a node that is well, and one connection to it as the leader's process has it. */
async function connected() {
  const clock = new HandClock();
  const tunnels = Promise.withResolvers<PeerStream>();
  let beats: Heartbeat | undefined;
  const serve = async (far: PeerStream) => {
    const { purpose } = decodeValue(await far.read() ?? new Uint8Array()) as { purpose: string };
    if (purpose === "tunnel") return tunnels.resolve(far);
    const messages = new MessageStream(far);
    await messages.write({ kind: "granted", holdsBlob: false });
    const send = () => void messages.write({ kind: "beat" }).catch(() => {});
    beats = new Heartbeat(clock, { everyMs: SHARD_BEAT_MS, send });
  };
  type Parts = Parameters<typeof LentWorker.ask>[2]["parts"];
  const parts = {
    ...{ clock, log: { log() {} }, metrics: { increment() {} } },
    transport: {
      openStream: () => {
        const { near, far } = streamPair(SELF, LENDER);
        void serve(far);
        return Promise.resolve(near);
      },
    },
  } as unknown as Parts;
  const worker = await LentWorker.ask({ nodeId: LENDER, address: "" }, {
    ...{ name: "m", blob: `sha256:${"ab".repeat(32)}` as Digest, memoryBytes: 1 },
    ...{ tensors: new Map(), weights: { blobBytes: 1, ranges: [] } },
  }, { parts, signal: new AbortController().signal });
  const leader = await Deno.connect({ hostname: "127.0.0.1", port: worker.port });
  await leader.write(QUESTION);
  const tunnel = await tunnels.promise;
  await tunnel.read();
  return {
    ...{ clock, worker, leader, tunnel },
    [Symbol.dispose]() {
      beats?.stop();
      worker.close();
      leader.close();
    },
  };
}

Deno.test("a worker that answers nothing before its leader loads is given up, its node isn't", async () => {
  using scene = await connected();
  await scene.clock.advance(SHARD_ANSWER_MS);
  assert.deepEqual(await scene.worker.ended, {
    isLost: true,
    isNodeThere: true,
    reason: "it answered nothing for 10 s",
  });
});

Deno.test("a worker that has answered, or whose leader loads, may be silent", async () => {
  for (const what of ["answered", "loads"] as const) {
    using scene = await connected();
    const { worker, clock, leader, tunnel } = scene;
    let isOver = false;
    void worker.ended.then(() => isOver = true);
    if (what === "loads") worker.noteBegun();
    else {
      await tunnel.write(Uint8Array.of(0, 7));
      await leader.read(new Uint8Array(1));
    }
    await clock.advance(2 * SHARD_ANSWER_MS);
    assert.equal(isOver, false, what);
  }
});
