import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { CatalogueWorkload } from "../harness/catalogue_workload.ts";
import { clusterTest, IS_LONG, lasting, type TestCluster } from "../harness/cluster.ts";

const CHAOS_MS = IS_LONG ? 600_000 : 15_000;
const FAULT_MS = { low: 500, high: 3_000 };
const SEED = Number(Deno.env.get("ODIST_TEST_SEED") ?? 5);
/** The bound on a quiet machine; a busy one gets room. */
const HEAL_MS_MAX = IS_LONG ? 5_000 : 20_000;

/** One kind of trouble; it is over after the cluster is repaired. */
type Fault = (cluster: TestCluster, random: Random) => Promise<void> | void;

const FAULTS: Readonly<Record<string, Fault>> = {
  kill_two: async (cluster, random) => {
    for (const name of random.shuffle(cluster.running).slice(0, 2)) await cluster.kill(name);
  },
  kill_leader: async (cluster) => await cluster.kill(await cluster.leader()),
  pause_two: (cluster, random) => {
    for (const name of random.shuffle(cluster.running).slice(0, 2)) cluster.pause(name);
  },
  isolate_leader: async (cluster) => cluster.isolate(await cluster.leader()),
  split: (cluster, random) => {
    const names = random.shuffle(cluster.names);
    cluster.partition(names.slice(0, 2), names.slice(2));
  },
  cut_one_way: (cluster, random) => {
    for (let cut = 0; cut < 4; cut++) {
      const [from = "", to = ""] = random.shuffle(cluster.names);
      cluster.cutOneWay(from, to);
    }
  },
  lose: (cluster) => cluster.degrade({ lossPercent: 20 }),
  delay: (cluster) => cluster.degrade({ delayMs: 200, jitterMs: 100 }),
  repeat: (cluster) => cluster.degrade({ duplicatePercent: 30, jitterMs: 20 }),
};

async function repair(cluster: TestCluster): Promise<void> {
  cluster.heal();
  const down = cluster.names.filter((name) => !cluster.running.includes(name));
  for (const name of down) {
    if (cluster.client(name).isAlive) cluster.resume(name);
    else await cluster.restart(name);
  }
}

/** Whatever the others do, a node answers for the model that it has. */
async function assertAnswers(cluster: TestCluster, random: Random): Promise<void> {
  const name = random.pick(cluster.running) ?? "";
  const { status, body } = await cluster.client(name).request("POST", "/api/generate", {
    body: { model: "tiny", prompt: "Hello!", stream: false, options: { num_predict: 4 } },
  });
  assert.equal(status, 200, `${name}: ${JSON.stringify(body)}`);
}

clusterTest(
  `${CHAOS_MS / 1_000} s of random faults break no promise`,
  { nodes: 5 },
  async (cluster) => {
    const random = new Random(SEED);
    const workload = new CatalogueWorkload(cluster, { seed: SEED, clients: 4, keys: 6 });
    const counts = new Map<string, number>();
    const startMs = performance.now();
    while (performance.now() - startMs < CHAOS_MS) {
      const kind = random.pick(Object.keys(FAULTS)) ?? "";
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
      await FAULTS[kind]?.(cluster, random);
      await assertAnswers(cluster, random);
      await lasting(random.between(FAULT_MS.low, FAULT_MS.high));
      await assertAnswers(cluster, random);
      await repair(cluster);
      // Sometimes one fault follows another before the first is forgotten.
      if (random.chance(1, 2)) await cluster.healthy(5);
    }
    const healedMs = performance.now();
    await cluster.healthy(5);
    const tookMs = performance.now() - healedMs;
    const { verdict, operations } = await workload.finish();
    const faults = [...counts].map(([kind, count]) => `${kind} ${count}`).join(", ");
    console.log(
      `seed ${SEED}: ${faults}; ${operations} operations; healthy after ${Math.round(tookMs)} ms`,
    );
    assert.deepEqual(verdict, { kind: "linearizable" }, `ODIST_TEST_SEED=${SEED}`);
    assert(tookMs < HEAL_MS_MAX, `healthy ${Math.round(tookMs)} ms after the last repair`);
  },
);
