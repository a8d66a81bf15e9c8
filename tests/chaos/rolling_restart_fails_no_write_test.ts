import assert from "node:assert/strict";
import { CatalogueWorkload } from "../harness/catalogue_workload.ts";
import { clusterTest, IS_LONG } from "../harness/cluster.ts";

const NODES = IS_LONG ? 5 : 3;

clusterTest(
  `${NODES} nodes restart one after the other, and a client with one retry sees no failed write`,
  { nodes: NODES },
  async (cluster) => {
    const workload = new CatalogueWorkload(cluster, { seed: 4, clients: 4, keys: 6, retries: 1 });
    for (const name of cluster.names) {
      await workload.acknowledgedSince(performance.now());
      assert.equal(await cluster.stop(name), 0);
      await workload.acknowledgedSince(performance.now());
      await cluster.restart(name);
      await cluster.healthy(NODES);
    }
    const { verdict } = await workload.finish();
    assert.deepEqual(verdict, { kind: "linearizable" });
    assert.equal(workload.failedWrites, 0);
  },
);
