import assert from "node:assert/strict";
import type { NodeId } from "../base/mod.ts";
import { planShards, type ShardModel } from "../core/scheduler/mod.ts";
import { type ComputingNode, shardClusterOf } from "./shard_cluster.ts";

const MIB = 2 ** 20;
const OWN = { nodeId: "own" as NodeId, freeBytes: 200 * MIB, bytesPerMs: 0 };
const MODEL: ShardModel = {
  layers: [{ weightsBytes: 100 * MIB, activeBytes: 100 * MIB }],
  inputBytes: MIB,
  outputBytes: MIB,
  isOutputTied: false,
  shape: {
    ...{ kvHeads: 1, keyValueLength: 64, contextTokens: 256, slots: 1, batchTokens: 64 },
    ...{ isBatchWhole: false, vocabularyTokens: 1_000, embeddingLength: 64, kvCacheType: "f16" },
    ...{ blockCount: 1, weightsBytes: 102 * MIB },
  },
};

function nodeOf(name: string, more: Partial<ComputingNode> = {}): ComputingNode {
  const address = { nodeId: name as NodeId, address: "" };
  return { address, name, roomBytes: 900 * MIB, bytesPerMs: 0, isDoubted: false, ...more };
}

/** Which node takes the only layer. */
function chosen(others: readonly ComputingNode[], trips: Record<string, number> = {}) {
  const cluster = shardClusterOf(OWN, others, new Map(Object.entries(trips) as [NodeId, number][]));
  const plan = planShards(MODEL, cluster, { isSplitWanted: true });
  assert(plan.kind === "split", JSON.stringify(plan));
  return plan.shards.find(({ layerCount }) => layerCount > 0)?.node;
}

Deno.test("layers go to the node that was measured to be faster, though another has more room", () => {
  const large = nodeOf("large", { bytesPerMs: 4 * MIB });
  assert.equal(
    chosen([large, nodeOf("fast", { bytesPerMs: 9 * MIB, roomBytes: 400 * MIB })]),
    "fast",
  );
});

Deno.test("layers go to a GPU where it has room beside what it keeps free", () => {
  const memoryOf = (freeBytes: number) => {
    const node = nodeOf("driving", { device: { name: "CUDA0", freeBytes } });
    const cluster = shardClusterOf(OWN, [node, nodeOf("plain")], new Map());
    const plan = planShards(MODEL, cluster, { isSplitWanted: true });
    assert(plan.kind === "split", JSON.stringify(plan));
    return plan.shards.find(({ layerCount }) => layerCount > 0)?.memory;
  };
  assert.deepEqual([8_000 * MIB, 800 * MIB, 0].map(memoryOf), ["device", "host", "host"]);
});

Deno.test("of nodes that are as fast the nearer one takes layers", () => {
  assert.equal(chosen([nodeOf("a"), nodeOf("b")], { a: 20, b: 2 }), "b");
  assert.equal(chosen([nodeOf("a"), nodeOf("b")], { a: 2, b: 20 }), "a");
});

Deno.test("a node that was not measured is taken for as slow and as far as the others are", () => {
  const slow = nodeOf("slow", { bytesPerMs: 2 * MIB });
  const { nodes } = shardClusterOf(
    { ...OWN, bytesPerMs: 8 * MIB },
    [slow, nodeOf("new")],
    new Map([["slow" as NodeId, 7]]),
  );
  const unknown = nodes.find(({ name }) => name === "new");
  assert.deepEqual([unknown?.host.bytesPerMs, unknown?.roundTripMs], [2 * MIB, 7]);
  assert.ok((nodes[0]?.host.bytesPerMs ?? 0) > 8 * MIB);
});

Deno.test("where nobody was measured all nodes are alike", () => {
  const { nodes } = shardClusterOf(OWN, [nodeOf("a"), nodeOf("b")], new Map());
  const [, a, b] = nodes;
  assert.deepEqual({ ...a, name: "" }, { ...b, name: "" });
});
