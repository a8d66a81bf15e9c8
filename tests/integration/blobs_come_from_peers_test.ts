import assert from "node:assert/strict";
import { StorageError } from "../../src/base/mod.ts";
import { PEER_TRANSFER_LIMITS } from "../../src/library/peer_blobs.ts";
import { digestOf, MemoryBlobStore } from "../harness/memory_models.ts";
import { nameOf } from "../harness/model_storage_contract.ts";
import { NodeWorld } from "../harness/node_world.ts";
import { storeModel } from "../harness/stored_models.ts";

const PART_BYTES = PEER_TRANSFER_LIMITS.partBytesMin;
/** Three parts. */
const WEIGHTS = new Uint8Array(3 * PART_BYTES).fill(7);
const DIGEST = digestOf(WEIGHTS);
const SIGNAL = new AbortController().signal;

/** A cluster in which nodes with these blobs hold model `m`, and the others, up to `count`, do not. */
async function clusterOf(
  count: number,
  ...holders: readonly (MemoryBlobStore | undefined)[]
): Promise<NodeWorld> {
  // As many copies as there are: nobody makes more by itself.
  const world = new NodeWorld({ flags: { replicas: `${holders.length}` } });
  for (const [index, blobs = new MemoryBlobStore()] of holders.entries()) {
    const machine = await world.prepare(index + 1);
    machine.blobs = blobs;
    await storeModel(machine, { name: "m", layers: [["model", WEIGHTS]] });
  }
  await world.grow(count);
  const holding = holders.map((_, index) => index + 1);
  await world.until(
    "all hold it, and all have heard so",
    () =>
      holding.every((number) => holds(world, number)) &&
      world.running.every((number) => {
        const others = world.node(number).cluster.views.members();
        const manifest = world.group(number).catalogue.models()[0]?.manifestDigest ?? "";
        return others.filter((member) => member.holds(manifest)).length ===
          holding.filter((holder) => holder !== number).length;
      }),
  );
  return world;
}

function holds(world: NodeWorld, number: number): boolean {
  return world.node(number).sharing.copies.held().length === 1;
}

async function fetch(world: NodeWorld, number: number, signal = SIGNAL): Promise<void> {
  const { catalog, copies, models } = world.node(number).sharing;
  const entry = await catalog.find(nameOf("m"));
  assert.ok(entry);
  const settle = () => copies.settle([entry.name]);
  for await (const _ of models.fetch(entry, settle, signal));
}

function sentBytes(world: NodeWorld, number: number): number {
  const { samples } = world.machine(number).telemetry;
  return samples.filter(({ name }) => name === "odist_blob_bytes_sent_total")
    .reduce((sum, { value }) => sum + value, 0);
}

function storedAt(world: NodeWorld, number: number): Uint8Array | undefined {
  return world.machine(number).blobs.blobs.get(DIGEST);
}

/** Compared by digest: a difference of 24 MiB would be shown byte by byte. */
function hasWeights(world: NodeWorld, number: number): boolean {
  const stored = storedAt(world, number);
  return stored !== undefined && digestOf(stored) === DIGEST;
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
        if (digest === DIGEST && offset >= 2 * PART_BYTES) {
          this.reached.resolve();
          await this.gate.promise;
        }
        return await reader.read(offset, length);
      },
    };
  }
}

Deno.test("a node fetches a model from both holders at once and then holds it", async () => {
  await using world = await clusterOf(3, undefined, undefined);
  await world.settle(fetch(world, 3));
  assert.ok(hasWeights(world, 3));
  assert.deepEqual(world.machine(3).catalog.names, ["m:latest"]);
  assert.ok(holds(world, 3));
  for (const number of [1, 2]) {
    const sent = sentBytes(world, number);
    assert.ok(sent >= PART_BYTES, `${sent} bytes from node ${number}`);
  }
});

Deno.test("a fetch that was cut off goes on with the missing ranges only", async () => {
  const gated = new GatedBlobs();
  await using world = await clusterOf(2, gated);
  const leaving = new AbortController();
  const cut = fetch(world, 2, leaving.signal);
  cut.catch(() => {});
  await world.settle(gated.reached.promise);
  await world.until("what is here is told", () => {
    const [row] = world.node(2).api.arrivingModels();
    return row?.model === "m:latest" && row.total > WEIGHTS.length &&
      row.completed >= 2 * PART_BYTES && row.completed < WEIGHTS.length;
  });
  const here = async () => {
    const partial = await world.machine(2).blobs.findPartial(DIGEST);
    return (partial?.parts ?? []).reduce((sum, part) => sum + part.completedBytes, 0);
  };
  await world.advance(1_000);
  assert.equal(await here(), 2 * PART_BYTES);
  leaving.abort(new Error("the node dies"));
  await assert.rejects(world.settle(cut), /the node dies/);
  world.crash(2);
  gated.gate.resolve();

  await world.boot(2);
  const sentBefore = sentBytes(world, 1);
  await world.settle(fetch(world, 2));

  assert.ok(hasWeights(world, 2));
  const entry = await world.settle(world.node(2).sharing.catalog.find(nameOf("m")));
  const missing = PART_BYTES + (entry?.manifest.config.size ?? 0);
  assert.equal(sentBytes(world, 1) - sentBefore, missing);
});

Deno.test("a holder that dies midway costs nothing but a pause", async () => {
  const gated = new GatedBlobs();
  await using world = await clusterOf(3, gated, undefined);
  const fetched = fetch(world, 3);
  await world.settle(gated.reached.promise);
  world.crash(1);
  await world.settle(fetched);
  assert.ok(hasWeights(world, 3));
  gated.gate.resolve();
});

Deno.test("wrong bytes are found out, come from elsewhere, and their holder throws them away", async () => {
  await using world = await clusterOf(3, new RottenBlobs(), undefined);

  await world.settle(fetch(world, 3));

  assert.ok(hasWeights(world, 3));
  const told = world.machine(3).told("peer_blob_corrupt").join("\n");
  assert.match(told, new RegExp(`peer=${world.machine(1).nodeId}`));
  await world.until("it is gone", () => storedAt(world, 1) === undefined);
  await world.until("it is not said to be held", () => !holds(world, 1));
  await world.until(
    "the blob is trusted again",
    () => world.group(3).catalogue.findQuarantined(DIGEST) === undefined,
  );
  assert.ok(holds(world, 2));
});

Deno.test("wrong bytes of the only holder are given to nobody, and kept", async () => {
  await using world = await clusterOf(2, new RottenBlobs());
  await assert.rejects(world.settle(fetch(world, 2)), { code: "corrupt_file" });
  await world.until(
    "it was looked at",
    () => world.machine(1).told("blob_corrupt").some((line) => line.endsWith("kept=true")),
  );
  assert.equal(storedAt(world, 2), undefined);
  assert.ok(storedAt(world, 1));
  const refused = { code: "peer_lost", message: /under doubt/ };
  await assert.rejects(world.settle(fetch(world, 2)), refused);
});

Deno.test("a model that nobody holds any more is an error that says so", async () => {
  await using world = await clusterOf(2, undefined);
  world.crash(1);
  await assert.rejects(world.settle(fetch(world, 2)), { code: "peer_lost" });
  const { nodeId } = world.machine(1);
  const isDown = () => world.node(2).cluster.seen(nodeId)?.standing === "down";
  await world.until("it is known to be down", isDown);
  const refused = { code: "peer_lost", message: /no node that can be reached/ };
  await assert.rejects(world.settle(fetch(world, 2)), refused);
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
  await using world = await clusterOf(2, undefined, undefined);
  (await world.prepare(3)).blobs = new FullBlobs();
  await world.grow(3);
  const refused = { code: "disk_full", message: /7 bytes are free/ };
  await assert.rejects(world.settle(fetch(world, 3)), refused);
  assert.equal(sentBytes(world, 1) + sentBytes(world, 2), 0);
  await world.settle(world.node(3).sharing.placement.look());
  const listed = await world.settle(world.node(3).api.listModels());
  assert.deepEqual(listed.map(({ name }) => name), ["m:latest"]);
});

Deno.test("placement makes the second copy, and a third when a holder is gone for good", async () => {
  await using world = new NodeWorld();
  await storeModel(await world.prepare(1), { name: "m", layers: [["model", WEIGHTS]] });
  await world.grow(3);
  const copies = () => [2, 3].filter((number) => holds(world, number)).length;
  await world.until("there are two copies", () => copies() === 1, 60_000);
  await world.advance(120_000);
  assert.equal(copies(), 1, "no third");

  world.crash(1);

  await world.until("the others have one each", () => copies() === 2, 120_000);
});
