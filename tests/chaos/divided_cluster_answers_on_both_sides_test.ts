import assert from "node:assert/strict";
import { CatalogueWorkload } from "../harness/catalogue_workload.ts";
import { clusterTest, IS_LONG, type TestCluster } from "../harness/cluster.ts";

const FEW = ["n1", "n2"];
const MANY = ["n3", "n4", "n5"];
const HEAL_MS_MAX = IS_LONG ? 5_000 : 15_000;

async function assertAnswers(cluster: TestCluster, name: string): Promise<void> {
  const { status, body } = await cluster.client(name).request("POST", "/api/generate", {
    body: { model: "tiny", prompt: "Hello!", stream: false, options: { num_predict: 8 } },
  });
  assert.equal(status, 200, `${name}: ${JSON.stringify(body)}`);
}

clusterTest("two of five are cut off: both sides answer, one side changes, all agree again", {
  nodes: 5,
}, async (cluster) => {
  const workload = new CatalogueWorkload(cluster, { seed: 2, clients: 5, keys: 6 });
  cluster.partition(FEW, MANY);
  await cluster.until("the few have no quorum and the many have one", async () => {
    const healths = await Promise.all(
      cluster.names.map(async (name) => (await cluster.status(name)).health),
    );
    return FEW.every((_, index) => healths[index] === "no_quorum") &&
      MANY.every((_, index) => healths[index + FEW.length] === "degraded");
  });
  for (const name of cluster.names) await assertAnswers(cluster, name);
  const path = "/api/cluster/settings/test.side";
  const refused = await cluster.client("n1").request("PUT", path, { body: { value: "few" } });
  assert.equal(refused.status, 503);
  assert.match(String(refused.body.error), /quorum/);
  await cluster.client("n3").ask("PUT", path, { value: "many" });
  const healedMs = performance.now();
  cluster.heal();
  await cluster.healthy(5);
  const tookMs = performance.now() - healedMs;
  const { settings } = await cluster.client("n1").ask("GET", "/api/cluster/settings");
  const side = (settings as readonly { key: string; value: string }[])
    .find(({ key }) => key === "test.side");
  assert.equal(side?.value, "many");
  const { verdict } = await workload.finish();
  assert.deepEqual(verdict, { kind: "linearizable" });
  assert(tookMs < HEAL_MS_MAX, `healthy ${tookMs} ms after the network healed`);
});
