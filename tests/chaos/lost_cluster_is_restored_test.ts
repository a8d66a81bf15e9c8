import assert from "node:assert/strict";
import { join } from "node:path";
import { runCommand } from "../harness/cli.ts";
import { clusterTest, TestCluster } from "../harness/cluster.ts";

/** The drill of docs/CLUSTER.md, step by step. */
clusterTest("a catalogue outlives all machines of its cluster", { nodes: 3 }, async (cluster) => {
  const file = join(cluster.client("n1").homeFolder, "cluster.snapshot");
  const request = { model: "poet", from: "tiny", system: "You are a poet.", stream: false };
  await cluster.client("n2").ask("POST", "/api/create", request);
  await cluster.client("n3").ask("PUT", "/api/cluster/settings/test.key", { value: "kept" });
  const { host } = new URL(cluster.client("n1").origin);
  const saved = await runCommand(["snapshot", "save", file, "--host", host]);
  assert.equal(saved.code, 0, saved.err);
  const { cluster_id: lostId } = await cluster.status("n1");
  await Promise.all(cluster.names.map((name) => cluster.kill(name)));

  await using restored = await TestCluster.start(2, {
    prepareFounder: async (founder) => {
      const data = join(founder.homeFolder, ".odist");
      const { code, out, err } = await runCommand(["snapshot", "restore", file, "--data", data]);
      assert.equal(code, 0, err);
      assert.match(out, /^restored \d+ models and \d+ settings into/);
    },
  });
  for (const name of restored.names) {
    const { models } = await restored.client(name).ask("GET", "/api/tags");
    const names = (models as readonly { readonly name: string }[]).map((model) => model.name);
    assert.deepEqual(names.sort(), ["poet:latest", "tiny:latest"]);
    const { settings } = await restored.client(name).ask("GET", "/api/cluster/settings");
    assert.ok(Array.isArray(settings));
    const kept = settings.filter(({ key }) => key === "test.key");
    assert.deepEqual(kept, [{ key: "test.key", value: "kept" }]);
  }
  const status = await restored.status("n2");
  assert.notEqual(status.cluster_id, lostId);
  assert.deepEqual(status.members.map(({ name }) => name), ["n1", "n2"]);
});
