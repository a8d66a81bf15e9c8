import assert from "node:assert/strict";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";

/** Names of the models that a node lists. */
async function modelsOn(cluster: TestCluster, name: string): Promise<readonly string[]> {
  const { models } = await cluster.client(name).ask("GET", "/api/tags");
  return (models as readonly { readonly name: string }[]).map((model) => model.name).sort();
}

clusterTest("what is done to models on one node is seen on all, and each answers for all", {
  nodes: 3,
}, async (cluster) => {
  const request = { model: "poet", from: "tiny", system: "You are a poet.", stream: false };
  await cluster.client("n2").ask("POST", "/api/create", request);
  for (const name of cluster.names) {
    assert.deepEqual(await modelsOn(cluster, name), ["poet:latest", "tiny:latest"], name);
  }
  const question = { model: "poet", prompt: "Hello!", stream: false, options: { temperature: 0 } };
  const texts = [];
  for (const name of cluster.names) {
    const { status, body, headers } = await cluster.client(name)
      .request("POST", "/api/generate", { body: question });
    assert.equal(status, 200, JSON.stringify(body));
    assert.notEqual(headers.get("x-odist-node"), null);
    texts.push(body.response);
  }
  assert.equal(new Set(texts).size, 1);
  await cluster.client("n3").ask("POST", "/api/copy", { source: "poet", destination: "bard" });
  await cluster.client("n1").ask("DELETE", "/api/delete", { model: "poet" });
  for (const name of cluster.names) {
    assert.deepEqual(await modelsOn(cluster, name), ["bard:latest", "tiny:latest"], name);
  }
});
