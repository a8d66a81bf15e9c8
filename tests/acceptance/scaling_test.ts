/**
 * How a cluster grows and gives way under load: the scaling rows of the acceptance table.
 *
 * @module
 */
import assert from "node:assert/strict";
import { clusterTest, lasting } from "../harness/cluster.ts";
import { ask, crowd, crowdDuring, promptOf, tally, tallyText } from "../harness/crowd.ts";
import { recordFigure } from "../harness/figures.ts";

const OK_SHARE_MIN = 0.7;
const THROUGHPUT_SHARE_MIN = 0.5;
const SHARE_OF_ONE_MAX = 0.8;

const BALANCE = "Of 10 requests at once that one node is asked, no node computes more than 80 %";
clusterTest(BALANCE, { nodes: 3 }, async (cluster) => {
  const round = (number: number) =>
    crowd(
      10,
      10,
      (index) => ask(cluster, "n1", { tokens: 48, prompt: promptOf(number * 10 + index) }),
    );
  // A node loads the model when those that have it would keep its clients waiting: what is balanced is a load that goes on.
  await cluster.until("all have it loaded", async () => {
    await round(0);
    const { models } = await cluster.client("n1").ask("GET", "/api/ps");
    return (models as readonly unknown[]).length === 3;
  }, 120_000);
  const rounds = [];
  for (let number = 0; number < 5; number++) rounds.push(tally(await round(number)));
  const shares = rounds.map(({ byNode, count }) => Math.max(...Object.values(byNode)) / count);
  const text = shares.map((share) => `${Math.round(share * 100)} %`).join(", ");
  recordFigure(BALANCE, `the busiest node's share in ${rounds.length} rounds: ${text}`);
  assert.deepEqual(rounds.flatMap(({ failures }) => failures), []);
  for (const share of shares) assert.ok(share <= SHARE_OF_ONE_MAX, text);
});

const HIGH =
  "At high load at least 70 % are answered at half the baseline's rate or more, and then it recovers";
clusterTest(
  HIGH,
  // So little may wait that high load is felt.
  { nodes: 3, environment: { ODIST_MAX_QUEUE: "32" } },
  async (cluster) => {
    const at = (number: number) =>
      ask(cluster, cluster.names[number % 3] ?? "", { prompt: promptOf(number) });
    await crowd(6, 1, at);
    const base = tally(await crowd(150, 6, at));
    const high = tally(await crowd(600, 150, at));
    const after = tally(await crowd(150, 6, at));
    const okShare = 1 - (high.failures.length + high.putOff) / high.count;
    recordFigure(
      HIGH,
      `${Math.round(okShare * 100)} % answered at 150 at once, ${high.perSecond.toFixed(1)}/s ` +
        `of ${base.perSecond.toFixed(1)}/s, then ${after.perSecond.toFixed(1)}/s`,
    );
    assert.ok(okShare >= OK_SHARE_MIN, tallyText(high));
    assert.ok(high.perSecond >= THROUGHPUT_SHARE_MIN * base.perSecond, tallyText(high));
    assert.deepEqual([...base.failures, ...after.failures], []);
    assert.ok(after.perSecond >= THROUGHPUT_SHARE_MIN * base.perSecond, tallyText(after));
  },
);

const GROW = "Under load two nodes join, lose nobody's request, and compute their part";
clusterTest(GROW, { nodes: 2 }, async (cluster) => {
  const at = (number: number) =>
    ask(cluster, number % 2 === 0 ? "n1" : "n2", { tokens: 32, prompt: promptOf(number) });
  let joinedMs = NaN;
  const outcomes = await crowdDuring(24, at, async () => {
    const startMs = performance.now();
    await Promise.all([cluster.join(), cluster.join()]);
    await cluster.healthy(4, { timeoutMs: 60_000 });
    joinedMs = performance.now() - startMs;
    await lasting(20_000);
  });
  const got = tally(outcomes);
  const parts = cluster.names.map((name) => `${name} ${got.byNode[name] ?? 0}`);
  recordFigure(
    GROW,
    `joined in ${(joinedMs / 1_000).toFixed(1)} s; ${tallyText(got)}; computed by ${
      parts.join(", ")
    }`,
  );
  assert.deepEqual(got.failures, []);
  assert.equal(got.putOff, 0);
  for (const part of parts) assert.ok(!part.endsWith(" 0"), parts.join(", "));
});
