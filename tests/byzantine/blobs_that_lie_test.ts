import assert from "node:assert/strict";
import { type NodeId, pause, RequestError } from "../../src/base/mod.ts";
import { MessageStream, refuse } from "../../src/calls/mod.ts";
// What a node does with its peers' blobs is offered to nobody but the library.
import { PEER_TRANSFER_LIMITS, PeerBlobs } from "../../src/library/peer_blobs.ts";
import { downloadBlob } from "../../src/models/transfer/blob_download.ts";
import type { Clock, PeerStream } from "../../src/ports/mod.ts";
import { decodeValue } from "../../src/transport/mod.ts";
import { digestOf, MemoryBlobStore } from "../harness/memory_models.ts";
import { RecordingTelemetry } from "../harness/scripted_client.ts";
import { SimulatedNetwork } from "../harness/simulated_transport.ts";

const LIES = 1_000;
/** Virtual milliseconds between looks at a transfer. */
const STEP_MS = 100;
/** Longer than a node that failed is avoided. */
const LATER_MS = 61_000;
const NEAR = { nodeId: "a".repeat(16) as NodeId, address: "10.0.0.1:1" };
const LIAR = { nodeId: "b".repeat(16) as NodeId, address: "10.0.0.2:1" };
const HONEST = { nodeId: "c".repeat(16) as NodeId, address: "10.0.0.3:1" };
const SIGNAL = new AbortController().signal;
const BLOB = Uint8Array.from({ length: 5_000 }, (_, at) => at % 251);
const DIGEST = digestOf(BLOB);

interface Asked {
  readonly stream: PeerStream;
  /** What an honest holder would send. */
  readonly bytes: Uint8Array;
  readonly clock: Clock;
}

const granted = { kind: "granted", blobBytes: BLOB.length } as const;

async function answer({ stream }: Asked, message: object, ...frames: Uint8Array[]): Promise<void> {
  await new MessageStream(stream).write(message);
  for (const frame of frames) await stream.write(frame);
}

/** What a holder does instead, and the fault it is named with. */
const LIARS: Readonly<Record<string, { fault: string; serve: (asked: Asked) => Promise<void> }>> = {
  "wrong bytes": {
    fault: "corrupt",
    serve: async (asked) => {
      await answer(asked, granted, asked.bytes.map((byte) => byte ^ 1));
      await asked.stream.end();
    },
  },
  "a stream that breaks off": {
    fault: "cut",
    serve: async (asked) => {
      await answer(asked, granted, asked.bytes.subarray(0, 100));
      asked.stream.reset();
    },
  },
  "a stream that ends early": {
    fault: "malformed",
    serve: async (asked) => {
      await answer(asked, granted, asked.bytes.subarray(1));
      await asked.stream.end();
    },
  },
  "more than was asked for": {
    fault: "malformed",
    serve: (asked) => answer(asked, granted, asked.bytes, new Uint8Array(100_000)),
  },
  "empty frames": {
    fault: "malformed",
    serve: (asked) => answer(asked, granted, new Uint8Array(0)),
  },
  "a blob of another size": {
    fault: "malformed",
    serve: (asked) => answer(asked, { ...granted, blobBytes: 2 ** 40 }, asked.bytes),
  },
  "an answer that is none": {
    fault: "malformed",
    serve: (asked) => answer(asked, { kind: "perhaps" }),
  },
  "nothing at all": {
    fault: "stalled",
    serve: () => Promise.resolve(),
  },
  "some bytes and then nothing": {
    fault: "stalled",
    serve: (asked) => answer(asked, granted, asked.bytes.subarray(0, 100)),
  },
  "a byte now and then, without end": {
    fault: "slow",
    serve: async (asked) => {
      await answer(asked, granted);
      for (const byte of asked.bytes) {
        await pause(asked.clock, PEER_TRANSFER_LIMITS.stallMs - 100, SIGNAL);
        await asked.stream.write(Uint8Array.of(byte));
      }
    },
  },
  "that it has not what it says it holds": {
    fault: "absent",
    serve: async ({ stream }) => {
      await refuse(stream, new RequestError("blob_not_found", "not here"));
    },
  },
};

class Scene {
  readonly store = new MemoryBlobStore();
  readonly telemetry = new RecordingTelemetry();
  readonly reported: NodeId[] = [];
  readonly network = new SimulatedNetwork({ seed: 1 });
  readonly #peers: PeerBlobs;
  asked = 0;

  constructor(lie: (asked: Asked) => Promise<void>) {
    const handlers = { onDatagram() {}, onFrame() {}, onSendFailed() {}, onConnectionLost() {} };
    const open = (
      at: { readonly nodeId: NodeId; readonly address: string },
      serve: (asked: Asked) => Promise<void>,
    ) =>
      this.network.open(at.nodeId, at.address, {
        ...handlers,
        onStream: (stream) => void this.#serve(stream, serve).catch(() => stream.reset()),
      });
    const transport = open(NEAR, ({ stream }) => Promise.resolve(stream.reset()));
    open(LIAR, (asked) => {
      this.asked++;
      return lie(asked);
    });
    open(HONEST, async (asked) => {
      await answer(asked, granted, asked.bytes);
      await asked.stream.end();
    });
    this.#peers = new PeerBlobs({
      transport,
      holdersOf: () => [LIAR, HONEST],
      saysToHold: () => true,
      reportCorrupt: (_digest, nodeId) => void this.reported.push(nodeId),
      clock: this.network.clock,
      log: this.telemetry,
      metrics: this.telemetry,
    });
  }

  /** The blob comes, whole and sound, and goes again. */
  async bring(): Promise<void> {
    const layer = { mediaType: "application/x", digest: DIGEST, size: BLOB.length };
    const context = {
      blobs: this.store,
      clock: this.network.clock,
      signal: SIGNAL,
      onProgress: () => {},
    };
    const blob = { digest: DIGEST, blobBytes: BLOB.length };
    const work = this.#peers.bring(blob, (source) => downloadBlob(layer, source, context), SIGNAL);
    let isOver = false;
    void work.then(() => isOver = true, () => isOver = true);
    for (let turn = 0; !isOver; turn++) {
      assert.ok(turn < 1_000, "it does not end");
      await this.network.advance(STEP_MS);
    }
    assert.equal(await work, true);
    assert.deepEqual(await this.store.read(DIGEST), BLOB);
    await this.store.delete(DIGEST);
  }

  close(): void {
    this.network.close();
  }

  async #serve(stream: PeerStream, serve: (asked: Asked) => Promise<void>): Promise<void> {
    const { offset, length } = decodeValue(await stream.read() ?? new Uint8Array()) as {
      readonly offset: number;
      readonly length: number;
    };
    await serve({ stream, bytes: BLOB.slice(offset, offset + length), clock: this.network.clock });
  }
}

for (const [what, { fault, serve }] of Object.entries(LIARS)) {
  Deno.test(`A member that sends ${what} a thousand times leaves nothing wrong, is avoided and named`, async () => {
    const scene = new Scene(serve);
    try {
      for (let lie = 0; lie < LIES; lie++) {
        await scene.bring();
        await scene.network.advance(LATER_MS);
      }
      const { samples, lines } = scene.telemetry;
      const faults = samples.filter(({ name }) => name === "odist_peer_blob_faults_total");
      assert.equal(faults.length, LIES);
      const labels = { peer: LIAR.nodeId, fault };
      for (const sample of faults) assert.deepEqual(sample.labels, labels);
      const named = lines.filter(({ event }) => event === "peer_blob_fault");
      assert.ok(named.length > 0 && named.every(({ values }) => values.peer === LIAR.nodeId));
      assert.equal(scene.reported.length, fault === "corrupt" ? LIES : 0);
      // While it is avoided it is not even asked.
      await scene.bring();
      const { asked } = scene;
      for (let again = 0; again < 10; again++) await scene.bring();
      assert.equal(scene.asked, asked);
    } finally {
      scene.close();
    }
  });
}
