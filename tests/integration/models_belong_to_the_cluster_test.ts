import assert from "node:assert/strict";
import type { TransferProgress } from "../../src/ports/mod.ts";
import { llamaFile } from "../harness/gguf_file.ts";
import { digestOf } from "../harness/memory_models.ts";
import { ModelCluster, type ModelNode, NodeDisk, turnsUntil } from "../harness/model_cluster.ts";
import { storeModel } from "../harness/stored_models.ts";

const SIGNAL = new AbortController().signal;

async function create(
  node: ModelNode,
  request: { readonly model: string; readonly from?: string; readonly system?: string },
): Promise<string[]> {
  const files = request.from === undefined
    ? { "w.gguf": (await node.disk.blobs.put(llamaFile())).digest }
    : undefined;
  const progress = node.models.create(
    { license: [], ...request, ...(files && { files }) },
    SIGNAL,
  );
  return await statusesOf(progress);
}

async function statusesOf(progress: AsyncIterable<TransferProgress>): Promise<string[]> {
  const statuses: string[] = [];
  for await (const { status } of progress) statuses.push(status);
  return [...new Set(statuses)];
}

Deno.test("a model created on one node is listed and shown on all, as the holder says", async () => {
  await using cluster = new ModelCluster();
  const [a, b, c] = [cluster.start(), cluster.start(), cluster.start()];
  assert.equal((await create(b, { model: "Mine", system: "Be kind." })).at(-1), "success");
  const consistency = "linearizable" as const;
  const [listed] = await b.models.list({ consistency });
  // Of the holder's files a node that could not open them hears nothing.
  const asked = { model: "mine", verbose: true, options: {} };
  const shown = await b.models.show({ ...asked, namesFiles: false });
  assert.match(shown.modelfile ?? "", /\nFROM Mine:latest\n/);
  assert.equal(listed?.details.family, "llama");
  for (const node of [a, c]) {
    assert.deepEqual(await node.models.list({ consistency }), [listed]);
    const there = await node.models.show(asked);
    assert.deepEqual(there, JSON.parse(JSON.stringify(shown)));
    assert.deepEqual(await node.disk.names(), []);
  }
});

Deno.test("a model is known to all before anybody has heard who holds it", async () => {
  await using cluster = new ModelCluster();
  cluster.isSilent = true;
  const [a, b] = [cluster.start(), cluster.start(), cluster.start()];
  await create(b, { model: "mine", system: "Be kind." });
  const [listed] = await a.models.list();
  assert.equal(listed?.details.family, "llama");
  const shown = await a.models.show({ model: "mine", verbose: false, options: {} });
  assert.equal(shown.system, "Be kind.");
  assert.equal((await create(a, { model: "child", from: "mine", system: "x" })).at(-1), "success");
});

Deno.test("a model whose holders are all gone is listed by its manifest, and can't be shown", async () => {
  await using cluster = new ModelCluster();
  const [a, b] = [cluster.start(), cluster.start()];
  await create(b, { model: "mine" });
  const [listed] = await b.models.list();
  await b.stop();
  const [left] = await a.models.list();
  assert.deepEqual([left?.name, left?.size, left?.digest], [
    listed?.name,
    listed?.size,
    listed?.digest,
  ]);
  assert.deepEqual([left?.details.family, left?.capabilities], ["", []]);
  await assert.rejects(a.models.show({ model: "mine", verbose: false, options: {} }), {
    code: "peer_lost",
    message: /"mine:latest" is not on this node, and no node that holds it can be reached/,
  });
});

Deno.test("a model deleted on any node is gone from all, blobs included", async () => {
  await using cluster = new ModelCluster();
  const [a, b, c] = [cluster.start(), cluster.start(), cluster.start()];
  await create(b, { model: "mine" });
  await c.models.delete({ model: "mine" });
  for (const node of [a, b, c]) assert.deepEqual(await node.names(), []);
  await turnsUntil("its bytes are gone", async () => (await b.disk.blobs.list()).length === 0);
  await assert.rejects(a.models.delete({ model: "mine" }), { code: "model_not_found" });
});

Deno.test("a model is made from a parent that only another node holds", async () => {
  await using cluster = new ModelCluster();
  const [a, b] = [cluster.start(), cluster.start()];
  await create(b, { model: "parent", system: "Be kind." });

  const statuses = await create(a, { model: "child", from: "parent", system: "Be brief." });

  const short = digestOf(llamaFile()).slice("sha256:".length, "sha256:".length + 12);
  assert.ok(statuses.includes(`pulling ${short}`), statuses.join());
  assert.deepEqual(await a.disk.names(), ["child:latest", "parent:latest"]);
  assert.equal((await a.models.getDefinition("child", "chat")).system, "Be brief.");
  assert.deepEqual(await b.names(), ["child:latest", "parent:latest"]);
});

Deno.test("the same name from two nodes is one model, the later one", async () => {
  await using cluster = new ModelCluster();
  const [a, b] = [cluster.start(), cluster.start()];
  await create(a, { model: "name", system: "first" });
  await create(b, { model: "NAME", system: "second" });
  for (const node of [a, b]) {
    const shown = await node.models.show({ model: "name", verbose: false, options: {} });
    assert.equal(shown.system, "second");
    assert.deepEqual(await node.names(), ["name:latest"]);
  }
  await turnsUntil("the first is gone", async () => (await a.disk.names()).length === 0);
  const first = digestOf(new TextEncoder().encode("first"));
  await turnsUntil("with its text", async () => await a.disk.blobs.find(first) === undefined);
});

Deno.test("without a quorum nothing changes, each refusal says why, and inference knows its models", async () => {
  await using cluster = new ModelCluster();
  const disk = new NodeDisk();
  await storeModel({ blobs: disk.blobs, catalog: disk.folder }, {
    name: "mine",
    layers: [["model", llamaFile()]],
  });
  const node = cluster.start(disk);
  await turnsUntil("it is shared", () => node.copies.held().length === 1);
  node.group.cut();

  const insecure = true;
  const changes: readonly [string, () => Promise<unknown>][] = [
    ["create", () => create(node, { model: "new" })],
    ["create from", () => create(node, { model: "new", from: "mine" })],
    ["copy", () => node.models.copy({ source: "mine", destination: "new" })],
    ["delete", () => node.models.delete({ model: "mine" })],
    ["pull", () => statusesOf(node.models.pull({ model: "127.0.0.1:1/a/b", insecure }, SIGNAL))],
  ];
  for (const [name, change] of changes) {
    await assert.rejects(change, { code: "no_quorum", message: /1 of 3 voters/ }, name);
  }
  assert.equal(node.group.proposed.length, 1, "only what it held");
  assert.deepEqual((await node.models.getDefinition("mine", "chat")).name.model, "mine");
  assert.deepEqual(await disk.names(), ["mine:latest"]);
});

Deno.test("a pull takes from other nodes what they hold, and asks the registry for the manifest only", async () => {
  const { FaultyRegistry } = await import("../harness/faulty_registry.ts");
  await using registry = new FaultyRegistry({});
  await using cluster = new ModelCluster();
  const [a, b] = [cluster.start(), cluster.start()];
  await create(b, { model: "mine" });
  const entry = (await b.catalog.list())[0];
  assert.ok(entry);
  registry.offer("m", entry.manifest, []);

  const model = `${registry.host}/library/m`;
  const statuses = await statusesOf(a.models.pull({ model, insecure: true }, SIGNAL));

  assert.equal(statuses.at(-1), "success");
  assert.deepEqual(await a.disk.blobs.read(digestOf(llamaFile())), llamaFile());
  assert.deepEqual(registry.seen.map((request) => request.method), ["GET"]);
  assert.deepEqual((await b.names()).length, 2);
});
