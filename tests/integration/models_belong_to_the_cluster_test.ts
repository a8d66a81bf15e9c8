import assert from "node:assert/strict";
import type { ShownModel, TransferProgress } from "../../src/ports/mod.ts";
import { llamaFile } from "../harness/gguf_file.ts";
import { digestOf } from "../harness/memory_models.ts";
import { NodeWorld } from "../harness/node_world.ts";

const SIGNAL = new AbortController().signal;
/** Nobody copies anything by itself. */
const FLAGS = { replicas: "1" } as const;

interface Wish {
  readonly model: string;
  readonly from?: string;
  readonly system?: string;
}

async function create(world: NodeWorld, number: number, wish: Wish): Promise<string[]> {
  const files = wish.from === undefined
    ? { "w.gguf": (await world.machine(number).blobs.put(llamaFile())).digest }
    : undefined;
  const request = { license: [], ...wish, ...(files && { files }) };
  return await world.settle(statusesOf(world.node(number).api.createModel(request, SIGNAL)));
}

async function statusesOf(progress: AsyncIterable<TransferProgress>): Promise<string[]> {
  return [...new Set(await Array.fromAsync(progress, ({ status }) => status))];
}

async function names(world: NodeWorld, number: number): Promise<readonly string[]> {
  const models = await world.settle(world.node(number).api.listModels());
  return models.map(({ name }) => name).sort();
}

function show(world: NodeWorld, number: number, model: string): Promise<ShownModel> {
  const request = { model, verbose: false, options: {} };
  return world.settle(world.node(number).api.showModel(request));
}

/** How many members a node has heard to hold the only model. */
function holdersKnown(world: NodeWorld, number: number): number {
  const [model] = world.group(number).catalogue.models();
  return world.node(number).cluster.views.holders(model?.manifestDigest ?? "").length;
}

Deno.test("a model created on one node is listed and shown on all, as the holder says", async () => {
  await using world = await NodeWorld.start(3, { flags: FLAGS });
  assert.equal((await create(world, 2, { model: "Mine", system: "Be kind." })).at(-1), "success");
  await world.until(
    "all have heard of it",
    () => [1, 3].every((it) => holdersKnown(world, it) > 0),
  );
  const consistency = "linearizable" as const;
  const listed = (number: number) =>
    world.settle(world.node(number).sharing.models.list({ consistency }));
  const [first] = await listed(2);
  // Of the holder's files a node that could not open them hears nothing.
  const asked = { model: "mine", verbose: true, options: {} };
  const shown = await world.settle(
    world.node(2).sharing.models.show({ ...asked, namesFiles: false }),
  );
  assert.match(shown.modelfile ?? "", /\nFROM Mine:latest\n/);
  assert.equal(first?.details.family, "llama");
  for (const number of [1, 3]) {
    assert.deepEqual(await listed(number), [first]);
    const there = await world.settle(world.node(number).sharing.models.show(asked));
    assert.deepEqual(there, JSON.parse(JSON.stringify(shown)));
    assert.deepEqual(world.machine(number).catalog.names, []);
  }
});

Deno.test("a model is known to all before anybody has heard who holds it", async () => {
  await using world = await NodeWorld.start(3, { flags: FLAGS });
  await create(world, 2, { model: "mine", system: "Be kind." });
  const { gossip } = world.node(2).cluster;
  gossip.tellInventory([]);
  await world.advance(1_000);
  const [listed] = await world.settle(world.node(1).api.listModels());
  assert.equal(listed?.details.family, "llama");
  assert.equal((await show(world, 1, "mine")).system, "Be kind.");
  assert.equal(holdersKnown(world, 1), 0);
  const child = { model: "child", from: "mine", system: "x" };
  assert.equal((await create(world, 1, child)).at(-1), "success");
});

Deno.test("a model whose holders are all gone is listed by its manifest, and can't be shown", async () => {
  await using world = await NodeWorld.start(2, { flags: FLAGS });
  await create(world, 2, { model: "mine" });
  const [listed] = await world.settle(world.node(2).api.listModels());
  world.crash(2);
  const [left] = await world.settle(world.node(1).api.listModels());
  assert.deepEqual([left?.name, left?.size, left?.digest], [
    listed?.name,
    listed?.size,
    listed?.digest,
  ]);
  assert.deepEqual([left?.details.family, left?.capabilities], ["", []]);
  await assert.rejects(show(world, 1, "mine"), {
    code: "peer_lost",
    message: /"mine:latest" is not on this node, and no node that holds it can be reached/,
  });
});

Deno.test("a model deleted on any node is gone from all, blobs included", async () => {
  await using world = await NodeWorld.start(3, { flags: FLAGS });
  await create(world, 2, { model: "mine" });
  await world.settle(world.node(3).api.deleteModel({ model: "mine" }));
  await world.until(
    "all have applied it",
    () => world.running.every((it) => world.group(it).catalogue.models().length === 0),
  );
  for (const number of [1, 2, 3]) assert.deepEqual(await names(world, number), []);
  await world.until("its bytes are gone", () => world.machine(2).blobs.blobs.size === 0);
  const again = world.settle(world.node(1).api.deleteModel({ model: "mine" }));
  await assert.rejects(again, { code: "model_not_found" });
});

Deno.test("a model is made from a parent that only another node holds", async () => {
  await using world = await NodeWorld.start(2, { flags: FLAGS });
  await create(world, 2, { model: "parent", system: "Be kind." });

  const statuses = await create(world, 1, { model: "child", from: "parent", system: "Be brief." });

  const short = digestOf(llamaFile()).slice("sha256:".length, "sha256:".length + 12);
  assert.ok(statuses.includes(`pulling ${short}`), statuses.join());
  assert.deepEqual(world.machine(1).catalog.names, ["child:latest", "parent:latest"]);
  const { models } = world.node(1).sharing;
  assert.equal((await world.settle(models.getDefinition("child", "chat"))).system, "Be brief.");
  await world.until(
    "the other has applied it",
    () => world.group(2).catalogue.models().length === 2,
  );
  assert.deepEqual(await names(world, 2), ["child:latest", "parent:latest"]);
});

Deno.test("the same name from two nodes is one model, the later one", async () => {
  await using world = await NodeWorld.start(2, { flags: FLAGS });
  await create(world, 1, { model: "name", system: "first" });
  await create(world, 2, { model: "NAME", system: "second" });
  const { catalog, blobs } = world.machine(1);
  await world.until("the first is gone", () => catalog.names.length === 0);
  const first = digestOf(new TextEncoder().encode("first"));
  await world.until("with its text", () => !blobs.blobs.has(first));
  for (const number of [1, 2]) {
    assert.equal((await show(world, number, "name")).system, "second");
    assert.deepEqual(await names(world, number), ["name:latest"]);
  }
});

Deno.test("without a quorum models are made here, the cluster's stay, and inference knows both", async () => {
  await using world = await NodeWorld.start(3, { flags: FLAGS });
  await create(world, 1, { model: "mine" });
  for (const number of [2, 3]) world.crash(number);
  await world.until("the quorum is missed", () => world.group(1).quorumLostAtMs !== undefined);
  const { appliedIndex } = world.group(1).catalogue;

  const { api, sharing } = world.node(1);
  for (const change of [{ model: "new" }, { model: "child", from: "mine", system: "Be kind." }]) {
    assert.equal((await create(world, 1, change)).at(-1), "success");
  }
  await world.settle(api.copyModel({ source: "mine", destination: "copy" }));
  await assert.rejects(world.settle(api.deleteModel({ model: "mine" })), {
    code: "no_quorum",
    message: /2 of 3 voters/,
  });
  await world.settle(api.deleteModel({ model: "copy" }));
  assert.equal(world.group(1).catalogue.appliedIndex, appliedIndex);
  for (const model of ["mine", "new", "child"]) {
    const definition = await world.settle(sharing.models.getDefinition(model, "chat"));
    assert.equal(definition.name.model, model);
  }
  const rows = await world.settle(sharing.models.list());
  assert.deepEqual(rows.map(({ name, isLocal = false }) => `${name} ${isLocal}`).sort(), [
    "child:latest true",
    "mine:latest false",
    "new:latest true",
  ]);
});

Deno.test("a pull takes from other nodes what they hold, and asks the registry for the manifest only", async () => {
  const { FaultyRegistry } = await import("../harness/faulty_registry.ts");
  await using registry = new FaultyRegistry({});
  await using world = await NodeWorld.start(2, {
    mode: "prompt",
    flags: { ...FLAGS, allowsPrivateRegistry: "true" },
  });
  await create(world, 2, { model: "mine" });
  const [entry] = await world.node(2).sharing.catalog.list();
  assert.ok(entry);
  registry.offer("m", entry.manifest, []);

  const model = `${registry.host}/library/m`;
  const { api } = world.node(1);
  const statuses = await world.settle(statusesOf(api.pullModel({ model, insecure: true }, SIGNAL)));

  assert.equal(statuses.at(-1), "success");
  assert.deepEqual(await world.machine(1).blobs.read(digestOf(llamaFile())), llamaFile());
  assert.deepEqual(registry.seen.map((request) => request.method), ["GET"]);
  assert.equal(world.group(1).catalogue.models().length, 2);
});
