import assert from "node:assert/strict";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";
import { lackingOwnNatives } from "../harness/own_natives.ts";
import { editMetadata } from "../harness/gguf.ts";
import { digestOf, readTinyGguf } from "../harness/test_models.ts";
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

async function ask(cluster: TestCluster, node: string, options: object = {}, model = "tiny") {
  const { status, body, headers } = await cluster.client(node).request("POST", "/api/generate", {
    body: {
      model,
      prompt: MESSAGE,
      stream: false,
      options: { temperature: 0, num_predict: 40, ...options },
    },
  });
  return { status, body, requestId: headers.get("x-request-id") ?? "" };
}

/** The figure of a node's metrics whose name and labels are these. */
async function figure(cluster: TestCluster, node: string, name: string): Promise<number> {
  const text = await (await cluster.client(node).fetch("/metrics")).text();
  return Number(text.split("\n").find((line) => line.startsWith(`${name} `))?.split(" ").at(-1));
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

    // The status, which top and the feed show, has it with the node that leads it, on whichever node it is asked.
    for (const name of cluster.names) {
      await cluster.until("the status says who computes it", async () => {
        const { members } = await cluster.client(name).ask("GET", "/api/cluster/status");
        const loads = members as { load?: { split_models: { name: string; shards: Shard[] }[] } }[];
        const [model, ...more] = loads.flatMap(({ load }) => load?.split_models ?? []);
        return more.length === 0 && model?.name === "tiny:latest" &&
          JSON.stringify(model.shards) === JSON.stringify(split?.shards);
      });
    }

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

for (const way of ["is drained", "leaves the cluster"] as const) {
  clusterTest(
    `A split model leaves a machine that ${way}, once the answer that it computes has ended`,
    {
      nodes: 3,
      environment: { ODIST_MEMORY_LIMIT: LIMIT, ODIST_THREADS: "1" },
      ignore: lacking !== undefined,
    },
    async (cluster) => {
      let names = cluster.names;
      const nodesOf = async () => {
        for (const name of names) {
          const { models } = await cluster.client(name).ask("GET", "/api/ps");
          const [row] = models as { node: string; shards?: readonly Shard[] }[];
          if (row?.node === name && row.shards) return row.shards.map(({ node }) => node);
        }
        return [];
      };
      const { body: before } = await ask(cluster, "n1");
      const [worker = ""] = await nodesOf();
      const path = way === "is drained"
        ? `/api/cluster/members/${worker}/drain`
        : "/api/cluster/leave";
      await cluster.client(worker).ask("POST", path);
      if (way !== "is drained") names = names.filter((name) => name !== worker);
      await cluster.until("the split model is gone", async () => (await nodesOf()).length === 0);
      const { status, body } = await ask(cluster, names[0] ?? "");
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(body.response, before.response);
      const after = await nodesOf();
      assert.ok(after.length > 0 && !after.includes(worker), `${worker}: ${after}`);
    },
  );
}

clusterTest(
  "A node that lacks a model's file fetches the layers that it computes, once, and its leader sends no weights",
  {
    nodes: 2,
    environment: {
      ODIST_MEMORY_LIMIT: LIMIT,
      ODIST_THREADS: "1",
      ODIST_REPLICAS: "1",
      ODIST_METRICS: "true",
    },
    ignore: lacking !== undefined,
  },
  async (cluster) => {
    const file = editMetadata(await readTinyGguf(), { "general.name": "another" });
    const digest = digestOf(file);
    const n1 = cluster.client("n1");
    const uploaded = await n1.fetch(`/api/blobs/${digest}`, { method: "POST", body: file });
    assert.ok(uploaded.ok);
    await n1.ask("POST", "/api/create", {
      model: "far",
      files: { "w.gguf": digest },
      stream: false,
    });
    const received = () => figure(cluster, "n2", "odist_blob_bytes_received_total");
    const before = await received() || 0;
    const first = await ask(cluster, "n1", {}, "far");
    assert.equal(first.status, 200, JSON.stringify(first.body));
    assert.equal(first.body.response, await wholeText());
    const fetched = await received() - before;
    assert.ok(fetched > 0 && fetched < file.length * 0.9, `${fetched} of ${file.length} bytes`);
    const up = () => figure(cluster, "n1", 'odist_shard_bytes_total{direction="up"}');
    assert.ok(await up() < fetched / 4, `${await up()} bytes through the tunnel`);
    // The file itself is not there: its layers alone are.
    const whole = `${cluster.client("n2").homeFolder}/.odist/models/blobs/${
      digest.replace(":", "-")
    }`;
    await assert.rejects(Deno.stat(whole), Deno.errors.NotFound);

    await n1.ask("POST", "/api/generate", { model: "far", keep_alive: 0, stream: false });
    const second = await ask(cluster, "n1", {}, "far");
    assert.equal(second.body.response, first.body.response, JSON.stringify(second.body));
    assert.equal(await received() - before, fetched, "nothing is fetched again");
  },
);
