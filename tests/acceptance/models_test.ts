/**
 * How models reach the nodes that should have them: the rows of sync and versions of the acceptance table.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";
import { ask } from "../harness/crowd.ts";
import { recordFigure } from "../harness/figures.ts";
import { giveHeavyModel } from "../harness/heavy_model.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const SYNC_MS_MAX = 30_000;
const MIB_PER_SECOND_MIN = 30;
/** Every node keeps every model, at once. */
const EVERYWHERE = { ODIST_REPLICAS: "3", ODIST_REPLICATE_AFTER: "0s", ODIST_REPAIR_AFTER: "1s" };

/** The digest of the model's weights or text as the node's own folder names it; undefined where it has none. */
async function manifestOn(cluster: TestCluster, node: string, model: string) {
  const folder = join(cluster.client(node).homeFolder, ".odist/models/manifests");
  try {
    return await Deno.readTextFile(
      join(folder, "registry.ollama.ai/library", model, "latest"),
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function heldBy(cluster: TestCluster, model: string): Promise<number> {
  const found = await Promise.all(cluster.names.map((name) => manifestOn(cluster, name, model)));
  return found.filter((manifest) => manifest !== undefined).length;
}

const GIGABYTE = "A model of 1 GB is on two more nodes within 30 s";
clusterTest(
  GIGABYTE,
  { nodes: 3, isDirect: true, environment: EVERYWHERE },
  async (cluster) => {
    await giveHeavyModel(cluster.client("n1"), "heavy", GIB);
    const startMs = performance.now();
    await cluster.until(
      "three hold it",
      async () => await heldBy(cluster, "heavy") === 3,
      4 * SYNC_MS_MAX,
    );
    const ms = performance.now() - startMs;
    const rate = 2 * GIB / MIB / (ms / 1_000);
    recordFigure(
      GIGABYTE,
      `1 GiB to two nodes in ${(ms / 1_000).toFixed(1)} s, ${rate.toFixed(0)} MiB/s`,
    );
    assert.ok(ms < SYNC_MS_MAX, `${ms} ms`);
  },
);

const THROUGHPUT = "Between two nodes a model goes at more than 30 MiB/s";
clusterTest(
  THROUGHPUT,
  { nodes: 2, isDirect: true, environment: { ...EVERYWHERE, ODIST_REPLICAS: "2" } },
  async (cluster) => {
    await giveHeavyModel(cluster.client("n1"), "heavy", GIB / 2);
    const startMs = performance.now();
    await cluster.until(
      "two hold it",
      async () => await heldBy(cluster, "heavy") === 2,
      2 * SYNC_MS_MAX,
    );
    const rate = 512 / ((performance.now() - startMs) / 1_000);
    recordFigure(THROUGHPUT, `${rate.toFixed(0)} MiB/s`);
    assert.ok(rate > MIB_PER_SECOND_MIN, `${rate} MiB/s`);
  },
);

const UPDATE = "An update of a model reaches all of its copies, and no node answers by the old one";
clusterTest(UPDATE, { nodes: 3, environment: EVERYWHERE }, async (cluster) => {
  const make = (node: string, system: string) =>
    cluster.client(node).ask("POST", "/api/create", {
      ...{ model: "poet", from: "tiny", system, stream: false },
    });
  await make("n1", "You are a poet.");
  await cluster.until("three hold it", async () => await heldBy(cluster, "poet") === 3);
  const before = await manifestOn(cluster, "n3", "poet");
  await make("n2", "You are a pirate.");
  const startMs = performance.now();
  await cluster.until("all copies are the new one", async () => {
    const manifests = await Promise.all(
      cluster.names.map((name) => manifestOn(cluster, name, "poet")),
    );
    return manifests.every((manifest) => manifest !== undefined && manifest !== before) &&
      new Set(manifests).size === 1;
  });
  recordFigure(UPDATE, `all three copies new after ${Math.round(performance.now() - startMs)} ms`);
  for (const name of cluster.names) {
    const { system } = await cluster.client(name).ask("POST", "/api/show", { model: "poet" });
    assert.equal(system, "You are a pirate.", name);
    const { failure } = await ask(cluster, name, { model: "poet" });
    assert.equal(failure, undefined, name);
  }
});
