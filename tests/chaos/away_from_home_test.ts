/**
 * A machine that lost its cluster, on real processes: what is made on it meanwhile is its own, and joins the rest when the
 * cluster is back; nothing is lost on either side.
 *
 * @module
 */
import assert from "node:assert/strict";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";

interface Listed {
  readonly name: string;
  readonly local?: boolean;
}

async function listed(cluster: TestCluster, name: string): Promise<readonly string[]> {
  const { models } = await cluster.client(name).ask("GET", "/api/tags");
  assert.ok(Array.isArray(models));
  return models.map((model: Listed) => `${model.name}${model.local ? " local" : ""}`).sort();
}

async function create(cluster: TestCluster, name: string, model: string): Promise<string> {
  const body = { model, from: "tiny", system: `${model} of ${name}.` };
  const lines = await cluster.client(name).lines("/api/create", body);
  assert.equal(lines.at(-1)?.status, "success", JSON.stringify(lines));
  return JSON.stringify(lines);
}

async function systemOf(cluster: TestCluster, name: string, model: string): Promise<unknown> {
  return (await cluster.client(name).ask("POST", "/api/show", { model })).system;
}

async function until(
  cluster: TestCluster,
  name: string,
  models: readonly string[],
): Promise<void> {
  const wanted = [...models].sort().join();
  let last = "";
  try {
    await cluster.until(`${name} lists ${wanted}`, async () => {
      last = (await listed(cluster, name)).join();
      return last === wanted;
    });
  } catch (cause) {
    throw new Error(`${name} lists ${last} instead of ${wanted}`, { cause });
  }
}

clusterTest(
  "the voter of two is killed: models made on the other are its own until it is back, and then the cluster's",
  { nodes: 2, environment: { ODIST_REPLICATE_AFTER: "0s" } },
  async (cluster) => {
    const voter = await cluster.leader();
    const other = cluster.names.find((name) => name !== voter) ?? "";
    await create(cluster, voter, "theirs");
    await cluster.until("both hold tiny", async () => {
      const body = { model: "tiny", prompt: "", stream: false };
      const answer = await cluster.client(other).request("POST", "/api/generate", { body });
      return answer.headers.get("x-odist-node") === other;
    });
    await cluster.kill(voter);

    // The first of them may wait until the quorum is known to be lost.
    assert.match(await create(cluster, other, "taken"), /no quorum of the cluster answers/);
    const startMs = performance.now();
    await create(cluster, other, "free");
    assert.ok(performance.now() - startMs < 2_000, "the others wait for nothing");
    const client = cluster.client(other);
    await client.ask("POST", "/api/copy", { source: "free", destination: "copy" });
    await client.ask("POST", "/api/copy", { source: "free", destination: "gone" });
    await client.ask("DELETE", "/api/delete", { model: "gone" });
    const refused = await client.request("DELETE", "/api/delete", { body: { model: "theirs" } });
    assert.equal(refused.status, 503);
    assert.match(JSON.stringify(refused.body), new RegExp(`start ${voter} again`));
    const alone = ["copy:latest local", "free:latest local", "taken:latest local"];
    await until(cluster, other, [...alone, "theirs:latest", "tiny:latest"]);
    const answer = await client.ask("POST", "/api/generate", {
      model: "free",
      prompt: "Hello!",
      stream: false,
      options: { num_predict: 4, seed: 1 },
    });
    assert.notEqual(answer.response, "");

    // The other side goes on, too, and takes a name first.
    cluster.isolate(other);
    await cluster.restart(voter);
    await cluster.until("it takes changes", async () => {
      const { body } = await cluster.client(voter).request("GET", "/ready");
      return Object(body.changes).possible === true;
    });
    await create(cluster, voter, "taken");
    // Its own models outlive its process.
    await cluster.kill(other);
    await cluster.restart(other);
    await until(cluster, other, [...alone, "theirs:latest", "tiny:latest"]);
    cluster.heal();

    const shared = ["copy:latest", "free:latest", "taken:latest", "theirs:latest", "tiny:latest"];
    await until(cluster, voter, shared);
    await until(cluster, other, [...shared, `taken:latest@${other} local`]);
    assert.equal(await systemOf(cluster, voter, "taken"), `taken of ${voter}.`);
    assert.equal(await systemOf(cluster, other, "taken"), `taken of ${voter}.`);
    assert.equal(await systemOf(cluster, other, `taken@${other}`), `taken of ${other}.`);
    assert.equal(await systemOf(cluster, voter, "free"), `free of ${other}.`);
    assert.equal(client.printed.match(/local_model_kept/g)?.length, 1, "told once");
  },
);
