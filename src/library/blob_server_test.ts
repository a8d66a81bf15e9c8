import assert from "node:assert/strict";
import { digestOf, MemoryBlobStore } from "../../tests/harness/memory_models.ts";
import { RecordingTelemetry } from "../../tests/harness/scripted_client.ts";
import { SimulatedNetwork } from "../../tests/harness/simulated_transport.ts";
import { REAL_CLOCK } from "../../tests/harness/stored_models.ts";
import type { Digest, NodeId } from "../base/mod.ts";
import type { BlobRange, PeerStream } from "../ports/mod.ts";
import { encodeValue } from "../transport/mod.ts";
import { MessageStream } from "../calls/message_stream.ts";
import { openPurpose, StreamRouter } from "../calls/stream_router.ts";
import { BLOB_FRAME_BYTES, BLOB_PURPOSE } from "../calls/blob_messages.ts";
import { BlobServer } from "./blob_server.ts";
import { PeerBlobs } from "./peer_blobs.ts";

const NEAR = { nodeId: "a".repeat(16) as NodeId, address: "10.0.0.1:1" };
const FAR = { nodeId: "b".repeat(16) as NodeId, address: "10.0.0.2:1" };
const SIGNAL = new AbortController().signal;
const BLOB = Uint8Array.from({ length: BLOB_FRAME_BYTES * 2 + 5 }, (_, at) => at % 251);
const DIGEST = digestOf(BLOB);

/** Two nodes, of which the far one answers streams as `serve` does. */
async function withNodes(
  serve: (stream: PeerStream) => Promise<void>,
  use: (near: ReturnType<SimulatedNetwork["open"]>) => Promise<void>,
): Promise<void> {
  const network = new SimulatedNetwork({ mode: "prompt" });
  const handlers = { onDatagram() {}, onFrame() {}, onSendFailed() {}, onConnectionLost() {} };
  const near = network.open(NEAR.nodeId, NEAR.address, {
    ...handlers,
    onStream: (stream) => stream.reset(),
  });
  network.open(FAR.nodeId, FAR.address, {
    ...handlers,
    onStream: (stream) => void serve(stream).catch(() => stream.reset()),
  });
  try {
    await use(near);
  } finally {
    network.close();
  }
}

/** Two nodes, of which the far one serves the blob. */
async function withServer(
  use: (
    ask: (opening: object) => Promise<{ answer: unknown; frames: Uint8Array[] }>,
  ) => Promise<void>,
  isQuarantined: (digest: Digest) => boolean = () => false,
): Promise<void> {
  const telemetry = new RecordingTelemetry();
  const parts = { clock: REAL_CLOCK, log: telemetry, metrics: telemetry };
  const blobs = new MemoryBlobStore();
  await blobs.put(BLOB);
  const router = new StreamRouter(parts);
  router.register(BLOB_PURPOSE, new BlobServer({ ...parts, blobs, isQuarantined }));
  await withNodes((stream) => router.accept(stream), async (near) => {
    await use(async (fields) => {
      const opening = { purpose: BLOB_PURPOSE, ...fields };
      const stream = await openPurpose(near, { peer: FAR, opening }, SIGNAL);
      const answer = await new MessageStream(stream).read();
      const frames: Uint8Array[] = [];
      for (let frame = await stream.read(); frame; frame = await stream.read()) frames.push(frame);
      return { answer, frames };
    });
  });
}

Deno.test("BlobServer sends a range in bounded frames", () =>
  withServer(async (ask) => {
    const { answer, frames } = await ask({ digest: DIGEST, offset: 3, length: BLOB.length - 3 });
    assert.deepEqual(answer, { kind: "granted", blobBytes: BLOB.length });
    assert.ok(frames.every((frame) => frame.length <= BLOB_FRAME_BYTES));
    const bytes = new Uint8Array(await new Blob(frames as Uint8Array<ArrayBuffer>[]).arrayBuffer());
    assert.deepEqual(bytes, BLOB.subarray(3));
  }));

Deno.test("BlobServer refuses what is not there, out of bounds, or under doubt", async () => {
  const refusal = (answer: unknown) => (answer as { error: { code: string } }).error.code;
  const whole = { digest: DIGEST, offset: 0, length: BLOB.length };
  await withServer(async (ask) => {
    const absent = await ask({ ...whole, digest: digestOf(new Uint8Array(1)) });
    assert.equal(refusal(absent.answer), "blob_not_found");
    assert.deepEqual(absent.frames, []);
    assert.equal(refusal((await ask({ ...whole, offset: 1 })).answer), "invalid_request");
  });
  await withServer(async (ask) => {
    assert.equal(refusal((await ask(whole)).answer), "corrupt_file");
  }, (digest) => digest === DIGEST);
});

Deno.test("BlobServer resets a stream that asks for nonsense", () =>
  withServer(async (ask) => {
    const whole = { digest: DIGEST, offset: 0, length: BLOB.length };
    const bad: object[] = [
      {},
      { ...whole, digest: "../../etc/passwd" },
      { ...whole, digest: DIGEST.replace(":", "-") },
      { ...whole, offset: -1 },
      { ...whole, length: 0 },
      { ...whole, length: 2 ** 60 },
      { ...whole, offset: 0.5 },
      { ...whole, length: "9" },
    ];
    for (const opening of bad) {
      await assert.rejects(ask(opening), { code: "peer_lost" }, JSON.stringify(opening));
    }
  }));

/** Asks a node that answers as `serve` does for the blob; what came. */
async function bringFrom(
  serve: (stream: PeerStream) => Promise<void>,
): Promise<{ readonly received: number; readonly reads: number }> {
  let received = 0;
  let reads = 0;
  await withNodes(serve, async (near) => {
    const telemetry = new RecordingTelemetry();
    const peers = new PeerBlobs({
      transport: near,
      holdersOf: () => [FAR],
      reportCorrupt: () => {},
      saysToHold: () => true,
      clock: REAL_CLOCK,
      log: telemetry,
      metrics: telemetry,
    });
    const range: BlobRange = { offset: 0, length: BLOB.length };
    await peers.bring({ digest: DIGEST, blobBytes: BLOB.length }, async (source) => {
      reads++;
      for await (const bytes of source.read(range, SIGNAL)) received += bytes.length;
    }, SIGNAL);
  });
  return { received, reads };
}

Deno.test("PeerBlobs takes no byte more than it asked for, and no nonsense", async () => {
  const granted = { kind: "granted", blobBytes: BLOB.length };
  const answerWith =
    (message: unknown, frames: readonly Uint8Array[]) =>
    async (stream: PeerStream): Promise<void> => {
      await stream.read();
      await new MessageStream(stream).write(message);
      for (const frame of frames) await stream.write(frame);
      await stream.end();
    };
  assert.equal((await bringFrom(answerWith(granted, [BLOB]))).received, BLOB.length);
  const hostile: readonly [string, (stream: PeerStream) => Promise<void>, RegExp][] = [
    ["too many bytes", answerWith(granted, [BLOB, new Uint8Array(1)]), /more bytes than/],
    ["empty frames", answerWith(granted, [new Uint8Array(0), BLOB]), /more bytes than/],
    ["too few bytes", answerWith(granted, [BLOB.subarray(1)]), /ended 1 bytes early/],
    ["another size", answerWith({ ...granted, blobBytes: 7 }, [BLOB]), /has 7 bytes, not/],
    ["another answer", answerWith({ kind: "maybe" }, []), /unknown kind/],
    ["no answer", (stream) => stream.end(), /value|object is wanted/],
    ["no message", async (stream) => {
      await stream.write(encodeValue("granted"));
      await stream.end();
    }, /mark/],
    ["a reset", async (stream) => stream.reset(), /./],
  ];
  for (const [name, serve, reason] of hostile) {
    await assert.rejects(bringFrom(serve), { code: "peer_lost", message: reason }, name);
  }
});
