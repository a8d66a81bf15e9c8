import assert from "node:assert/strict";
import { fixed, median, percentile } from "../../bench/measuring/stats.ts";
import { CatalogueWorkload } from "../harness/catalogue_workload.ts";
import { clusterTest, IS_LONG } from "../harness/cluster.ts";

const KILLS = IS_LONG ? 50 : 3;
/** The bounds are for the 99th percentile of fifty kills on a quiet machine; three on a busy one get room. */
const LEADER_MS_MAX = IS_LONG ? 1_500 : 5_000;
const WRITE_MS_MAX = IS_LONG ? 2_000 : 5_000;

clusterTest(`${KILLS} killed leaders lose no acknowledged write`, { nodes: 3 }, async (cluster) => {
  const seed = Number(Deno.env.get("ODIST_TEST_SEED") ?? 1);
  const workload = new CatalogueWorkload(cluster, { seed, clients: 4, keys: 6 });
  const leaderMs: number[] = [];
  const writeMs: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    await workload.acknowledgedSince(performance.now());
    const leader = await cluster.leader();
    const { term } = await cluster.status(leader);
    const killedMs = performance.now();
    await cluster.kill(leader);
    const [written] = await Promise.all([
      workload.acknowledgedSince(killedMs),
      cluster.until("another node leads", async () => {
        const next = await cluster.leader();
        return next !== leader && (await cluster.status(next)).term > term;
      }).then(() => leaderMs.push(performance.now() - killedMs)),
    ]);
    writeMs.push(written - killedMs);
    await cluster.restart(leader);
    await cluster.healthy(3);
  }
  const { verdict, operations } = await workload.finish();
  console.log(
    `${KILLS} kills, ${operations} operations, seed ${seed}: new leader ${summary(leaderMs)}, ` +
      `writes again ${summary(writeMs)}`,
  );
  assert.deepEqual(verdict, { kind: "linearizable" }, `ODIST_TEST_SEED=${seed}`);
  assert(percentile(leaderMs, 0.99) < LEADER_MS_MAX, summary(leaderMs));
  assert(percentile(writeMs, 0.99) < WRITE_MS_MAX, summary(writeMs));
});

function summary(values: readonly number[]): string {
  return `p50 ${fixed(median(values), 0)} ms, p99 ${fixed(percentile(values, 0.99), 0)} ms`;
}
