import assert from "node:assert/strict";
import { CatalogueWorkload } from "../harness/catalogue_workload.ts";
import { clusterTest, IS_LONG, lasting } from "../harness/cluster.ts";

const FAULT_MS = 4_000;
const PAUSE_MS = IS_LONG ? 10_000 : 3_000;
const WORKLOAD = { seed: 3, clients: 4, keys: 6 };

clusterTest("a leader that is heard but hears nothing is replaced, and no write is lost", {
  nodes: 3,
}, async (cluster) => {
  const workload = new CatalogueWorkload(cluster, WORKLOAD);
  const deaf = await cluster.leader();
  for (const other of cluster.names) if (other !== deaf) cluster.cutOneWay(other, deaf);
  await cluster.until("another node leads", async () => await cluster.leader() !== deaf);
  await workload.acknowledgedSince(performance.now());
  cluster.heal();
  await cluster.healthy(3);
  assert.deepEqual((await workload.finish()).verdict, { kind: "linearizable" });
});

clusterTest(
  "loss, delay, jitter and repetition slow writes down and lose none",
  { nodes: 3 },
  async (cluster) => {
    const workload = new CatalogueWorkload(cluster, WORKLOAD);
    cluster.degrade({ lossPercent: 20, duplicatePercent: 5 });
    await lasting(FAULT_MS);
    cluster.degrade({ lossPercent: 0, delayMs: 100, jitterMs: 100 });
    await lasting(FAULT_MS);
    cluster.heal();
    await workload.acknowledgedSince(performance.now());
    await cluster.healthy(3);
    assert.deepEqual((await workload.finish()).verdict, { kind: "linearizable" });
    const { droppedPackets, latePackets, repeatedPackets } = cluster.network.spoiled();
    assert(droppedPackets > 0 && latePackets > 0 && repeatedPackets > 0, "the network was good");
  },
);

clusterTest(
  "a leader that is stopped for seconds wakes up as a follower",
  { nodes: 3 },
  async (cluster) => {
    const workload = new CatalogueWorkload(cluster, WORKLOAD);
    const sleeper = await cluster.leader();
    cluster.pause(sleeper);
    const fellAsleepMs = performance.now();
    await workload.acknowledgedSince(fellAsleepMs);
    await lasting(Math.max(0, fellAsleepMs + PAUSE_MS - performance.now()));
    cluster.resume(sleeper);
    await cluster.healthy(3);
    assert.notEqual(await cluster.leader(), sleeper);
    assert.deepEqual((await workload.finish()).verdict, { kind: "linearizable" });
  },
);
