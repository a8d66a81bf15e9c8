import assert from "node:assert/strict";
import fc from "fast-check";
import { linkBytesPerToken } from "./link_bytes.ts";
import { splitLayers } from "./layer_split.ts";
import { estimateMemoryBytes, memoryParts, type MemoryShape } from "./memory.ts";
import { planShards, type Shard, type ShardedPlan, type ShardPlan } from "./shard_plan.ts";
import type { ShardModel, ShardNode } from "./shard_places.ts";

const MIB = 2 ** 20;
const PROCESS = 80 * MIB;

const SHAPE: Omit<MemoryShape, "weightsBytes" | "blockCount"> = {
  kvHeads: 8,
  keyValueLength: 256,
  contextTokens: 4096,
  slots: 1,
  batchTokens: 512,
  isBatchWhole: false,
  vocabularyTokens: 1000,
  embeddingLength: 512,
  kvCacheType: "f16",
};

function modelOf(
  layers: readonly number[],
  given: Partial<ShardModel> = {},
): ShardModel {
  const outside = { inputBytes: 20 * MIB, outputBytes: 30 * MIB, isOutputTied: false, ...given };
  const inLayers = layers.reduce((sum, bytes) => sum + bytes, 0);
  const weightsBytes = inLayers + outside.inputBytes + outside.outputBytes;
  return {
    ...outside,
    layers: layers.map((bytes) => ({ weightsBytes: bytes, activeBytes: bytes })),
    shape: { ...SHAPE, blockCount: layers.length, weightsBytes },
  };
}

function nodeOf(name: string, hostMib: number, more: Partial<ShardNode> = {}): ShardNode {
  return { name, host: { freeBytes: hostMib * MIB, bytesPerMs: MIB }, roundTripMs: 1, ...more };
}

function planned(plan: ShardPlan): ShardedPlan {
  assert(plan.kind !== "refused", JSON.stringify(plan));
  return plan;
}

/** A memory as the naive search knows it. */
interface Memory {
  readonly roomBytes: number;
  readonly bytesPerMs: number;
  readonly linkMs: number;
}

/** Least time over every order of the workers' memories and every way to cut the layers; Infinity where none fits. `workers` undefined = none are asked. */
function exhaustive(
  model: ShardModel,
  cluster: { readonly leader: ShardNode; readonly workers: readonly ShardNode[] | undefined },
): number {
  const parts = memoryParts(model.shape);
  const kvBytes = parts.kvBytes / model.layers.length;
  const outputBytes = model.outputBytes + (model.isOutputTied ? model.inputBytes : 0);
  const { leader } = cluster;
  const always = PROCESS + model.inputBytes + parts.computeBytes;
  const onDevice = parts.logitsBytes + outputBytes + parts.computeBytes;
  const memory = (node: ShardNode, kind: "host" | "device", taken: number): Memory => ({
    roomBytes: (node[kind]?.freeBytes ?? 0) - taken,
    bytesPerMs: node[kind]?.bytesPerMs ?? 1,
    linkMs: node === leader ? 0 : node.roundTripMs,
  });
  const hasDevice = leader.device !== undefined && leader.device.freeBytes >= onDevice;
  const own = hasDevice
    ? [memory(leader, "host", always), memory(leader, "device", onDevice)]
    : [memory(leader, "host", always + parts.logitsBytes + model.outputBytes)];
  if (own.some(({ roomBytes }) => roomBytes < 0)) return Infinity;
  const workers = (cluster.workers ?? []).filter(({ host }) => host.freeBytes >= PROCESS)
    .flatMap((node) => [
      memory(node, "host", PROCESS + parts.computeBytes),
      ...(node.device === undefined ? [] : [memory(node, "device", parts.computeBytes)]),
    ]);
  let least = Infinity;
  const place = (first: number, rest: readonly Memory[], ms: number, used: number): void => {
    const [next, ...others] = rest;
    if (next === undefined) {
      if (first === model.layers.length && (cluster.workers === undefined || used > 0)) {
        least = Math.min(least, ms);
      }
      return;
    }
    let bytes = 0;
    let readMs = 0;
    place(first, others, ms, used);
    for (let end = first; end < model.layers.length; end++) {
      const layer = model.layers[end];
      assert(layer !== undefined);
      bytes += layer.weightsBytes + kvBytes;
      readMs += layer.activeBytes / next.bytesPerMs;
      if (bytes > next.roomBytes) return;
      place(end + 1, others, ms + readMs + next.linkMs, used + (own.includes(next) ? 0 : 1));
    }
  };
  const last = own.at(-1);
  for (const order of ordersOf(workers)) {
    place(0, [...order, ...own], outputBytes / (last?.bytesPerMs ?? 1), 0);
  }
  return least;
}

function ordersOf<Item>(items: readonly Item[]): Item[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, index) =>
    ordersOf(items.toSpliced(index, 1)).map((rest) => [item, ...rest])
  );
}

const memoryArbitrary = (freeMib: { readonly min: number; readonly max: number }) =>
  fc.record({
    freeBytes: fc.integer(freeMib).map((mib) => mib * MIB),
    bytesPerMs: fc.integer({ min: 1, max: 50 }).map((mib) => mib * MIB),
  });

const nodesArbitrary = fc.array(
  fc.record({
    host: memoryArbitrary({ min: 60, max: 450 }),
    device: fc.option(memoryArbitrary({ min: 0, max: 400 }), { nil: undefined, freq: 2 }),
    roundTripMs: fc.integer({ min: 0, max: 20 }),
  }),
  { minLength: 1, maxLength: 3 },
).map((rows) =>
  rows.map(({ device, ...row }, index): ShardNode => ({
    name: `n${index}`,
    ...row,
    ...(device === undefined ? {} : { device }),
  }))
);

const modelArbitrary = fc.record({
  layers: fc.array(fc.integer({ min: 10, max: 120 }), { minLength: 1, maxLength: 5 }),
  isOutputTied: fc.boolean(),
}).map(({ layers, isOutputTied }) => modelOf(layers.map((mib) => mib * MIB), { isOutputTied }));

Deno.test("a split is as fast as the best of an exhaustive search, and refused where that finds none", () => {
  const seen = { split: 0, refused: 0 };
  fc.assert(
    fc.property(modelArbitrary, nodesArbitrary, (model, nodes) => {
      const [leader, ...workers] = nodes;
      assert(leader !== undefined);
      const plan = planShards(model, { leader: leader.name, nodes }, { isSplitWanted: true });
      const least = exhaustive(model, { leader, workers });
      assert.equal(plan.kind === "refused", least === Infinity);
      if (plan.kind === "refused") return void seen.refused++;
      seen.split++;
      assert.ok(Math.abs(plan.msPerToken - least) < 1e-9 * least, `${plan.msPerToken} ${least}`);
    }),
    { numRuns: 400 },
  );
  // Otherwise it would have compared nothing.
  assert.ok(seen.split > 80 && seen.refused > 80, JSON.stringify(seen));
});

Deno.test("no split is made where a node holds the model whole, and the fastest of those does", () => {
  let wholes = 0;
  fc.assert(
    fc.property(modelArbitrary, nodesArbitrary, (model, nodes) => {
      const plan = planShards(model, { leader: "n0", nodes });
      const least = Math.min(
        ...nodes.map((leader) => exhaustive(model, { leader, workers: undefined })),
      );
      assert.equal(plan.kind === "whole", least < Infinity);
      if (plan.kind !== "whole") return;
      wholes++;
      assert.ok(Math.abs(plan.msPerToken - least) < 1e-9 * least);
      assert.deepEqual(new Set(plan.shards.map(({ node }) => node)), new Set([plan.leader]));
    }),
    { numRuns: 300 },
  );
  assert.ok(wholes > 60, String(wholes));
});

Deno.test("a plan places every layer once and never more into a memory than is free", () => {
  fc.assert(
    fc.property(modelArbitrary, nodesArbitrary, fc.boolean(), (model, nodes, isSplitWanted) => {
      const plan = planShards(model, { leader: "n0", nodes }, { isSplitWanted });
      if (plan.kind === "refused") return;
      const placed = plan.shards.flatMap(({ firstLayer, layerCount }) =>
        Array.from({ length: layerCount }, (_, index) => firstLayer + index)
      );
      assert.deepEqual(placed, model.layers.map((_, index) => index));
      const { kvBytes, processBytes } = memoryParts(model.shape);
      for (const shard of plan.shards) {
        const node = nodes.find(({ name }) => name === shard.node);
        const layers = model.layers.slice(shard.firstLayer, shard.firstLayer + shard.layerCount);
        const weightsBytes = layers.reduce((sum, layer) => sum + layer.weightsBytes, 0);
        const heldBytes = weightsBytes + kvBytes * layers.length / model.layers.length;
        assert.equal(shard.weightsBytes, weightsBytes);
        assert.ok(shard.totalBytes >= heldBytes);
        assert.ok(shard.totalBytes <= (node?.[shard.memory]?.freeBytes ?? 0));
      }
      for (const name of new Set(plan.shards.map(({ node }) => node))) {
        const host: readonly Shard[] = plan.shards.filter((one) =>
          one.node === name && one.memory === "host"
        );
        assert.equal(host.length, 1, "the process of each node lies in its host memory");
        assert.ok((host[0]?.otherBytes ?? 0) >= processBytes);
      }
      assert.equal(plan.shards.at(-1)?.node, plan.leader);
    }),
    { numRuns: 400 },
  );
});

Deno.test("a model that is whole on a node takes what the scheduler reserves for it", () => {
  const model = modelOf([50 * MIB, 60 * MIB]);
  const { shards } = planned(planShards(model, { leader: "a", nodes: [nodeOf("a", 9_000)] }));
  assert.deepEqual(shards.map(({ totalBytes }) => totalBytes), [estimateMemoryBytes(model.shape)]);
});

Deno.test("a refusal says what is wanted and what is there", () => {
  const model = modelOf([100 * MIB, 100 * MIB, 100 * MIB]);
  const { kvBytes, logitsBytes, computeBytes } = memoryParts(model.shape);
  const fixed = PROCESS + model.inputBytes + model.outputBytes + logitsBytes + computeBytes;
  const refuse = (hosts: readonly number[]) =>
    planShards(model, {
      leader: "n0",
      nodes: hosts.map((mib, index) => nodeOf(`n${index}`, mib)),
    });
  const layerBytes = 100 * MIB + kvBytes / 3;
  assert.deepEqual(refuse([90, 400]), {
    kind: "refused",
    reason: "leader",
    wantedBytes: fixed,
    presentBytes: 90 * MIB,
    layerBytes,
  });
  const wantedBytes = 300 * MIB + kvBytes + fixed;
  const workerRoom = (mib: number) => mib * MIB - PROCESS - computeBytes;
  assert.deepEqual(refuse([200, 200]), {
    kind: "refused",
    reason: "memory",
    wantedBytes,
    presentBytes: 200 * MIB + workerRoom(200),
    layerBytes,
  });
  // One and a half layers fit into each of three.
  const half = layerBytes / MIB * 1.5;
  const worker = PROCESS / MIB + computeBytes / MIB + half;
  const short = refuse([fixed / MIB + layerBytes / MIB * 0.9, worker, worker]);
  assert(short.kind === "refused");
  assert.equal(short.reason, "whole_layers");
  assert.ok(short.presentBytes >= short.wantedBytes);
});

Deno.test("of two splits that take the same time the one with fewer workers is planned", () => {
  const model = modelOf([100 * MIB, 100 * MIB]);
  const free = { roundTripMs: 0 };
  const nodes = [nodeOf("a", 200), nodeOf("b", 400, free), nodeOf("c", 400, free)];
  const { shards } = planned(planShards(model, { leader: "a", nodes }, { isSplitWanted: true }));
  assert.deepEqual(shards.map(({ node, layerCount }) => [node, layerCount]), [["b", 2], ["a", 0]]);
});

Deno.test("speed outweighs memory, and a slow link outweighs speed", () => {
  const model = modelOf([100 * MIB]);
  const fast = { freeBytes: 300 * MIB, bytesPerMs: 10 * MIB };
  const workerOf = (roundTripMs: number) => {
    const nodes = [
      nodeOf("a", 150),
      nodeOf("large", 9_000),
      nodeOf("fast", 0, { host: fast, roundTripMs }),
    ];
    const plan = planShards(model, { leader: "a", nodes }, { isSplitWanted: true });
    return planned(plan).shards[0]?.node;
  };
  assert.equal(workerOf(1), "fast");
  assert.equal(workerOf(92), "large");
});

Deno.test("more workers than llama.cpp takes devices are not planned", () => {
  const layers = Array.from({ length: 20 }, () => 100 * MIB);
  const model = modelOf(layers);
  const one = (index: number) => nodeOf(`w${index}`, 220);
  const nodes = [nodeOf("a", 150), ...layers.map((_, index) => one(index))];
  const plan = planShards(model, { leader: "a", nodes });
  assert(plan.kind === "refused");
  assert.equal(plan.reason, "whole_layers");
});

Deno.test("splitLayers() divides the most layers among the most places", () => {
  const layers = Array.from(
    { length: 256 },
    (_, index) => ({ memoryBytes: 1 + index % 3, activeBytes: 1 }),
  );
  const place = (index: number) => ({ roomBytes: 300, bytesPerMs: 1 + index % 7, linkMs: 1 });
  const workers = Array.from({ length: 32 }, (_, index) => place(index));
  const split = splitLayers({ layers, workers, own: [place(0)], workersMin: 1, workersMax: 15 });
  assert.equal(split?.shares.reduce((sum, { layerCount }) => sum + layerCount, 0), 256);
});

Deno.test("linkBytesPerToken() says what was counted for SmolLM2 on a real link", () => {
  const { upBytes, downBytes } = linkBytesPerToken({ embeddingLength: 576, cachedTokens: 100 });
  assert.equal(downBytes, 2304);
  assert.ok(Math.abs(upBytes - 4_700) < 100, String(upBytes));
  const filled = linkBytesPerToken({ embeddingLength: 576, cachedTokens: 4_095 });
  assert.equal(filled.upBytes - upBytes, 2 * (4_096 - 256));
});
