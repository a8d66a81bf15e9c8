import assert from "node:assert/strict";
import { clusterTest } from "../harness/cluster.ts";

clusterTest(
  "three nodes become one cluster, which a fourth joins",
  { nodes: 3 },
  async (cluster) => {
    const fourth = await cluster.join();
    await cluster.healthy(4);
    const statuses = await Promise.all(cluster.names.map((name) => cluster.status(name)));
    assert.equal(new Set(statuses.map(({ cluster_id }) => cluster_id)).size, 1);
    assert.equal(new Set(statuses.map(({ node_id }) => node_id)).size, 4);
    const names = statuses[0]?.members.map(({ name }) => name);
    assert.deepEqual(names, ["n1", "n2", "n3", "n4"]);
    assert.equal(fourth, "n4");
  },
);

clusterTest(
  "a member that was stopped or killed comes back as itself",
  { nodes: 3 },
  async (cluster) => {
    const before = await cluster.status("n2");
    assert.equal(await cluster.stop("n2"), 0);
    await cluster.client("n1").ask("PUT", "/api/cluster/settings/test.key", {
      value: "while away",
    });
    await cluster.restart("n2");
    await cluster.healthy(3);
    const after = await cluster.status("n2");
    assert.equal(after.node_id, before.node_id);
    const { settings } = await cluster.client("n2").ask("GET", "/api/cluster/settings");
    assert.deepEqual(settings, [{ key: "test.key", value: "while away" }]);
    await cluster.kill("n3");
    await cluster.restart("n3");
    await cluster.healthy(3);
  },
);

clusterTest(
  "a node that leaves is gone from the members and ends",
  { nodes: 3 },
  async (cluster) => {
    await cluster.client("n3").ask("POST", "/api/cluster/leave");
    assert.equal(await cluster.client("n3").ended(), 0);
    await cluster.stop("n3");
    await cluster.healthy(2);
  },
);

clusterTest("a node does not leave with the only copy of a model unless it may", {
  nodes: 2,
}, async (cluster) => {
  const request = { model: "poet", from: "tiny", system: "You are a poet.", stream: false };
  await cluster.client("n2").ask("POST", "/api/create", request);
  const refused = await cluster.client("n2").request("POST", "/api/cluster/leave", { body: {} });
  assert.equal(refused.status, 409);
  assert.match(String(refused.body.error), /no other member that is alive holds poet:latest;/);
  await cluster.healthy(2);
  await cluster.client("n2").ask("POST", "/api/cluster/leave", { force: true });
  assert.equal(await cluster.client("n2").ended(), 0);
});

clusterTest("a drained node gets no requests of others, and its own settings are seen", {
  nodes: 3,
}, async (cluster) => {
  await cluster.client("n1").ask("POST", "/api/cluster/members/n2/drain");
  await cluster.until("all see the drain", async () => {
    const statuses = await Promise.all(cluster.names.map((name) => cluster.status(name)));
    return statuses.every(({ members }) => members[1]?.drained === true);
  });
  await cluster.client("n3").ask("POST", "/api/cluster/members/n2/undrain");
  assert.equal((await cluster.status("n3")).members[1]?.drained, false);
});
