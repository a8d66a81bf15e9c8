import assert from "node:assert/strict";
import { digestOf, MemoryBlobStore } from "../../tests/harness/memory_models.ts";
import { RecordingTelemetry } from "../../tests/harness/scripted_client.ts";
import { SimulatedNetwork } from "../../tests/harness/simulated_transport.ts";
import { REAL_CLOCK } from "../../tests/harness/stored_models.ts";
import type { NodeId } from "../base/mod.ts";
import type { PeerStream } from "../ports/mod.ts";
import { BLOB_PURPOSE } from "../calls/blob_messages.ts";
import { MessageStream } from "../calls/message_stream.ts";
import { StreamRouter } from "../calls/stream_router.ts";
import { BlobServer } from "./blob_server.ts";
import type { BlobMember } from "./members.ts";
import { readPinnedFile } from "./pinned_files.ts";

const FILE = Uint8Array.from({ length: 600_000 }, (_, at) => at % 241);
const DIGEST = digestOf(FILE);
const OTHERS = ["b", "c"].map((digit, index) => ({
  nodeId: digit.repeat(16) as NodeId,
  address: `10.0.0.${index + 2}:1`,
}));

type Serve = (stream: PeerStream) => Promise<void>;

/** A node that serves what it has. */
function having(isThere: boolean): Serve {
  const telemetry = new RecordingTelemetry();
  const parts = { clock: REAL_CLOCK, log: telemetry, metrics: telemetry };
  const router = new StreamRouter(parts);
  const reader = {
    blobBytes: FILE.length,
    read: (at: number, length: number) => Promise.resolve(FILE.subarray(at, at + length)),
    close() {},
  };
  router.register(
    BLOB_PURPOSE,
    new BlobServer({
      ...{ ...parts, blobs: new MemoryBlobStore(), isQuarantined: () => false },
      pinned: {
        open: (digest) => Promise.resolve(isThere && digest === DIGEST ? reader : undefined),
      },
    }),
  );
  return (stream) => router.accept(stream);
}

/** Asks two members, which serve so. */
async function read(
  serving: readonly Serve[],
  standing: BlobMember["standing"] = "alive",
): Promise<Uint8Array | undefined> {
  const network = new SimulatedNetwork({ mode: "prompt" });
  const handlers = { onDatagram() {}, onFrame() {}, onSendFailed() {}, onConnectionLost() {} };
  const own = { ...handlers, onStream: (stream: PeerStream) => stream.reset() };
  const transport = network.open("a".repeat(16) as NodeId, "10.0.0.1:1", own);
  for (const [index, { nodeId, address }] of OTHERS.entries()) {
    const serve: Serve = serving[index] ?? having(false);
    const onStream = (stream: PeerStream) => void serve(stream).catch(() => stream.reset());
    network.open(nodeId, address, { ...handlers, onStream });
  }
  const members = OTHERS.map((address) => ({
    ...{ address, standing, asleep: false, drained: false, freeBytes: undefined },
    holds: () => false,
  }));
  try {
    const parts = { transport, members: () => members, clock: REAL_CLOCK };
    const body = await readPinnedFile(parts, DIGEST);
    return body && await new Response(body as ReadableStream<Uint8Array<ArrayBuffer>>).bytes();
  } finally {
    network.close();
  }
}

Deno.test("readPinnedFile() brings a file from whichever member has it", async () => {
  assert.deepEqual(await read([having(false), having(true)]), FILE);
  assert.deepEqual(await read([having(true), having(false)]), FILE);
  assert.equal(await read([having(false), having(false)]), undefined);
  assert.equal(await read([having(true), having(true)], "down"), undefined);
});

Deno.test("readPinnedFile() goes past who breaks off or talks nonsense, and ends where the bytes do not", async () => {
  const broken: Serve = (stream) => {
    stream.reset();
    return Promise.resolve();
  };
  assert.deepEqual(await read([broken, having(true)]), FILE);
  const short: Serve = async (stream) => {
    await stream.read();
    await new MessageStream(stream).write({ kind: "granted", blobBytes: FILE.length });
    await stream.write(FILE.subarray(0, 1000));
    await stream.end();
  };
  await assert.rejects(read([short, having(true)]), /599000 bytes are left/);
  const nonsense: Serve = async (stream) => {
    await new MessageStream(stream).write({ kind: "granted", blobBytes: -1 });
    await stream.end();
  };
  assert.deepEqual(await read([nonsense, having(true)]), FILE);
});
