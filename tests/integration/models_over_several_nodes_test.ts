import assert from "node:assert/strict";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";
import { lackingOwnNatives } from "../harness/own_natives.ts";
import { askTiny, loadTiny, readAnswer } from "./engine_harness.ts";

const lacking = lackingOwnNatives();
if (lacking !== undefined) console.log(`models over several nodes are not tested: ${lacking}`);
/** `tiny` takes 96 MiB whole, and 90 without layers. */
const LIMIT = "94MiB";
const MESSAGE = "Tell me a story about a fox.";

interface Shard {
  readonly node: string;
  readonly first_layer: number;
  readonly layer_count: number;
}

interface Told {
  readonly routes: readonly {
    readonly outcome: string;
    readonly split?: { readonly why: string; readonly shards: readonly Shard[] };
  }[];
}

async function ask(cluster: TestCluster, node: string, options: object = {}) {
  const { status, body, headers } = await cluster.client(node).request("POST", "/api/generate", {
    body: {
      model: "tiny",
      prompt: MESSAGE,
      stream: false,
      options: { temperature: 0, num_predict: 40, ...options },
    },
  });
  return { status, body, requestId: headers.get("x-request-id") ?? "" };
}

async function wholeText(): Promise<string> {
  await using model = await loadTiny();
  const answer = await readAnswer(model, askTiny(MESSAGE, { predictTokensMax: 40 }));
  return answer.text;
}

clusterTest(
  "A model that no node can hold is computed by two, with the text of a whole one",
  {
    nodes: 2,
    environment: { ODIST_MEMORY_LIMIT: LIMIT, ODIST_THREADS: "1" },
    ignore: lacking !== undefined,
  },
  async (cluster) => {
    const { status, body, requestId } = await ask(cluster, "n1");
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body.response, await wholeText());

    const told = await cluster.client("n1").ask("GET", `/api/cluster/explain/${requestId}`);
    const outcomes = (told as unknown as Told).routes.map(({ outcome }) => outcome);
    assert.equal(outcomes.at(-1), "granted");
    assert.ok(outcomes.includes("model_too_large"), JSON.stringify(outcomes));
    const { split } = (told as unknown as Told).routes.at(-1) ?? {};
    assert.equal(split?.why, "too_large");
    const [first, last] = split?.shards ?? [];
    assert.equal(first?.node === last?.node, false);
    assert.equal(last?.first_layer, first?.layer_count);
    assert.equal((first?.layer_count ?? 0) + (last?.layer_count ?? 0), 6);

    // A node that doesn't lead it knows as much.
    const elsewhere = await ask(cluster, "n2");
    assert.equal(elsewhere.body.response, body.response);
    const path = `/api/cluster/explain/${elsewhere.requestId}`;
    const there = await cluster.client("n2").ask("GET", path);
    assert.deepEqual((there as unknown as Told).routes.at(-1)?.split?.shards, split?.shards);

    const { models } = await cluster.client("n1").ask("GET", "/api/ps");
    const rows = models as { readonly shards: readonly Shard[] }[];
    assert.equal(rows.length, 1, "one row, whatever number of nodes compute it");
    assert.deepEqual(
      rows[0]?.shards.map(({ node }) => node),
      split?.shards.map(({ node }) => node),
    );
  },
);

clusterTest(
  "A model is computed by several nodes where a request asks for it, and by one again where none does",
  { nodes: 2, environment: { ODIST_THREADS: "1" }, ignore: lacking !== undefined },
  async (cluster) => {
    const shown = async () => {
      const { models } = await cluster.client("n1").ask("GET", "/api/ps");
      return (models as { readonly shards?: unknown }[]).map(({ shards }) => shards !== undefined);
    };
    const text = await wholeText();
    const split = await ask(cluster, "n1", { shard: true });
    assert.equal(split.body.response, text, JSON.stringify(split.body));
    assert.deepEqual(await shown(), [true]);
    const whole = await ask(cluster, "n1");
    assert.equal(whole.body.response, text);
    assert.deepEqual((await shown()).filter((isSplit) => !isSplit).length, 1);
  },
);

clusterTest(
  "A model that all nodes together can't hold is refused with what it takes whole and split",
  { nodes: 2, environment: { ODIST_MEMORY_LIMIT: "80MiB" }, ignore: lacking !== undefined },
  async (cluster) => {
    const { status, body } = await ask(cluster, "n1");
    assert.equal(status, 500);
    assert.match(
      String(body.error),
      /requires more system memory .*; over several nodes it requires \d+ MiB .*there are \d+ MiB/,
    );
  },
);

clusterTest(
  "A split model leaves a machine that is drained, once the answer that it computes has ended",
  {
    nodes: 3,
    environment: { ODIST_MEMORY_LIMIT: LIMIT, ODIST_THREADS: "1" },
    ignore: lacking !== undefined,
  },
  async (cluster) => {
    const nodesOf = async () => {
      for (const name of cluster.names) {
        const { models } = await cluster.client(name).ask("GET", "/api/ps");
        const [row] = models as { node: string; shards?: readonly Shard[] }[];
        if (row?.node === name && row.shards) return row.shards.map(({ node }) => node);
      }
      return [];
    };
    const { body: before } = await ask(cluster, "n1");
    const [worker = ""] = await nodesOf();
    await cluster.client("n1").ask("POST", `/api/cluster/members/${worker}/drain`);
    await cluster.until("the split model is gone", async () => (await nodesOf()).length === 0);
    const { status, body } = await ask(cluster, "n1");
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(body.response, before.response);
    const after = await nodesOf();
    assert.ok(after.length > 0 && !after.includes(worker), `${worker}: ${after}`);
  },
);
