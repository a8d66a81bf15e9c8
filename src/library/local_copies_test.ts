import assert from "node:assert/strict";
import { llamaFile } from "../../tests/harness/gguf_file.ts";
import { digestOf } from "../../tests/harness/memory_models.ts";
import { ModelCluster, NodeDisk, turnsUntil } from "../../tests/harness/model_cluster.ts";
import { nameOf } from "../../tests/harness/model_storage_contract.ts";
import { storeModel } from "../../tests/harness/stored_models.ts";

/** A model of its own text beside shared weights. */
async function store(disk: NodeDisk, name: string, system = name): Promise<void> {
  await storeModel({ blobs: disk.blobs, catalog: disk.folder }, {
    name,
    layers: [["model", llamaFile()], ["system", system]],
  });
}

const systemDigest = (text: string) => digestOf(new TextEncoder().encode(text));

async function diskWith(...names: string[]): Promise<NodeDisk> {
  const disk = new NodeDisk();
  for (const name of names) await store(disk, name);
  return disk;
}

Deno.test("LocalCopies puts what a folder holds into a catalogue that never had it", async () => {
  await using cluster = new ModelCluster();
  const node = cluster.start(await diskWith("a", "b"));
  await turnsUntil("both are shared", () => node.group.catalogue.models().length === 2);
  await turnsUntil("both are held", () => node.copies.held().length === 2);
  assert.deepEqual(await node.names(), ["a:latest", "b:latest"]);
  assert.equal(node.disk.known.models.size, 2);
});

Deno.test("LocalCopies removes what was deleted elsewhere, with the blobs nothing else names", async () => {
  await using cluster = new ModelCluster();
  const holder = cluster.start(await diskWith("a", "b"));
  const other = cluster.start();
  await turnsUntil("both are shared", () => holder.copies.held().length === 2);

  await other.models.delete({ model: "A" });

  await turnsUntil("it is gone", async () => (await holder.disk.names()).join() === "b:latest");
  await turnsUntil(
    "so is its text",
    async () => await holder.disk.blobs.find(systemDigest("a")) === undefined,
  );
  assert.ok(await holder.disk.blobs.find(digestOf(llamaFile())), "b needs the weights");
  assert.equal(holder.copies.held().length, 1);
});

Deno.test("LocalCopies does not bring back what was deleted while the node was off", async () => {
  await using cluster = new ModelCluster();
  const other = cluster.start();
  const first = cluster.start(await diskWith("a", "b"));
  await turnsUntil("both are shared", () => first.copies.held().length === 2);
  await other.models.copy({ source: "b", destination: "c" });
  await turnsUntil("the copy is written", async () => (await first.disk.names()).length === 3);
  await first.stop();
  await other.models.delete({ model: "a" });
  await other.models.delete({ model: "c" });

  const again = cluster.start(first.disk);

  await turnsUntil("both are gone", async () => (await again.disk.names()).join() === "b:latest");
  assert.deepEqual(await other.names(), ["b:latest"]);
  assert.deepEqual(again.events(), [
    "local_model_removed model=a:latest because=deleted",
    "local_model_removed model=c:latest because=deleted",
  ]);
});

Deno.test("LocalCopies judges nothing by a log that it has not caught up with", async () => {
  await using cluster = new ModelCluster();
  const first = cluster.start(await diskWith("a"));
  await turnsUntil("it is shared", () => first.copies.held().length === 1);
  await first.models.delete({ model: "a" });
  await store(first.disk, "a", "second");
  first.copies.noteChanged("all");
  await turnsUntil("the second is shared", () => first.copies.held().length === 1);
  await first.stop();

  // Given a node that at first knows only of the first model and its deletion, and no quorum yet.
  const again = cluster.start(first.disk, { kept: 2 });
  await turnsUntil("it has tried", () => again.events().length > 0);
  assert.match(again.events().join(), /local_models_not_settled reason=1 of 3 voters/);
  assert.deepEqual(again.group.catalogue.models(), []);
  assert.deepEqual(await again.disk.names(), ["a:latest"]);
});

Deno.test("LocalCopies lets the catalogue win a name, and says so", async () => {
  await using cluster = new ModelCluster();
  const first = cluster.start(await diskWith("a"));
  await turnsUntil("it is shared", () => first.copies.held().length === 1);
  const disk = new NodeDisk();
  await store(disk, "A", "mine");

  const joined = cluster.start(disk);

  await turnsUntil("the name is given up", async () => (await disk.names()).length === 0);
  assert.deepEqual(joined.events(), ["local_model_removed model=A:latest because=conflict"]);
  assert.ok(await disk.blobs.find(systemDigest("mine")), "until the next prune");
  assert.deepEqual((await first.disk.manifests()).length, 1);
});

Deno.test("LocalCopies writes down a copy that was made elsewhere of a model it holds", async () => {
  await using cluster = new ModelCluster();
  const holder = cluster.start(await diskWith("a"));
  const other = cluster.start();
  await turnsUntil("it is shared", () => holder.copies.held().length === 1);
  await other.models.copy({ source: "a", destination: "c" });
  await turnsUntil("it is written", async () => (await holder.disk.names()).length === 2);
  assert.deepEqual(await other.disk.names(), [], "who holds no blobs writes nothing");
});

Deno.test("LocalCopies keeps a broken model to itself and looks no further", async () => {
  await using cluster = new ModelCluster();
  const disk = await diskWith("a", "b");
  await disk.blobs.delete(systemDigest("a"));
  const node = cluster.start(disk);
  await turnsUntil("b is shared", () => node.copies.held().length === 1);
  assert.deepEqual(await node.names(), ["b:latest"]);
  assert.deepEqual(await disk.names(), ["a:latest", "b:latest"]);
  assert.ok(
    node.events().includes(
      "local_model_not_shared model=a:latest reason=some of its blobs are missing",
    ),
  );
});

Deno.test("ReplicatedCatalog keeps the first spelling and tells changes without a quorum", async () => {
  await using cluster = new ModelCluster();
  const node = cluster.start(await diskWith("Mixed"));
  const other = cluster.start();
  await turnsUntil("it is shared", () => node.copies.held().length === 1);
  const entry = await other.catalog.find(nameOf("mixed"), { consistency: "linearizable" });
  assert.equal(entry?.name.model, "Mixed");

  other.group.cut();

  const changes = [
    () => other.models.copy({ source: "mixed", destination: "x" }),
    () => other.models.delete({ model: "mixed" }),
    () => other.models.list({ consistency: "linearizable" }),
    () => other.catalog.put(nameOf("x"), entry?.bytes ?? new Uint8Array()),
  ];
  for (const change of changes) {
    await assert.rejects(change, {
      code: "no_quorum",
      retryAfterMs: 1_000,
      message: /^Cannot .* 1 of 3 voters/,
    });
  }
  assert.deepEqual((await other.models.list({ consistency: "stale" })).length, 1);
});
