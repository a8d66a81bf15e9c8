import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { type NodeId, RequestError, UnavailableError } from "../base/mod.ts";
import { MessageStream, refuse } from "../calls/mod.ts";
import type { LoadedModel, LoadOptions, PeerAddress, PeerStream } from "../ports/mod.ts";
import type { LoadSettings, ShardSettings } from "../protocol/mod.ts";
import { decodeValue } from "../transport/mod.ts";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import { streamPair } from "../../tests/harness/peer_streams.ts";
import { readTinyGguf } from "../../tests/harness/test_models.ts";
import { SHARD_SILENCE_MS } from "./limits.ts";
import { SplitEngine } from "./split_engine.ts";

const [SELF, LIAR, HONEST] = ["aa", "bb", "cc"] as unknown as [NodeId, NodeId, NodeId];
const MIB = 2 ** 20;

/** How a node answers who asks it for a worker. */
type Lending = (stream: PeerStream) => Promise<void>;

const grants: Lending = (stream) =>
  new MessageStream(stream).write({ kind: "granted", holdsBlob: true });

/** A node that leads, and those that it may ask for workers; all of them say to have much room. */
class Scene implements AsyncDisposable {
  readonly asked: NodeId[] = [];
  /** What models were loaded with. */
  readonly shards: ShardSettings[] = [];
  /** Ports of workers that models were loaded on. */
  readonly loads: number[] = [];
  /** Of the leader's own process. */
  deathsAtLoad = 0;
  /** Loads that only end when they are given up. */
  hangs = 0;
  readonly engine: SplitEngine;
  readonly #folder: string;
  readonly #settings: LoadSettings;
  readonly #unload = Promise.withResolvers<{ expected: boolean; reason: string }>();

  private constructor(folder: string, modelPath: string, lending: ReadonlyMap<NodeId, Lending>) {
    this.#folder = folder;
    this.#settings = {
      ...{ modelPath, contextTokens: 256, slots: 1, batchTokens: 64, kvCacheType: "f16" },
      ...{ mode: "generate", exact: "off" },
    } as unknown as LoadSettings; // Nothing else of it is looked at.
    const never = () => {};
    const clock = new HandClock();
    type Parts = ConstructorParameters<typeof SplitEngine>[0];
    this.engine = new SplitEngine({
      clock,
      log: { log: never },
      metrics: { increment: never } as unknown as Parts["metrics"],
      speed: { bytesPerMs: 0 },
      engine: {
        load: ({ shards }, { signal }) => {
          this.loads.push(...shards?.ports ?? []);
          if (shards !== undefined) this.shards.push(shards);
          if (this.hangs-- > 0) {
            return new Promise((_, reject) => {
              signal.addEventListener("abort", () => reject(signal.reason));
            });
          }
          if (this.deathsAtLoad-- > 0) {
            void clock.advance(SHARD_SILENCE_MS);
            return Promise.reject(new UnavailableError("runner_lost", "SIGKILL"));
          }
          const exited = this.#unload.promise;
          const unload = () => Promise.resolve();
          return Promise.resolve({ exited, unload } as unknown as LoadedModel);
        },
      },
    });
    const openStream = ({ nodeId }: PeerAddress) => {
      const { near, far } = streamPair(SELF, nodeId);
      void this.#serve(nodeId, { far, lending }).catch(() => far.reset());
      return Promise.resolve(near);
    };
    this.engine.join({
      transport: { openStream },
      self: { nodeId: SELF, name: "self" },
      others: () =>
        [...lending.keys()].map((nodeId, index) => ({
          address: { nodeId, address: "" },
          name: nodeId,
          // The first one tells of most.
          roomBytes: (9_000 - index) * MIB,
          bytesPerMs: 1_000 - index,
          isDoubted: false,
        })),
    });
  }

  static async open(...lending: readonly (readonly [NodeId, Lending])[]): Promise<Scene> {
    const folder = await Deno.makeTempDir();
    const bytes = await readTinyGguf();
    const hex = createHash("sha256").update(bytes).digest("hex");
    const path = join(folder, `sha256-${hex}`);
    await Deno.writeFile(path, bytes);
    return new Scene(folder, path, new Map(lending));
  }

  load(split: LoadOptions["split"] = { ownBytes: 93 * MIB }): Promise<LoadedModel> {
    const signal = new AbortController().signal;
    return this.engine.load(this.#settings, { signal, ...split && { split } });
  }

  /** What this node would take. */
  async share(deviceBytes: number) {
    const device = { name: "CUDA0", freeBytes: deviceBytes };
    return await this.engine.ownShare(this.#settings, { freeBytes: 200 * MIB, device });
  }

  async #serve(
    nodeId: NodeId,
    { far, lending }: { readonly far: PeerStream; readonly lending: ReadonlyMap<NodeId, Lending> },
  ): Promise<void> {
    const { purpose } = decodeValue(await far.read() ?? new Uint8Array()) as { purpose: string };
    if (purpose === "echo") return await new MessageStream(far).write({ kind: "echo" });
    this.asked.push(nodeId);
    await lending.get(nodeId)?.(far);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unload.resolve({ expected: true, reason: "done" });
    await this.#unload.promise;
    await Deno.remove(this.#folder, { recursive: true });
  }
}

const refuses: Lending = (stream) =>
  refuse(stream, new RequestError("model_too_large", "requires more than there is"));
const garbage: Lending = async (stream) => {
  await stream.write(Uint8Array.of(7, 7, 7));
};
const otherWords: Lending = (stream) => new MessageStream(stream).write({ kind: "granted" });
const endsAtOnce: Lending = async (stream) => await stream.end();

for (
  const [what, lies] of [
    ["has less memory than it said", refuses],
    ["sends garbage", garbage],
    ["answers with half of a word", otherWords],
    ["ends its answer", endsAtOnce],
  ] as const
) {
  Deno.test(`a model is loaded without a node that ${what}`, async () => {
    await using scene = await Scene.open([LIAR, lies], [HONEST, grants]);
    const { split } = await scene.load();
    assert.deepEqual(scene.asked, [LIAR, HONEST]);
    assert.deepEqual(split?.shards.map(({ name }) => name), [HONEST, "self"]);
    assert.equal(scene.loads.length, 1);
  });
}

Deno.test("where no other node can compute, the load fails with what the last one said", async () => {
  await using scene = await Scene.open([LIAR, refuses]);
  await assert.rejects(scene.load(), {
    code: "model_too_large",
    message: "requires more than there is",
  });
  assert.deepEqual([scene.asked, scene.loads], [[LIAR], []]);
});

/** Says that the worker's process didn't start, until it was asked `times` times. */
function fails(times: number): Lending {
  let left = times;
  return async (stream) => {
    if (left-- <= 0) return await grants(stream);
    await refuse(stream, new UnavailableError("load_failed", "it said nothing for 10 s"));
  };
}

Deno.test("a node whose worker didn't start is asked again where others can't do without it", async () => {
  await using scene = await Scene.open([LIAR, fails(1)]);
  await scene.load();
  assert.deepEqual(scene.asked, [LIAR, LIAR]);
  await using spared = await Scene.open([LIAR, fails(9)], [HONEST, grants]);
  await spared.load();
  assert.deepEqual(spared.asked, [LIAR, HONEST]);
  await using broken = await Scene.open([LIAR, fails(9)]);
  await assert.rejects(broken.load(), {
    code: "load_failed",
    message: "it said nothing for 10 s",
  });
  assert.deepEqual(broken.asked, [LIAR, LIAR, LIAR]);
});

Deno.test("the leader's own GPU computes the last layers and the output layer, as far as it has room", async () => {
  await using scene = await Scene.open([HONEST, grants]);
  const { ownBytes, device } = await scene.share(64 * MIB);
  assert.equal(device?.name, "CUDA0");
  assert.ok(device.bytes > 0 && device.bytes <= 64 * MIB, `${device.bytes}`);
  const { split } = await scene.load({ ownBytes, device });
  const [shards] = scene.shards;
  assert.deepEqual(shards?.ownDevice, { ...device, layers: shards?.ownLayers });
  assert.ok(shards.ownLayers > 0);
  const rows = split?.shards.map(({ name, device, layerCount }) => ({ name, device, layerCount }));
  assert.deepEqual(rows?.at(-1), {
    name: "self",
    device: "CUDA0",
    layerCount: shards.ownLayers,
  });
  // Too small for the output layer.
  const without = await scene.share(MIB);
  assert.equal(without.device, undefined);
  assert.ok(without.ownBytes > ownBytes);
});

Deno.test("a node that was out of reach for a moment is asked again where others can't do without it", async () => {
  let left = 1;
  const stalls: Lending = async (stream) => left-- > 0 ? stream.reset() : await grants(stream);
  await using scene = await Scene.open([LIAR, stalls]);
  await scene.load();
  assert.deepEqual(scene.asked, [LIAR, LIAR]);
});

Deno.test("a node that fell silent while a model was loaded on it is asked again where others can't do without it", async () => {
  let left = 1;
  const falls: Lending = async (stream) => {
    await grants(stream);
    if (left-- > 0) stream.reset();
  };
  await using scene = await Scene.open([LIAR, falls]);
  scene.hangs = 1;
  await scene.load();
  assert.deepEqual([scene.asked, scene.loads.length], [[LIAR, LIAR], 2]);
});

Deno.test("a load that no other node can do without one that leads a load itself is put off", async () => {
  const leads: Lending = (stream) =>
    refuse(stream, new UnavailableError("queue_full", "this node loads a model itself"));
  await using scene = await Scene.open([LIAR, leads]);
  await assert.rejects(scene.load(), { code: "queue_full" });
  assert.deepEqual(scene.asked, [LIAR]);
  await using spared = await Scene.open([LIAR, leads], [HONEST, grants]);
  await spared.load();
  assert.deepEqual(spared.asked, [LIAR, HONEST]);
});

Deno.test("a model is loaded again when its leader's own process dies while it loads", async () => {
  await using scene = await Scene.open([HONEST, grants]);
  scene.deathsAtLoad = 2;
  await scene.load();
  assert.deepEqual([scene.asked.length, scene.loads.length], [3, 3]);
  scene.deathsAtLoad = 3;
  await assert.rejects(scene.load(), { code: "runner_lost" });
});
