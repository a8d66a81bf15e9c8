import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { CatalogueWorkload } from "../harness/catalogue_workload.ts";
import { clusterTest, IS_LONG, lasting, type TestCluster } from "../harness/cluster.ts";

const SEED = Number(Deno.env.get("ODIST_TEST_SEED") ?? 5);
/** The wanted bound on a quiet machine; a busy one gets room. */
const HEAL_MS_MAX = IS_LONG ? 5_000 : 20_000;

/** One kind of trouble; it is over after the cluster is repaired. */
type Fault = (cluster: TestCluster, random: Random) => Promise<void> | void;

const FAULTS = {
  kill_two: async (cluster, random) => {
    for (const name of random.shuffle(cluster.running).slice(0, 2)) await cluster.kill(name);
  },
  kill_leader: async (cluster) => await cluster.kill(await cluster.leader()),
  pause_two: (cluster, random) => {
    for (const name of random.shuffle(cluster.running).slice(0, 2)) cluster.pause(name);
  },
  pause_leader: async (cluster) => cluster.pause(await cluster.leader()),
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
  deafen_leader: async (cluster) => {
    const deaf = await cluster.leader();
    for (const name of cluster.names) if (name !== deaf) cluster.cutOneWay(name, deaf);
  },
  lose: (cluster) => cluster.degrade({ lossPercent: 20 }),
  delay: (cluster) => cluster.degrade({ delayMs: 200, jitterMs: 100 }),
  repeat: (cluster) => cluster.degrade({ duplicatePercent: 30, jitterMs: 20 }),
} satisfies Record<string, Fault>;

/** Faults of some kinds, one after another. */
interface Storm {
  readonly title: string;
  readonly kinds: readonly (keyof typeof FAULTS)[];
  readonly stormMs: number;
  /** How long one fault lasts. */
  readonly faultMs: { readonly low: number; readonly high: number };
  /** Whether one may follow another before the first is forgotten; otherwise each recovery is awaited. */
  readonly overlap: boolean;
}

const SINGLE = {
  stormMs: IS_LONG ? 600_000 : 4_000,
  faultMs: { low: 2_000, high: IS_LONG ? 10_000 : 3_000 },
  overlap: false,
};

const STORMS: readonly Storm[] = [
  {
    title: "random faults",
    kinds: Object.keys(FAULTS) as (keyof typeof FAULTS)[],
    stormMs: IS_LONG ? 600_000 : 15_000,
    faultMs: { low: 500, high: 3_000 },
    overlap: true,
  },
  { title: "partitions of two and three", kinds: ["split"], ...SINGLE },
  { title: "one-way cuts", kinds: ["cut_one_way", "deafen_leader"], ...SINGLE },
  { title: "20 % loss", kinds: ["lose"], ...SINGLE },
  { title: "200 ms delay with jitter", kinds: ["delay"], ...SINGLE },
  {
    title: "stopped processes",
    kinds: ["pause_two", "pause_leader"],
    ...SINGLE,
    faultMs: IS_LONG ? { low: 10_000, high: 10_001 } : SINGLE.faultMs,
  },
];

async function repair(cluster: TestCluster): Promise<void> {
  cluster.heal();
  const down = cluster.names.filter((name) => !cluster.running.includes(name));
  for (const name of down) {
    if (cluster.client(name).isAlive) cluster.resume(name);
    else await cluster.restart(name);
  }
}

/** Whatever the others do, each node answers for the model that it has. */
async function assertAnswers(cluster: TestCluster): Promise<void> {
  await Promise.all(cluster.running.map(async (name) => {
    const { status, body } = await cluster.client(name).request("POST", "/api/generate", {
      body: { model: "tiny", prompt: "Hello!", stream: false, options: { num_predict: 4 } },
    });
    assert.equal(status, 200, `${name}: ${JSON.stringify(body)}`);
  }));
}

/** What a fault of the network must have done to some datagram by its end. */
const SPOILS: Partial<Record<keyof typeof FAULTS, keyof Spoiled>> = {
  isolate_leader: "droppedPackets",
  split: "droppedPackets",
  cut_one_way: "droppedPackets",
  deafen_leader: "droppedPackets",
  lose: "droppedPackets",
  delay: "latePackets",
  repeat: "repeatedPackets",
};
type Spoiled = ReturnType<TestCluster["network"]["spoiled"]>;

/** The fault was there: datagrams were spoilt, or processes are down. */
function assertStruck(cluster: TestCluster, kind: keyof typeof FAULTS, before: Spoiled): void {
  const spoils = SPOILS[kind];
  const hasStruck = spoils === undefined
    ? cluster.running.length < cluster.names.length
    : cluster.network.spoiled()[spoils] > before[spoils];
  assert(hasStruck, `${kind} did not strike`);
}

/** From the repair on, until all see a healthy cluster under one leader. */
async function recoveryMs(cluster: TestCluster): Promise<number> {
  const repairedMs = performance.now();
  await cluster.healthy(5);
  return performance.now() - repairedMs;
}

for (const storm of STORMS) {
  clusterTest(
    `${storm.title} for ${storm.stormMs / 1_000} s break no promise`,
    { nodes: 5 },
    async (cluster) => {
      const random = new Random(SEED);
      const workload = new CatalogueWorkload(cluster, { seed: SEED, clients: 4, keys: 6 });
      const recoveries: number[] = [];
      let faults = 0;
      const startMs = performance.now();
      while (performance.now() - startMs < storm.stormMs) {
        const kind = random.pick(storm.kinds) ?? "split";
        faults++;
        const spoiled = cluster.network.spoiled();
        await FAULTS[kind](cluster, random);
        await assertAnswers(cluster);
        await lasting(random.between(storm.faultMs.low, storm.faultMs.high));
        await assertAnswers(cluster);
        assertStruck(cluster, kind, spoiled);
        await repair(cluster);
        if (!storm.overlap || random.chance(1, 2)) recoveries.push(await recoveryMs(cluster));
      }
      recoveries.push(await recoveryMs(cluster));
      await workload.acknowledgedSince(performance.now());
      const { verdict, operations } = await workload.finish();
      recoveries.sort((a, b) => a - b);
      const worstMs = Math.round(recoveries.at(-1) ?? NaN);
      const middleMs = Math.round(recoveries[recoveries.length >> 1] ?? NaN);
      console.log(
        `seed ${SEED}: ${storm.title}: ${faults} faults, ${operations} operations; ` +
          `healthy after p50 ${middleMs}, worst ${worstMs} ms of ${recoveries.length}`,
      );
      assert.deepEqual(verdict, { kind: "linearizable" }, `ODIST_TEST_SEED=${SEED}`);
      assert(worstMs < HEAL_MS_MAX, `healthy ${worstMs} ms after a repair`);
    },
  );
}
