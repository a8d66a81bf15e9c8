/**
 * What a person does with a cluster from beginning to end: the end-to-end rows of the acceptance table.
 *
 * @module
 */
import assert from "node:assert/strict";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";
import { ask, askToTheEnd, crowd, promptOf, tally } from "../harness/crowd.ts";
import { recordFigure } from "../harness/figures.ts";
import { lackingOwnNatives } from "../harness/own_natives.ts";

const ANSWER_TOKENS = 160;
/** `tiny` takes 96 MiB whole, and 90 without layers: no node alone can hold it. */
const LIMIT = "94MiB";

/** The sum of a counter over its labels. */
async function counted(cluster: TestCluster, name: string, metric: string): Promise<number> {
  const text = await (await cluster.client(name).fetch("/metrics")).text();
  const rows = text.split("\n").filter((line) => line.startsWith(metric));
  return rows.reduce((sum, row) => sum + Number(row.split(" ").at(-1)), 0);
}

const COMPLETE =
  "A whole day's work: health, tags, generate, stream, a spread load and the metrics of it";
clusterTest(COMPLETE, { nodes: 3 }, async (cluster) => {
  for (const name of cluster.names) {
    for (const path of ["/health", "/ready"]) {
      assert.equal((await cluster.client(name).request("GET", path)).status, 200, name + path);
    }
    const { models } = await cluster.client(name).ask("GET", "/api/tags");
    assert.deepEqual((models as { name: string }[]).map((row) => row.name), ["tiny:latest"]);
  }
  const question = { model: "tiny", prompt: promptOf(0), options: { temperature: 0 } };
  const whole = await cluster.client("n1").ask("POST", "/api/generate", {
    ...question,
    stream: false,
  });
  const lines = await cluster.client("n2").lines("/api/generate", question);
  assert.ok(lines.length > 5, "it streams");
  assert.equal(lines.map(({ response }) => response).join(""), whole.response);
  const spread = tally(
    await crowd(60, 20, () => ask(cluster, "n1", { tokens: 32 })),
  );
  assert.deepEqual(spread.failures, []);
  assert.ok(Object.keys(spread.byNode).length > 1, JSON.stringify(spread.byNode));
  const requests = await counted(cluster, "n1", "odist_http_requests_total");
  assert.ok(requests >= 62, `${requests} requests counted`);
  recordFigure(COMPLETE, `60 requests by ${JSON.stringify(spread.byNode)}, ${requests} counted`);
});

const BIG = "A model too big for each of three nodes answers through all of them";
const lacking = lackingOwnNatives();
clusterTest(
  BIG,
  { nodes: 3, environment: { ODIST_MEMORY_LIMIT: LIMIT }, ignore: lacking !== undefined },
  async (cluster) => {
    const outcomes = [];
    for (const name of cluster.names) outcomes.push(await ask(cluster, name, { tokens: 40 }));
    assert.deepEqual(outcomes.flatMap(({ failure }) => failure ?? []), []);
    assert.equal(new Set(outcomes.map(({ text }) => text)).size, 1);
    recordFigure(BIG, `first ${Math.round(outcomes[0]?.ms ?? NaN)} ms, load and all`);
  },
);

const TOLERANT =
  "Answers come whole when a follower is killed under them, and when the leader is after it";
clusterTest(TOLERANT, { nodes: 5 }, async (cluster) => {
  const undisturbed = await ask(cluster, "n1", { tokens: ANSWER_TOKENS });
  assert.equal(undisturbed.failure, undefined);
  const pauses: number[] = [];
  const killUnderAnswers = async (victim: string) => {
    const answers = Array.from(
      { length: 10 },
      () => askToTheEnd(cluster, { tokens: ANSWER_TOKENS }),
    );
    await cluster.until("it computes", async () => {
      const { node_id, members } = await cluster.client(victim).ask("GET", "/api/cluster/status");
      const rows = members as readonly { node_id: string; load?: { running_requests: number } }[];
      const own = rows.find((row) => row.node_id === node_id);
      return (own?.load?.running_requests ?? 0) > 0;
    });
    await cluster.kill(victim);
    for (const { text, failure, ms } of await Promise.all(answers)) {
      assert.equal(failure, undefined);
      assert.equal(text, undisturbed.text);
      pauses.push(ms);
    }
  };
  const leader = await cluster.leader();
  await killUnderAnswers(cluster.names.find((name) => name !== leader) ?? "");
  await killUnderAnswers(leader);
  const next = await cluster.leader();
  assert.notEqual(next, leader);
  await cluster.client(next).ask("PUT", "/api/cluster/settings/after.both", { value: "yes" });
  const worst = Math.max(...pauses);
  recordFigure(TOLERANT, `20 of 20 whole and the same, the slowest after ${Math.round(worst)} ms`);
});
