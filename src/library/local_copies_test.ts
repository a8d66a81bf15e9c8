import assert from "node:assert/strict";
import { llamaFile } from "../../tests/harness/gguf_file.ts";
import { digestOf } from "../../tests/harness/memory_models.ts";
import { nameOf } from "../../tests/harness/model_storage_contract.ts";
import { NodeWorld } from "../../tests/harness/node_world.ts";
import type { SimulatedMachine } from "../../tests/harness/simulated_machine.ts";
import { storeModel } from "../../tests/harness/stored_models.ts";

const SETTLED = ["local_model_removed", "local_models_not_settled", "local_model_not_shared"];

/** A model of its own text beside shared weights. */
async function store(on: SimulatedMachine, name: string, system = name): Promise<void> {
  await storeModel(on, { name, layers: [["model", llamaFile()], ["system", system]] });
}

const systemDigest = (text: string) => digestOf(new TextEncoder().encode(text));

/** Nodes of which the first comes with these models in its folder, and shares them unless they are broken. */
async function clusterWith(
  names: readonly string[],
  options: { readonly count: number; readonly broken?: string },
): Promise<NodeWorld> {
  const world = new NodeWorld({ flags: { replicas: "1" } });
  const holder = await world.prepare(1);
  for (const name of names) await store(holder, name);
  const { broken, count } = options;
  if (broken !== undefined) await holder.blobs.delete(systemDigest(broken));
  await world.grow(count);
  const wanted = names.length - (broken === undefined ? 0 : 1);
  await world.until("they are shared", () => held(world, 1) === wanted);
  return world;
}

function held(world: NodeWorld, number: number): number {
  return world.node(number).sharing.copies.held().length;
}

/** Names as a node lists them, sorted. */
async function listed(world: NodeWorld, number: number): Promise<readonly string[]> {
  const models = await world.settle(world.node(number).sharing.models.list());
  return models.map(({ name }) => name).sort();
}

async function systemOf(world: NodeWorld, number: number, model: string): Promise<string> {
  const request = { model, verbose: false, options: {} };
  const shown = await world.settle(world.node(number).api.showModel(request));
  return shown.system ?? "";
}

Deno.test("LocalCopies puts what a folder holds into a catalogue that never had it", async () => {
  await using world = await clusterWith(["a", "b"], { count: 1 });
  assert.equal(world.group(1).catalogue.models().length, 2);
  assert.deepEqual(await listed(world, 1), ["a:latest", "b:latest"]);
  const known = await world.machine(1).files.read("/n1/cluster/known_models.json");
  const { models } = JSON.parse(new TextDecoder().decode(known));
  assert.equal(Object.keys(models).length, 2);
});

Deno.test("LocalCopies removes what was deleted elsewhere, with the blobs nothing else names", async () => {
  await using world = await clusterWith(["a", "b"], { count: 2 });
  const { catalog, blobs } = world.machine(1);

  await world.settle(world.node(2).api.deleteModel({ model: "A" }));

  await world.until("it is gone", () => catalog.names.join() === "b:latest");
  await world.until("so is its text", () => !blobs.blobs.has(systemDigest("a")));
  assert.ok(blobs.blobs.has(digestOf(llamaFile())), "b needs the weights");
  assert.equal(held(world, 1), 1);
});

Deno.test("LocalCopies does not bring back what was deleted while the node was off", async () => {
  await using world = await clusterWith(["a", "b"], { count: 4 });
  const { catalog } = world.machine(1);
  await world.settle(world.node(2).api.copyModel({ source: "b", destination: "c" }));
  await world.until("the copy is written", () => catalog.names.length === 3);
  await world.stop(1);
  for (const model of ["a", "c"]) await world.settle(world.node(2).api.deleteModel({ model }));

  await world.boot(1);

  await world.until("both are gone", () => catalog.names.join() === "b:latest");
  assert.deepEqual(await listed(world, 2), ["b:latest"]);
  assert.deepEqual(world.machine(1).told(...SETTLED), [
    "local_model_removed model=a:latest because=deleted",
    "local_model_removed model=c:latest because=deleted",
  ]);
});

Deno.test("LocalCopies judges nothing by a log that it has not caught up with", async () => {
  await using world = await clusterWith(["a"], { count: 3 });
  const machine = world.machine(1);
  await world.settle(world.node(1).api.deleteModel({ model: "a" }));
  await world.until("it is gone", () => machine.catalog.names.length === 0);
  await store(machine, "a", "second");
  world.node(1).sharing.copies.noteChanged("all");
  await world.until("the second is shared", () => world.group(2).catalogue.models().length === 1);
  world.crash(1, { power: false });
  const toldBefore = machine.told(...SETTLED).length;

  // It knows of the first model and its deletion, and that the second was shared; its log's end is not known to be agreed on.
  world.isolate(1);
  await world.boot(1);
  const told = () => machine.told(...SETTLED).slice(toldBefore);
  await world.until("it has tried", () => told().length > 0);
  assert.match(told().join(), /^local_models_not_settled reason=.*quorum/);
  assert.deepEqual(world.group(1).catalogue.models(), []);
  assert.deepEqual(machine.catalog.names, ["a:latest"]);
});

Deno.test("LocalCopies leaves a joiner its own model of a taken name, beside the cluster's, and says so", async () => {
  await using world = await clusterWith(["a"], { count: 1 });
  const joined = await world.prepare(2);
  await store(joined, "A", "mine");

  await world.join(2);

  const kept = ["local_model_kept model=A:latest as=A:latest@n2 because=the cluster has the name"];
  await world.until("it is kept", () => joined.told("local_model_kept").length > 0);
  await world.advance(130_000);
  assert.deepEqual(joined.told("local_model_kept", ...SETTLED), kept, "once");
  assert.deepEqual(joined.catalog.names, ["A:latest"]);
  assert.deepEqual(await listed(world, 2), ["A:latest@n2", "a:latest"]);
  assert.deepEqual(await listed(world, 1), ["a:latest"]);
  assert.equal(await systemOf(world, 2, "a@N2"), "mine");
  assert.equal(await systemOf(world, 2, "a"), "a");

  // Once its owner lets it go, the cluster's may come in its place.
  await world.settle(world.node(2).api.copyModel({ source: "A@n2", destination: "b" }));
  await world.settle(world.node(2).api.deleteModel({ model: "A@n2" }));
  assert.deepEqual(await listed(world, 2), ["a:latest", "b:latest"]);
  assert.deepEqual(await listed(world, 1), ["a:latest", "b:latest"]);
  assert.equal(await systemOf(world, 2, "b"), "mine");
});

Deno.test("LocalCopies keeps what is made without a quorum, and offers it when there is one again", async () => {
  await using world = await clusterWith(["a", "b"], { count: 3 });
  const away = world.node(2);
  const api = away.api;
  world.isolate(2);
  await world.until("the quorum is missed", () => world.group(2).quorumLostAtMs !== undefined);
  await store(world.machine(2), "made", "made away");
  await store(world.machine(2), "a", "a of n2");
  away.sharing.copies.noteChanged("all");
  await world.advance(3_000);
  await world.settle(api.copyModel({ source: "made", destination: "free" }));
  await world.settle(api.copyModel({ source: "made", destination: "gone" }));
  await world.settle(api.deleteModel({ model: "gone" }));
  await assert.rejects(world.settle(api.deleteModel({ model: "b" })), {
    code: "no_quorum",
    message: /Cannot delete model "b:latest": .* 2 of 3 voters are down: start n1 or n3/,
  });
  const rows = await world.settle(away.sharing.models.list());
  const told = rows.map(({ name, isLocal }) => `${name}${isLocal ? " local" : ""}`).sort();
  assert.deepEqual(told, ["a:latest local", "b:latest", "free:latest local", "made:latest local"]);
  assert.equal(await systemOf(world, 2, "a"), "a of n2");
  assert.equal(await systemOf(world, 2, "free"), "made away");
  const isolatedFrom = world.node(1);
  await store(world.machine(1), "free", "free of n1");
  isolatedFrom.sharing.copies.noteChanged("all");
  await world.until(
    "n1 shares its own",
    () => world.group(1).catalogue.findModel(nameOf("free")) !== undefined,
  );

  world.network.heal();

  await world.until(
    "each is told once",
    () => world.machine(2).told("local_model_kept").length === 2,
  );
  await world.until(
    "the free name is the cluster's",
    () => world.group(1).catalogue.findModel(nameOf("made")) !== undefined,
  );
  await world.advance(130_000);
  assert.equal(world.machine(2).told("local_model_kept").length, 2);
  const shared = ["a:latest", "b:latest", "free:latest", "made:latest"];
  assert.deepEqual(await listed(world, 1), shared);
  assert.deepEqual(
    await listed(world, 2),
    [...shared, "a:latest@n2", "free:latest@n2"].sort(),
  );
  assert.equal(await systemOf(world, 2, "a@n2"), "a of n2");
  assert.equal(await systemOf(world, 2, "free@n2"), "made away");
});

Deno.test("LocalCopies serves a node's own models after a start without a quorum", async () => {
  await using world = await clusterWith(["a"], { count: 3 });
  world.isolate(2);
  await world.until("the quorum is missed", () => world.group(2).quorumLostAtMs !== undefined);
  await store(world.machine(2), "made", "made away");
  await world.stop(2);
  await world.boot(2);
  const names = ["a:latest", "made:latest"];
  assert.deepEqual(await listed(world, 2), names);
  await world.settle(world.node(2).api.copyModel({ source: "made", destination: "a" }));
  // The place is taken by a model that the cluster was not told of, which its owner may replace.
  await world.settle(world.node(2).api.copyModel({ source: "made", destination: "a" }));
  assert.deepEqual(await listed(world, 2), names);
  world.network.heal();
  await world.until("it is told", () => world.machine(2).told("local_model_kept").length === 1);
  assert.deepEqual(await listed(world, 2), ["a:latest", "a:latest@n2", "made:latest"]);
});

Deno.test("LocalCopies writes down a copy that was made elsewhere of a model it holds", async () => {
  await using world = await clusterWith(["a"], { count: 2 });
  await world.settle(world.node(2).api.copyModel({ source: "a", destination: "c" }));
  await world.until("it is written", () => world.machine(1).catalog.names.length === 2);
  assert.deepEqual(world.machine(2).catalog.names, [], "who holds no blobs writes nothing");
});

Deno.test("LocalCopies keeps a broken model to itself and looks no further", async () => {
  await using world = await clusterWith(["a", "b"], { count: 1, broken: "a" });
  assert.deepEqual(await listed(world, 1), ["b:latest"]);
  assert.deepEqual(world.machine(1).catalog.names, ["a:latest", "b:latest"]);
  assert.deepEqual([...new Set(world.machine(1).told(...SETTLED))], [
    "local_model_not_shared model=a:latest reason=some of its blobs are missing",
  ]);
});

Deno.test("ReplicatedCatalog keeps the first spelling, and without a quorum changes nothing of the cluster's", async () => {
  await using world = await clusterWith(["Mixed"], { count: 3 });
  const { catalog } = world.node(2).sharing;
  const entry = await world.settle(catalog.find(nameOf("mixed"), { consistency: "linearizable" }));
  assert.equal(entry?.name.model, "Mixed");

  world.isolate(2);
  await world.advance(5_000);

  const { models } = world.node(2).sharing;
  const changes = [
    () => models.delete({ model: "mixed" }),
    () => models.list({ consistency: "linearizable" }),
  ];
  for (const change of changes) {
    await assert.rejects(world.settle<unknown>(change()), {
      code: "no_quorum",
      retryAfterMs: 1_000,
      message: /^Cannot .* 2 of 3 voters are down: start n1 or n3 again/,
    });
  }
  assert.deepEqual((await world.settle(models.list({ consistency: "stale" }))).length, 1);
});
