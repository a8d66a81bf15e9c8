/**
 * The user's targets that one cluster of ten nodes shows, and those that one node does.
 *
 * @module
 */
import assert from "node:assert/strict";
import { clusterTest, lasting, TestCluster } from "../harness/cluster.ts";
import {
  ask,
  askToTheEnd,
  crowd,
  crowdDuring,
  type Outcome,
  residentBytes,
  tally,
  tallyText,
} from "../harness/crowd.ts";
import { recordFigure } from "../harness/figures.ts";
import { startNode } from "../harness/node.ts";

const NODES = 10;
const CLIENTS = 120;
const KILLED = 3;
const TOKENS = 48;
const START_MS_MAX = 30_000;
const SMALL_MODEL_MS_MAX = 5_000;
const NODE_BYTES_MAX = 4 * 2 ** 30;
const CLUSTER_SHARE_MAX = 0.1;
const IDLE_MS = 15_000;
const SERVING_MS = 30_000;
const MIB = 2 ** 20;

const isPosix = Deno.build.os !== "windows";

const START = "Ten nodes are one cluster less than 30 s after the first process was started";
Deno.test({ name: START, ignore: !isPosix }, async () => {
  const startMs = performance.now();
  await using _cluster = await TestCluster.start(NODES);
  const ms = performance.now() - startMs;
  recordFigure(START, `${NODES} nodes in ${(ms / 1_000).toFixed(1)} s`);
  assert.ok(ms < START_MS_MAX, `${ms} ms`);
});

const LOSS = "Three of ten nodes die at once under 120 clients, and no admitted request is lost";
clusterTest(LOSS, { nodes: NODES }, async (cluster) => {
  const undisturbed = await ask(cluster, "n1", { tokens: TOKENS });
  assert.equal(undisturbed.failure, undefined);
  await crowd(20, 10, () => askToTheEnd(cluster, { tokens: TOKENS })); // Loads.
  let begun = 0;
  const enough = Promise.withResolvers<void>();
  // All ask the same, so that each answer can be compared.
  const answers = crowd(3 * CLIENTS, CLIENTS, () => {
    if (++begun === CLIENTS + 20) enough.resolve();
    return askToTheEnd(cluster, { tokens: TOKENS });
  });
  await enough.promise;
  const victims = cluster.names.slice(1, 1 + KILLED);
  await Promise.all(victims.map((name) => cluster.kill(name)));
  const outcomes = await answers;
  const got = tally(outcomes);
  recordFigure(LOSS, `${KILLED} of ${NODES} killed at once, ${CLIENTS} clients: ${tallyText(got)}`);
  assert.deepEqual(got.failures, []);
  for (const { text } of outcomes) assert.equal(text, undisturbed.text);
});

const TRAFFIC =
  "While a cluster serves, what its nodes tell each other to be one is less than 10 % of all bytes";
clusterTest(TRAFFIC, { nodes: 3 }, async (cluster) => {
  const one = (number: number) => ask(cluster, cluster.names[number % 3] ?? "", { tokens: TOKENS });
  await crowd(12, 6, one);
  const idle = await carriedDuring(cluster, () => lasting(IDLE_MS));
  let outcomes: Outcome[] = [];
  const serving = await carriedDuring(cluster, async () => {
    outcomes = await crowdDuring(12, one, () => lasting(SERVING_MS));
  });
  // Gossip is counted by the nodes themselves; of the rest, what goes on when nobody asks is the log's. What is left carries
  // requests, answers and the journals by which answers outlive their node.
  const restPerMs = (idle.wireBytes - idle.gossipBytes) / idle.ms;
  const ownBytes = serving.gossipBytes + restPerMs * serving.ms;
  const allBytes = serving.wireBytes + outcomes.reduce((sum, { bytes }) => sum + bytes, 0);
  const share = ownBytes / allBytes;
  const text =
    `${(share * 100).toFixed(1)} % of ${(allBytes / MIB).toFixed(2)} MiB for gossip and the log, ` +
    `${
      ((serving.wireBytes / allBytes - share) * 100).toFixed(1)
    } % for answers between nodes, the rest with clients`;
  recordFigure(TRAFFIC, text);
  assert.deepEqual(tally(outcomes).failures, []);
  assert.ok(ownBytes > 0 && share < CLUSTER_SHARE_MAX, text);
});

/** What the nodes sent each other meanwhile, and how much of that was gossip. */
async function carriedDuring(cluster: TestCluster, during: () => Promise<void>) {
  const wire = () => cluster.network.counts().reduce((sum, { bytes }) => sum + bytes, 0);
  const gossip = async () => {
    const texts = await Promise.all(
      cluster.names.map(async (name) => (await cluster.client(name).fetch("/metrics")).text()),
    );
    const rows = texts.join("\n").matchAll(
      /^odist_membership_bytes_total\{[^}]*direction="sent"[^}]*\} (\d+)/gm,
    );
    return [...rows].reduce((sum, [, bytes]) => sum + Number(bytes), 0);
  };
  const [startMs, wireBefore, gossipBefore] = [performance.now(), wire(), await gossip()];
  await during();
  return {
    ms: performance.now() - startMs,
    wireBytes: wire() - wireBefore,
    gossipBytes: await gossip() - gossipBefore,
  };
}

const MEMORY = "A node that serves takes less than 4 GB, its runners included";
clusterTest(MEMORY, { nodes: 3, ignore: Deno.build.os !== "linux" }, async (cluster) => {
  let worst = 0;
  const got = tally(
    await crowd(300, 30, async (number) => {
      const outcome = await ask(cluster, cluster.names[number % 3] ?? "", { tokens: 16 });
      if (number % 20 === 0) {
        const all = cluster.names.map((name) => residentBytes(cluster.client(name).pid));
        worst = Math.max(worst, ...await Promise.all(all));
      }
      return outcome;
    }),
  );
  recordFigure(MEMORY, `at most ${Math.round(worst / MIB)} MiB`);
  assert.deepEqual(got.failures, []);
  assert.ok(worst > 0 && worst < NODE_BYTES_MAX, `${worst} bytes`);
});

const SMALL = "A small model that is not loaded answers in less than 5 s";
Deno.test({ name: SMALL, ignore: !isPosix }, async () => {
  await using node = await startNode();
  const startMs = performance.now();
  const options = { num_predict: 16 };
  const lines = await node.askLines("/api/generate", { model: "tiny", prompt: "Hello!", options });
  const ms = performance.now() - startMs;
  assert.equal(lines.at(-1)?.["done"], true);
  recordFigure(SMALL, `${lines.length} lines after ${Math.round(ms)} ms, load and all`);
  assert.ok(ms < SMALL_MODEL_MS_MAX, `${ms} ms`);
});
