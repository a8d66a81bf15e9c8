/**
 * What a cluster goes through: the chaos rows of the acceptance table, at their full lengths. The clients ask as the documented
 * recipe does, so that an answer counts as lost wherever it breaks off.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import { clusterTest, lasting, type TestCluster } from "../harness/cluster.ts";
import {
  ask,
  askToTheEnd,
  crowd,
  crowdDuring,
  type Outcome,
  promptOf,
  residentBytes,
  tally,
  tallyText,
} from "../harness/crowd.ts";
import { recordFigure } from "../harness/figures.ts";

const SEED = Number(Deno.env.get("ODIST_TEST_SEED") ?? 16);
const FAILURES_MS = 300_000;
const PARTITION_MS = 90_000;
const TOKENS = 32;
const MIB = 2 ** 20;
/** Answers may take this long while nodes die: no more than a few deaths noticed one after the other. */
const ANSWER_MS_MAX = 30_000;

/** What undisturbed nodes say to each prompt of the crowd. */
async function answersOf(cluster: TestCluster): Promise<ReadonlyMap<string, string>> {
  const answers = new Map<string, string>();
  for (let number = 0; number < 4; number++) {
    const prompt = promptOf(number);
    const { text, failure } = await ask(cluster, "n1", { prompt, tokens: TOKENS });
    assert.equal(failure, undefined);
    answers.set(prompt, text);
  }
  return answers;
}

/** One client's turn, whose answer must be what an undisturbed node says. */
function truly(cluster: TestCluster, answers: ReadonlyMap<string, string>) {
  return async (number: number): Promise<Outcome> => {
    const prompt = promptOf(number);
    const outcome = await askToTheEnd(cluster, { prompt, tokens: TOKENS });
    if (outcome.failure !== undefined || outcome.text === answers.get(prompt)) return outcome;
    return { ...outcome, failure: `another answer: ${outcome.text}` };
  };
}

/** No answer lost, none that took for ever. */
function assertServed(outcomes: readonly Outcome[]): void {
  const got = tally(outcomes);
  assert.deepEqual(got.failures, []);
  const slowest = Math.max(...outcomes.map(({ ms }) => ms));
  assert.ok(slowest < ANSWER_MS_MAX, `the slowest took ${Math.round(slowest)} ms`);
}

async function write(cluster: TestCluster, name: string, key: string): Promise<void> {
  await cluster.client(name).ask("PUT", `/api/cluster/settings/${key}`, { value: name });
}

const RANDOM =
  "One node of five is killed every 15 to 45 s for five minutes, and no answer is lost or another";
clusterTest(RANDOM, { nodes: 5 }, async (cluster) => {
  const random = new Random(SEED);
  const answers = await answersOf(cluster);
  let kills = 0;
  const outcomes = await crowdDuring(4, truly(cluster, answers), async () => {
    const endMs = performance.now() + FAILURES_MS;
    while (performance.now() < endMs) {
      const [victim = ""] = random.shuffle(cluster.running);
      await cluster.kill(victim);
      kills++;
      await lasting(random.between(15_000, 45_001));
      await cluster.restart(victim);
      await cluster.healthy(5, { timeoutMs: 60_000 });
    }
  });
  recordFigure(RANDOM, `${kills} kills, ${tallyText(tally(outcomes))}`);
  assert.ok(kills >= 6);
  assertServed(outcomes);
});

const PARTITION = "Two of five are cut off for 90 s: both sides answer, and all agree after it";
clusterTest(PARTITION, { nodes: 5 }, async (cluster) => {
  const answers = await answersOf(cluster);
  const leader = await cluster.leader();
  const follower = cluster.names.find((name) => name !== leader) ?? "";
  const fewer = [leader, follower];
  const most = cluster.names.filter((name) => !fewer.includes(name));
  let healMs = NaN;
  const outcomes = await crowdDuring(5, truly(cluster, answers), async () => {
    cluster.partition(fewer, most);
    const startMs = performance.now();
    await cluster.until("the larger side has a leader", async () => {
      const status = await cluster.status(most[0] ?? "");
      return most.includes(
        status.members.find(({ node_id }) => node_id === status.leader)?.name ?? "",
      );
    });
    await write(cluster, most[0] ?? "", "while.cut");
    await lasting(PARTITION_MS - (performance.now() - startMs));
    cluster.heal();
    const healedMs = performance.now();
    await cluster.healthy(5, { timeoutMs: 60_000 });
    healMs = performance.now() - healedMs;
  });
  const sides = await Promise.all(
    cluster.names.map((name) => cluster.client(name).ask("GET", "/api/cluster/settings")),
  );
  recordFigure(
    PARTITION,
    `healed in ${Math.round(healMs)} ms, ${tallyText(tally(outcomes))}`,
  );
  for (const side of sides) assert.deepEqual(side, sides[0]);
  assertServed(outcomes);
});

const FIFTY =
  "50 models that are asked in turn exhaust no node: each answers, three are loaded at most";
clusterTest(FIFTY, { nodes: 3 }, async (cluster) => {
  const models = Array.from({ length: 50 }, (_, number) => `model-${number}`);
  for (const [number, model] of models.entries()) {
    // Another window each, so that none is loaded already when it is asked.
    const body = {
      ...{ model, from: "tiny", stream: false },
      parameters: { num_ctx: 256 + 8 * number },
    };
    await cluster.client(cluster.names[number % 3] ?? "").ask("POST", "/api/create", body);
  }
  const at = (number: number) =>
    ask(cluster, cluster.names[number % 3] ?? "", { model: models[number % 50] ?? "", tokens: 4 });
  const outcomes = await crowd(100, 6, at);
  const got = tally(outcomes);
  const loaded = await Promise.all(cluster.names.map(async (name) => {
    const { models: rows } = await cluster.client(name).ask("GET", "/api/ps");
    return (rows as readonly { node: string }[]).filter(({ node }) => node === name).length;
  }));
  const memory = await Promise.all(
    cluster.names.map((name) => residentBytes(cluster.client(name).pid)),
  );
  const mib = memory.map((bytes) => Math.round(bytes / MIB)).join(" ");
  recordFigure(FIFTY, `${tallyText(got)}; loaded ${loaded.join(" ")}; MiB ${mib}`);
  assert.deepEqual(got.failures, []);
  assert.equal(got.putOff, 0);
  for (const count of loaded) assert.ok(count <= 3, loaded.join(" "));
});

const CASCADE =
  "Two of five nodes die 20 s apart, and the other three go on answering and changing";
clusterTest(CASCADE, { nodes: 5 }, async (cluster) => {
  const answers = await answersOf(cluster);
  const outcomes = await crowdDuring(5, truly(cluster, answers), async () => {
    await cluster.kill(await cluster.leader());
    await lasting(20_000);
    await cluster.kill(await cluster.leader());
    const leader = await cluster.leader();
    await write(cluster, leader, "after.both");
    await lasting(10_000);
  });
  recordFigure(CASCADE, tallyText(tally(outcomes)));
  assert.equal(cluster.running.length, 3);
  assertServed(outcomes);
});

const STORM =
  "A storm of 300 requests over a node's death loses none, and what comes after is as before";
clusterTest(STORM, { nodes: 3 }, async (cluster) => {
  const answers = await answersOf(cluster);
  const one = truly(cluster, answers);
  await crowd(6, 3, one);
  const before = tally(await crowd(30, 3, one));
  const storm = crowd(300, 100, one);
  const [victim = ""] = new Random(SEED).shuffle(cluster.names);
  await cluster.until("it is under load", async () => {
    const { members } = await cluster.client(victim).ask("GET", "/api/cluster/status");
    const loads = members as readonly { load?: { running_requests: number } }[];
    return loads.some(({ load }) => (load?.running_requests ?? 0) > 0);
  });
  await cluster.kill(victim);
  const outcomes = await storm;
  await cluster.restart(victim);
  await cluster.healthy(3, { timeoutMs: 60_000 });
  await crowd(6, 3, one);
  const after = tally(await crowd(30, 3, one));
  recordFigure(
    STORM,
    `${tallyText(tally(outcomes))}; p50 before ${Math.round(before.p50Ms)} ms, ` +
      `after ${Math.round(after.p50Ms)} ms`,
  );
  assert.deepEqual(tally(outcomes).failures, []);
  assert.deepEqual(after.failures, []);
  assert.ok(after.p50Ms < 3 * before.p50Ms, `${before.p50Ms} ms, then ${after.p50Ms} ms`);
});

const PRESSURE =
  "Where memory holds one model alone, five in turn are all answered, and one that can't fit is refused";
clusterTest(
  PRESSURE,
  { nodes: 3, environment: { ODIST_MEMORY_LIMIT: "128MiB" } },
  async (cluster) => {
    for (let number = 0; number < 5; number++) {
      await cluster.client("n1").ask("POST", "/api/create", {
        ...{ model: `model-${number}`, from: "tiny", stream: false },
        parameters: { num_ctx: 512 + 64 * number },
      });
    }
    const at = (number: number) =>
      ask(cluster, cluster.names[number % 3] ?? "", { model: `model-${number % 5}` });
    const got = tally(await crowd(60, 6, at));
    const { status, body } = await cluster.client("n2").request("POST", "/api/generate", {
      body: { model: "tiny", prompt: "Hi", stream: false, options: { num_ctx: 1_000_000 } },
    });
    recordFigure(PRESSURE, `${tallyText(got)}; a window of 1,000,000: ${status}`);
    assert.deepEqual(got.failures, []);
    for (const name of cluster.names) {
      const { models } = await cluster.client(name).ask("GET", "/api/ps");
      const its = (models as readonly { node: string }[]).filter(({ node }) => node === name);
      assert.ok(its.length <= 1, JSON.stringify(its));
    }
    const isCapped = status === 200;
    assert.ok(isCapped || /memory|fit/.test(JSON.stringify(body)), JSON.stringify(body));
    await cluster.healthy(3);
  },
);

const LATENCY = "At 150 ms and up to 50 more each way, answers cross nodes and changes are made";
clusterTest(
  LATENCY,
  // One slot each: most requests go to another node.
  { nodes: 3, environment: { ODIST_SLOTS: "1" } },
  async (cluster) => {
    const answers = await answersOf(cluster);
    cluster.degrade({ delayMs: 150, jitterMs: 50 });
    const writes: number[] = [];
    const outcomes = await crowdDuring(6, truly(cluster, answers), async () => {
      for (let number = 0; number < 20; number++) {
        const startMs = performance.now();
        await write(cluster, cluster.names[number % 3] ?? "", `far.${number}`);
        writes.push(performance.now() - startMs);
      }
    });
    const late = cluster.network.spoiled().latePackets;
    const worst = Math.round(Math.max(...writes));
    recordFigure(LATENCY, `${tallyText(tally(outcomes))}; slowest change ${worst} ms`);
    assert.ok(late > 100, `${late} late packets`);
    assertServed(outcomes);
  },
);
