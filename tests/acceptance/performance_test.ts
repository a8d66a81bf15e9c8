/**
 * How much three nodes on one machine take: the performance rows of the acceptance table.
 *
 * @module
 */
import assert from "node:assert/strict";
import { clusterTest, lasting, type TestCluster } from "../harness/cluster.ts";
import {
  ask,
  crowd,
  crowdDuring,
  promptOf,
  residentBytes,
  tally,
  tallyText,
} from "../harness/crowd.ts";
import { recordFigure } from "../harness/figures.ts";

const PER_SECOND_MIN = 10;
const SUSTAINED_MS = 60_000;
/** The first ones fill caches, pools and the list of answers that are kept for those who come back. */
const LEAK_ROUNDS = 14;
const FILLED_ROUNDS = 9;
const MEMORY_GROWTH_MAX = 1.1;
const MIB = 2 ** 20;

/** Asks the nodes in turn. */
function inTurn(cluster: TestCluster, tokens = 8) {
  return (number: number) => {
    const name = cluster.names[number % cluster.names.length] ?? "";
    return ask(cluster, name, { tokens, prompt: promptOf(number) });
  };
}

const THOUSAND = "1,000 requests, 50 at once, are all answered, more than 10 a second";
clusterTest(THOUSAND, { nodes: 3 }, async (cluster) => {
  const got = tally(await crowd(1_000, 50, inTurn(cluster)));
  recordFigure(THOUSAND, tallyText(got));
  assert.deepEqual(got.failures, []);
  assert.equal(got.putOff, 0);
  assert.ok(got.perSecond > PER_SECOND_MIN, tallyText(got));
});

const ROW = "100 requests in a row are all answered, and the last ones as soon as the first";
clusterTest(ROW, { nodes: 3 }, async (cluster) => {
  await crowd(6, 1, inTurn(cluster)); // Loads.
  const outcomes = await crowd(100, 1, inTurn(cluster));
  const got = tally(outcomes);
  recordFigure(ROW, tallyText(got));
  assert.deepEqual(got.failures, []);
  const [first, last] = [tally(outcomes.slice(0, 50)), tally(outcomes.slice(50))];
  assert.ok(last.p50Ms < 2 * first.p50Ms, `p50 ${first.p50Ms} ms, then ${last.p50Ms} ms`);
});

const TWENTY = "20 models are made, listed on each node and answered through each";
clusterTest(TWENTY, { nodes: 3 }, async (cluster) => {
  const models = Array.from({ length: 20 }, (_, number) => `model-${number}`);
  for (const [number, model] of models.entries()) {
    const name = cluster.names[number % 3] ?? "";
    const body = { model, from: "tiny", system: `You are number ${number}.`, stream: false };
    await cluster.client(name).ask("POST", "/api/create", body);
  }
  for (const name of cluster.names) {
    const { models: rows } = await cluster.client(name).ask("GET", "/api/tags");
    assert.equal((rows as readonly unknown[]).length, 21, name);
  }
  const got = tally(
    await crowd(60, 6, (number) =>
      ask(cluster, cluster.names[number % 3] ?? "", {
        model: models[Math.floor(number / 3)] ?? "",
      })),
  );
  recordFigure(TWENTY, tallyText(got));
  assert.deepEqual(got.failures, []);
  assert.equal(got.putOff, 0);
});

const BURST = "A burst of 300 requests at once is answered or told when to come back, and is over";
clusterTest(BURST, { nodes: 3 }, async (cluster) => {
  await crowd(6, 1, inTurn(cluster));
  const got = tally(await crowd(300, 300, inTurn(cluster)));
  const after = tally(await crowd(20, 1, inTurn(cluster)));
  recordFigure(BURST, `${tallyText(got)}; after it p95 ${Math.round(after.p95Ms)} ms`);
  assert.deepEqual([...got.failures, ...after.failures], []);
  assert.equal(after.putOff, 0);
  assert.ok(after.p95Ms < got.p95Ms, tallyText(after));
});

const SUSTAINED = "60 s of load lose no request, and the last third is as fast as the first";
clusterTest(SUSTAINED, { nodes: 3 }, async (cluster) => {
  await crowd(6, 1, inTurn(cluster));
  const startMs = performance.now();
  const outcomes = await crowdDuring(12, inTurn(cluster), () => lasting(SUSTAINED_MS));
  const got = tally(outcomes);
  const third = (number: number) =>
    outcomes.filter(({ sentAtMs, ms }) =>
      Math.floor((sentAtMs + ms - startMs) / (SUSTAINED_MS / 3)) === number
    ).length;
  const thirds = [0, 1, 2].map(third);
  recordFigure(SUSTAINED, `${tallyText(got)}; by thirds ${thirds.join(", ")}`);
  assert.deepEqual(got.failures, []);
  assert.equal(got.putOff, 0);
  assert.ok((thirds[2] ?? 0) > 0.5 * (thirds[0] ?? 0), thirds.join(", "));
});

const LEAK = "5,600 requests leave no memory behind: over the last third of them no node grows";
clusterTest(
  LEAK,
  { nodes: 3, ignore: Deno.build.os !== "linux" },
  async (cluster) => {
    const samples: number[][] = [];
    for (let round = 0; round < LEAK_ROUNDS; round++) {
      const got = tally(await crowd(400, 12, inTurn(cluster)));
      assert.deepEqual(got.failures, []);
      const all = cluster.names.map((name) => residentBytes(cluster.client(name).pid));
      samples.push((await Promise.all(all)).map((bytes) => Math.round(bytes / MIB)));
    }
    const rows = cluster.names.map((_, index) => samples.map((sample) => sample[index] ?? NaN));
    const text = `MiB with runners, every 400 requests: ${
      rows.map((row) => row.join(" ")).join("; ")
    }`;
    recordFigure(LEAK, text);
    for (const row of rows) {
      const filled = row[FILLED_ROUNDS] ?? NaN;
      assert.ok((row.at(-1) ?? NaN) < MEMORY_GROWTH_MAX * filled, text);
    }
  },
);
