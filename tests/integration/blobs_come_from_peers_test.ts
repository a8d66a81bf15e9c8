import assert from "node:assert/strict";
import { Random, StorageError } from "../../src/base/mod.ts";
import { digestOf, MemoryBlobStore } from "../harness/memory_models.ts";
import { ModelCluster, type ModelNode, NodeDisk, turnsUntil } from "../harness/model_cluster.ts";
import { nameOf } from "../harness/model_storage_contract.ts";
import { storeModel } from "../harness/stored_models.ts";

const WEIGHTS = randomBytes(30_500);
const DIGEST = digestOf(WEIGHTS);
const SIGNAL = new AbortController().signal;

function randomBytes(count: number): Uint8Array {
  const random = new Random(9);
  return Uint8Array.from({ length: count }, () => random.below(256));
}

async function diskWithModel(blobs?: MemoryBlobStore): Promise<NodeDisk> {
  const disk = new NodeDisk(blobs);
  await storeModel({ blobs: disk.blobs, catalog: disk.folder }, {
    name: "m",
    layers: [["model", WEIGHTS]],
  });
  return disk;
}

/** Nodes that hold model `m`, known to the catalogue. */
async function holders(
  cluster: ModelCluster,
  ...disks: readonly (MemoryBlobStore | undefined)[]
): Promise<ModelNode[]> {
  const nodes: ModelNode[] = [];
  for (const blobs of disks) nodes.push(cluster.start(await diskWithModel(blobs)));
  await turnsUntil("all hold it", () => nodes.every(({ copies }) => copies.held().length === 1));
  return nodes;
}

async function fetch(node: ModelNode, signal = SIGNAL): Promise<void> {
  const entry = await node.catalog.find(nameOf("m"));
  assert.ok(entry);
  const settle = () => node.copies.settle([entry.name]);
  for await (const _ of node.models.fetch(entry, settle, signal));
}

function sentBytes(node: ModelNode): number {
  return node.telemetry.samples.filter(({ name }) => name === "odist_blob_bytes_sent_total")
    .reduce((sum, { value }) => sum + value, 0);
}

/** Blobs of which some bytes went bad on disk. */
class RottenBlobs extends MemoryBlobStore {
  override async open(digest: typeof DIGEST) {
    const reader = await super.open(digest);
    return {
      ...reader,
      read: async (offset: number, length: number) => {
        const bytes = await reader.read(offset, length);
        if (digest === DIGEST && offset === 0) bytes[7] = (bytes[7] ?? 0) ^ 1;
        return bytes;
      },
    };
  }
}

/** Blobs whose reads stop at an offset until the gate opens. */
class GatedBlobs extends MemoryBlobStore {
  readonly reached = Promise.withResolvers<void>();
  readonly gate = Promise.withResolvers<void>();

  override async open(digest: typeof DIGEST) {
    const reader = await super.open(digest);
    return {
      ...reader,
      read: async (offset: number, length: number) => {
        if (digest === DIGEST && offset >= 20_000) {
          this.reached.resolve();
          await this.gate.promise;
        }
        return await reader.read(offset, length);
      },
    };
  }
}

Deno.test("a node fetches a model from both holders at once and then holds it", async () => {
  await using cluster = new ModelCluster();
  const [first, second] = await holders(cluster, undefined, undefined);
  const node = cluster.start();
  await fetch(node);
  assert.deepEqual(await node.disk.blobs.read(DIGEST), WEIGHTS);
  assert.deepEqual(await node.disk.names(), ["m:latest"]);
  assert.equal(node.copies.held().length, 1);
  assert.ok(first && second);
  assert.ok(sentBytes(first) > 5_000, `${sentBytes(first)} bytes from the first`);
  assert.ok(sentBytes(second) > 5_000, `${sentBytes(second)} bytes from the second`);
});

Deno.test("a fetch that was cut off goes on with the missing ranges only", async () => {
  await using cluster = new ModelCluster();
  const gated = new GatedBlobs();
  const [holder] = await holders(cluster, gated);
  assert.ok(holder);
  const disk = new NodeDisk();
  const node = cluster.start(disk);
  const leaving = new AbortController();
  const cut = fetch(node, leaving.signal);
  await gated.reached.promise;
  const here = async () =>
    ((await disk.blobs.findPartial(DIGEST))?.parts ?? [])
      .reduce((sum, part) => sum + part.completedBytes, 0);
  await turnsUntil("the rest has come", async () => await here() >= 20_000);
  leaving.abort(new Error("the node dies"));
  await assert.rejects(cut, /the node dies/);
  await node.stop();
  const before = await here();
  gated.gate.resolve();

  const again = cluster.start(disk);
  const sentBefore = sentBytes(holder);
  await fetch(again);

  assert.deepEqual(await disk.blobs.read(DIGEST), WEIGHTS);
  const config = (await again.catalog.find(nameOf("m")))?.manifest.config.size ?? 0;
  assert.ok(sentBytes(holder) - sentBefore <= WEIGHTS.length - before + config + 10_500);
});

Deno.test("a holder that dies midway costs nothing but a pause", async () => {
  await using cluster = new ModelCluster();
  const gated = new GatedBlobs();
  const [dying] = await holders(cluster, gated, undefined);
  assert.ok(dying);
  const node = cluster.start();
  const fetched = fetch(node);
  await gated.reached.promise;
  await dying.stop();
  await fetched;
  assert.deepEqual(await node.disk.blobs.read(DIGEST), WEIGHTS);
  gated.gate.resolve();
});

Deno.test("wrong bytes are found out, come from elsewhere, and their holder throws them away", async () => {
  await using cluster = new ModelCluster();
  const [rotten, sound] = await holders(cluster, new RottenBlobs(), undefined);
  assert.ok(rotten && sound);
  const node = cluster.start();

  await fetch(node);

  assert.deepEqual(await node.disk.blobs.read(DIGEST), WEIGHTS);
  assert.match(node.events().join("\n"), /peer_blob_corrupt .* peer=0{15}1/);
  await turnsUntil("it is gone", async () => await rotten.disk.blobs.find(DIGEST) === undefined);
  await turnsUntil("it is not said to be held", () => rotten.copies.held().length === 0);
  await turnsUntil(
    "the blob is trusted again",
    () => node.group.catalogue.findQuarantined(DIGEST) === undefined,
  );
  assert.equal(sound.copies.held().length, 1);
});

Deno.test("wrong bytes of the only holder are given to nobody, and kept", async () => {
  await using cluster = new ModelCluster();
  const [rotten] = await holders(cluster, new RottenBlobs());
  assert.ok(rotten);
  const node = cluster.start();
  await assert.rejects(fetch(node), { code: "corrupt_file" });
  await turnsUntil(
    "it was looked at",
    () =>
      rotten.events().some((line) => line.startsWith("blob_corrupt") && line.endsWith("kept=true")),
  );
  assert.equal(await node.disk.blobs.find(DIGEST), undefined);
  assert.ok(await rotten.disk.blobs.find(DIGEST));
  await assert.rejects(fetch(node), { code: "peer_lost", message: /under doubt/ });
});

Deno.test("a model that nobody holds any more is an error that says so", async () => {
  await using cluster = new ModelCluster();
  const [holder] = await holders(cluster, undefined);
  const node = cluster.start();
  await holder?.stop();
  await assert.rejects(fetch(node), { code: "peer_lost", message: /no node that can be reached/ });
});

/** Blobs on a disk that takes nothing more. */
class FullBlobs extends MemoryBlobStore {
  override createPartial(): ReturnType<MemoryBlobStore["createPartial"]> {
    return Promise.reject(
      new StorageError("disk_full", "Cannot download a blob: 7 bytes are free"),
    );
  }
}

Deno.test("a node without room says so, asks no further holder, and keeps what it has", async () => {
  await using cluster = new ModelCluster();
  const [first, second] = await holders(cluster, undefined, undefined);
  assert.ok(first && second);
  const node = cluster.start(new NodeDisk(new FullBlobs()));
  await assert.rejects(fetch(node), { code: "disk_full", message: /7 bytes are free/ });
  assert.equal(sentBytes(first) + sentBytes(second), 0);
  await node.placement.look();
  assert.deepEqual(await node.names(), ["m:latest"]);
});

Deno.test("placement makes the second copy, and a third when a holder is gone for good", async () => {
  await using cluster = new ModelCluster();
  const [holder] = await holders(cluster, undefined);
  const others = [cluster.start(), cluster.start()];
  for (const node of others) await node.placement.look();
  const copies = others.filter((node) => node.copies.held().length === 1);
  assert.equal(copies.length, 1, "two copies of three nodes");
  for (const node of others) await node.placement.look();
  assert.equal(others.filter((node) => node.copies.held().length === 1).length, 1, "no third");

  await holder?.stop();
  for (const node of others) await node.placement.look();

  assert.ok(others.every((node) => node.copies.held().length === 1));
});
