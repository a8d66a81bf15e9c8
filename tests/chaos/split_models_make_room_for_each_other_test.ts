import assert from "node:assert/strict";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";
import { editMetadata } from "../harness/gguf.ts";
import { lackingOwnNatives } from "../harness/own_natives.ts";
import { readTinyGguf, uploadBlob } from "../harness/test_models.ts";

const lacking = lackingOwnNatives();
if (lacking !== undefined) console.log(`room for split models is not tested: ${lacking}`);
/** `tiny` takes 96 MiB whole, and 90 without layers: each model takes a part of both nodes, and they hold but one. */
const ENVIRONMENT = { ODIST_MEMORY_LIMIT: "94MiB", ODIST_THREADS: "1" };
/** Far less than an idle model is kept, and far more than it takes to end one and load another. */
const WAIT_MS_MAX = 60_000;
const ROUNDS = 3;

/** A model of its own that `n2` holds. */
async function createOther(cluster: TestCluster): Promise<void> {
  const node = cluster.client("n2");
  const get = (path: string, init?: RequestInit) => node.fetch(path, init);
  const bytes = editMetadata(await readTinyGguf(), { "general.name": "other" } as never);
  const files = { "model.gguf": await uploadBlob({ get } as never, bytes) };
  await node.ask("POST", "/api/create", { model: "other", files, stream: false });
}

async function answer(cluster: TestCluster, name: string, model: string): Promise<void> {
  const signal = AbortSignal.timeout(WAIT_MS_MAX);
  const options = { temperature: 0, num_predict: 8 };
  const body = { model, prompt: "What is Raft?", stream: false, options };
  const answer = await cluster.client(name).request("POST", "/api/generate", { body, signal });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
}

clusterTest(
  "A split model that is idle makes room on the nodes of its parts, and of two that are wanted at once none waits for the other",
  { nodes: 2, environment: ENVIRONMENT, ignore: lacking !== undefined },
  async (cluster) => {
    await createOther(cluster);
    for (let round = 0; round < ROUNDS; round++) {
      // Each is kept for five minutes.
      await answer(cluster, "n1", "tiny");
      await answer(cluster, "n2", "other");
    }
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all([answer(cluster, "n1", "tiny"), answer(cluster, "n2", "other")]);
    }
    const led = cluster.names.map((name) =>
      [...cluster.client(name).printed.matchAll(/ model_loaded model=(?!"part)/g)].length
    );
    assert.ok(led.every((count) => count > 0), `both led: ${led}`);
  },
);
