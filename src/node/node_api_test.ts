import assert from "node:assert/strict";
import { MemoryBlobStore, MemoryCatalog } from "../../tests/harness/memory_models.ts";
import { STILL_CLOCK } from "../../tests/harness/scripted_client.ts";
import { modelStoreParts, storeModel } from "../../tests/harness/stored_models.ts";
import type { SchedulerView } from "../core/scheduler/mod.ts";
import { createModelStore } from "../models/mod.ts";
import type { LoadedCopy, ManifestPrefix } from "../protocol/mod.ts";
import type { OtherNodes } from "../operators/loaded_rows.ts";
import { createNodeApi, type NodeApi } from "./node_api.ts";

const COPY: LoadedCopy = {
  manifest: "0".repeat(16) as ManifestPrefix,
  name: "m:latest",
  sizeBytes: 2_000,
  vramBytes: 500,
  contextLength: 512,
  expiresAtMs: STILL_CLOCK.nowMs() + 1_000,
  slots: 1,
  runningRequests: 0,
};

/** Model `m` is known, and loaded here as far as `here` says. */
async function clientWith(others: OtherNodes | undefined, here: boolean): Promise<NodeApi> {
  const blobs = new MemoryBlobStore();
  const catalog = new MemoryCatalog();
  await storeModel({ blobs, catalog }, { name: "m", layers: [] });
  const instance = { displayName: "m:latest", memoryBytes: 9, keepAliveMs: 5, contextTokens: 64 };
  const view = { instances: here ? [instance] : [], running: 0, waiting: 0 };
  const unasked = () => Promise.reject(new Error("not asked"));
  return createNodeApi({
    inference: { generate: unasked, chat: unasked, embed: unasked, countTokens: unasked },
    vocabularies: { tokenize: unasked, detokenize: unasked },
    models: createModelStore(modelStoreParts({ blobs, catalog })),
    blobs,
    uploads: blobs,
    driver: { view: () => view as unknown as SchedulerView, findModel: () => undefined },
    clock: STILL_CLOCK,
    ...(others && { others }),
  });
}

const nodes = (loaded: ReturnType<OtherNodes["loaded"]>): OtherNodes => ({
  ownName: "attic",
  loaded: () => loaded,
});

Deno.test("NodeApi.listLoaded() names no node where there is only one", async () => {
  for (const others of [undefined, nodes([])]) {
    const rows = await (await clientWith(others, true)).listLoaded();
    assert.equal(rows.length, 1);
    assert.ok(!Object.hasOwn(rows[0] ?? {}, "node"));
  }
});

Deno.test("NodeApi.listLoaded() lists every loaded copy with its node, latest expiry first", async () => {
  const others = nodes([
    { node: "cellar", copies: [COPY, { ...COPY, name: "deleted:latest" }], split: [] },
    { node: "garage", copies: [{ ...COPY, expiresAtMs: 0 }], split: [] },
    { node: "shed", copies: [], split: [] },
  ]);
  const rows = await (await clientWith(others, true)).listLoaded();
  assert.deepEqual(rows.map(({ node, size, sizeVram }) => [node, size, sizeVram]), [
    ["garage", 2_000, 500],
    ["cellar", 2_000, 500],
    ["attic", 9, 0],
  ]);
  assert.equal(rows[0]?.expiresAtMs, Infinity);
  assert.equal(rows[1]?.digest, rows[2]?.digest);
});

Deno.test("NodeApi.listLoaded() shows a model that several nodes compute as one row, with all it takes", async () => {
  const shard = { firstLayer: 0, layerCount: 2, memoryBytes: 300 };
  const attic = { ...shard, name: "attic", device: "CUDA0" };
  const shards = [attic, { ...shard, name: "cellar", firstLayer: 2 }];
  const split = [{ manifest: COPY.manifest, shards }];
  const client = await clientWith(nodes([{ node: "cellar", copies: [COPY], split }]), false);
  const rows = await client.listLoaded();
  assert.deepEqual(rows.map(({ node, size }) => [node, size]), [["cellar", 600]]);
  assert.deepEqual(rows[0]?.shards, shards);
});

Deno.test("NodeApi.listLoaded() lists what only other nodes have loaded", async () => {
  const client = await clientWith(nodes([{ node: "cellar", copies: [COPY], split: [] }]), false);
  assert.deepEqual((await client.listLoaded()).map(({ node }) => node), ["cellar"]);
});
