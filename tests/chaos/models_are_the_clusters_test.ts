import assert from "node:assert/strict";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";

/** Copies are made at once, and made again soon. */
const EAGER = {
  ODIST_REPLICATE_AFTER: "0s",
  ODIST_REPAIR_AFTER: "1s",
  ODIST_LOG_FORMAT: "json",
};
const ANSWER = { prompt: "Hello!", stream: false, options: { num_predict: 4, seed: 1 } };

async function names(cluster: TestCluster, node: string): Promise<string[]> {
  const { models } = await cluster.client(node).ask("GET", "/api/tags");
  assert.ok(Array.isArray(models));
  return models.map(({ name }) => String(name)).sort();
}

/** Models that the node's own folder holds. */
async function held(cluster: TestCluster, node: string): Promise<string[]> {
  const folder = `${
    cluster.client(node).homeFolder
  }/.odist/models/manifests/registry.ollama.ai/library`;
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) found.push(entry.name);
  return found.sort();
}

async function create(cluster: TestCluster, node: string, model: string): Promise<void> {
  const body = { model, from: "tiny", system: `Be ${model}.`, stream: false };
  await cluster.client(node).ask("POST", "/api/create", body);
}

clusterTest(
  "models are the cluster's: made, copied, shown, answered and deleted on any node",
  { nodes: 3, environment: EAGER },
  async (cluster) => {
    // Made on one node, known on all at once, answered by all.
    await create(cluster, "n2", "kind");
    for (const node of cluster.names) {
      assert.deepEqual(await names(cluster, node), ["kind:latest", "tiny:latest"], node);
      const { system } = await cluster.client(node).ask("POST", "/api/show", { model: "kind" });
      assert.equal(system, "Be kind.", node);
      const answer = await cluster.client(node).ask("POST", "/api/generate", {
        ...ANSWER,
        model: "kind",
      });
      assert.notEqual(answer.response, "", node);
    }
    // Loaded copies are listed with their nodes, on each node alike.
    const { models } = await cluster.client("n1").ask("GET", "/api/ps");
    assert.ok(Array.isArray(models) && models.length > 0);
    for (const { node } of models) assert.ok(cluster.names.includes(node), String(node));
    // Deleted on a third one, it is gone from all, folders included.
    await cluster.client("n3").ask("POST", "/api/copy", { source: "kind", destination: "kept" });
    await cluster.client("n1").ask("DELETE", "/api/delete", { model: "kind" });
    for (const node of cluster.names) {
      assert.deepEqual(await names(cluster, node), ["kept:latest", "tiny:latest"], node);
      await cluster.until(
        `${node} has dropped it`,
        async () => !(await held(cluster, node)).includes("kind"),
      );
    }
  },
);

clusterTest(
  "models get their second copy, and another when a holder is gone; nothing deleted comes back",
  { nodes: 3, environment: EAGER },
  async (cluster) => {
    await create(cluster, "n2", "kind");
    const holders = async () => {
      const all = await Promise.all(
        cluster.running.map(async (node) =>
          (await held(cluster, node)).includes("kind") ? [node] : []
        ),
      );
      return all.flat();
    };
    await cluster.until("there are two copies", async () => (await holders()).length === 2);
    await cluster.kill("n2");
    await cluster.until("there are two again", async () => (await holders()).length === 2);
    const [asked = ""] = cluster.running;
    await cluster.client(asked).ask("DELETE", "/api/delete", { model: "kind" });
    await cluster.restart("n2");
    await cluster.until(
      "the old holder has dropped it",
      async () => !(await held(cluster, "n2")).includes("kind"),
    );
    await cluster.healthy(3);
    for (const node of cluster.names) assert.deepEqual(await names(cluster, node), ["tiny:latest"]);
  },
);

clusterTest(
  "without a quorum what the cluster owns stays, which is said, and every node goes on answering",
  { nodes: 3, environment: EAGER },
  async (cluster) => {
    cluster.isolate("n3");
    const alone = cluster.client("n3");
    await cluster.until(
      "n3 notices",
      async () => (await cluster.status("n3")).health === "no_quorum",
    );
    const refused: readonly [string, string, unknown?][] = [
      ["GET", "/api/tags?consistency=linearizable"],
      ["GET", "/v1/models?consistency=linearizable"],
      ["POST", "/api/show?consistency=linearizable", { model: "tiny" }],
      ["DELETE", "/api/delete", { model: "tiny" }],
    ];
    for (const [method, path, body] of refused) {
      const answer = await alone.request(method, path, { body });
      assert.equal(answer.status, 503, `${method} ${path}`);
      assert.match(JSON.stringify(answer.body), /quorum|voters/, `${method} ${path}`);
      assert.ok(Number(answer.headers.get("retry-after")) > 0, `${method} ${path}`);
    }
    for (const path of ["/api/tags", "/api/tags?consistency=stale", "/v1/models"]) {
      const stale = await alone.request("GET", path);
      assert.deepEqual([stale.status, stale.headers.get("x-odist-consistency")], [200, "stale"]);
    }
    for (const node of cluster.names) {
      const answer = await cluster.client(node).ask("POST", "/api/generate", {
        ...ANSWER,
        model: "tiny",
      });
      assert.notEqual(answer.response, "", node);
    }
    cluster.heal();
    await cluster.healthy(3);
    assert.deepEqual(await names(cluster, "n3"), ["tiny:latest"]);
  },
);
