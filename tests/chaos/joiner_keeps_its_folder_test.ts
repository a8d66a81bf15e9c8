/**
 * A machine with models of its own joins a cluster that has some of their names: nothing leaves its folder, on real processes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { clusterTest, TestCluster } from "../harness/cluster.ts";

interface Listed {
  readonly name: string;
  readonly local?: boolean;
}

async function create(cluster: TestCluster, name: string, model: string): Promise<void> {
  const body = { model, from: "tiny", system: `${model} of ${name}.` };
  const lines = await cluster.client(name).lines("/api/create", body);
  assert.equal(lines.at(-1)?.status, "success", JSON.stringify(lines));
}

async function systemOf(cluster: TestCluster, name: string, model: string): Promise<unknown> {
  return (await cluster.client(name).ask("POST", "/api/show", { model })).system;
}

/** Every file of the models folder, by its path, with its bytes' length. */
async function filesBelow(folder: string, path = ""): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const entry of Deno.readDir(join(folder, path))) {
    const below = join(path, entry.name);
    if (entry.isDirectory) {
      for (const [at, size] of await filesBelow(folder, below)) found.set(at, size);
    } else found.set(below, (await Deno.stat(join(folder, below))).size);
  }
  return found;
}

clusterTest(
  "a node that joins keeps every file of its models folder, also where the cluster has the name for another model",
  { nodes: 2 },
  async (cluster) => {
    await create(cluster, "n2", "taken");
    // A cluster of its own first, as every machine that was tried out alone.
    await using alone = await TestCluster.start(1);
    await create(alone, "n1", "taken");
    await create(alone, "n1", "mine");
    await alone.stop("n1");
    const folder = join(alone.client("n1").homeFolder, ".odist", "models");
    const before = await filesBelow(folder);
    const manifests = [...before.keys()].filter((path) => path.startsWith("manifests"));
    assert.equal(manifests.length, 3, manifests.join());

    const token = await cluster.createToken(1);
    const environment = { ODIST_JOIN: cluster.client("n1").publicAddress, ODIST_TOKEN: token };
    await alone.restart("n1", { ...environment, ODIST_NAME: "joiner" });
    let last = "";
    await cluster.until("its models are merged", async () => {
      const { models } = await alone.client("n1").ask("GET", "/api/tags");
      assert.ok(Array.isArray(models));
      const names = models.map(({ name, local }: Listed) => `${name}${local ? " local" : ""}`);
      last = names.sort().join();
      return last === "mine:latest,taken:latest,taken:latest@joiner local,tiny:latest";
    }).catch((cause) => {
      throw new Error(`it lists ${last}`, { cause });
    });
    const after = await filesBelow(folder);
    for (const [path, size] of before) assert.equal(after.get(path), size, `${path} is gone`);
    assert.equal(await systemOf(alone, "n1", "taken@joiner"), "taken of n1.");
    assert.equal(await systemOf(cluster, "n2", "mine"), "mine of n1.");
    const text = alone.client("n1").printed;
    assert.equal(text.match(/local_model_kept/g)?.length, 1, "told once");
    assert.doesNotMatch(text, /local_model_removed/);
  },
);
