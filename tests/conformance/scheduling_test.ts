// Contract section 8, loading, eviction and slots: each test has a node of its own, because each needs other settings.
import assert from "node:assert/strict";
import { nodeTest, startNode, type TestNode } from "../harness/node.ts";
import { createVariant } from "../harness/test_models.ts";

const GREEDY = { temperature: 0, seed: 1 };

/** A second name for the same weights would share the loaded instance, so another model is made of a copy. */
async function createOther(node: TestNode): Promise<void> {
  await createVariant(node, "other", { "general.name": "other" });
}

function ask(node: TestNode, body: Record<string, unknown>) {
  return node.ask("/api/generate", { model: "tiny", prompt: "Hello!", stream: false, ...body });
}

async function loaded(node: TestNode): Promise<Record<string, unknown>[]> {
  return (await (await node.get("/api/ps")).json()).models;
}

/** Starts a long answer and returns once its first line is there. */
async function startLong(node: TestNode, model = "tiny") {
  const response = await node.post("/api/generate", {
    model,
    prompt: "Count.",
    // So many items are not done within the limit, so the answer always has this many tokens.
    format: { type: "array", items: { type: "integer" }, minItems: 200 },
    options: { ...GREEDY, num_predict: 400 },
  });
  const reader = response.body?.getReader();
  assert.ok(reader !== undefined);
  const first = await reader.read();
  assert.equal(first.done, false);
  return {
    /** Reads to the end and returns the last line. */
    async finish(): Promise<Record<string, unknown>> {
      let text = new TextDecoder().decode(first.value);
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += new TextDecoder().decode(value);
      }
      return JSON.parse(text.trim().split("\n").at(-1) ?? "");
    },
    cancel: () => reader.cancel(),
  };
}

nodeTest("contract #136 another num_ctx reloads, #137 another temperature does not", async () => {
  await using node = await startNode();
  await ask(node, { options: { num_ctx: 512, num_predict: 1 } });
  const [before] = await loaded(node);
  assert.equal(before?.["context_length"], 512);
  const warm = await ask(node, { options: { num_ctx: 512, num_predict: 1, temperature: 1.5 } });
  const cold = await ask(node, { options: { num_ctx: 256, num_predict: 1 } });
  const [after] = await loaded(node);
  assert.equal(after?.["context_length"], 256);
  assert.ok(Number(cold["load_duration"]) > Number(warm["load_duration"]));
});

nodeTest("contract #138 a request without keep_alive keeps the last one", async () => {
  await using node = await startNode({ environment: { OLLAMA_KEEP_ALIVE: "1m" } });
  await ask(node, { keep_alive: "10m", options: { num_predict: 1 } });
  await ask(node, { options: { num_predict: 1 } });
  const [row] = await loaded(node);
  const leftMs = Date.parse(String(row?.["expires_at"])) - Date.now();
  assert.ok(leftMs > 9 * 60_000 && leftMs <= 10 * 60_000, `${leftMs}`);
});

nodeTest("contract #139 an eviction waits for the running answer and never cuts it", async () => {
  await using node = await startNode({ environment: { OLLAMA_MAX_LOADED_MODELS: "1" } });
  await createOther(node);
  const running = await startLong(node);
  const other = ask(node, { model: "other", options: { num_predict: 1 } });
  const last = await running.finish();
  assert.equal(last["eval_count"], 400);
  assert.equal((await other)["done"], true);
  assert.deepEqual((await loaded(node)).map((row) => row["name"]), ["other:latest"]);
});

nodeTest("contract #140 two slots stream at once and a third waits", async () => {
  await using node = await startNode({ environment: { OLLAMA_NUM_PARALLEL: "2" } });
  const first = await startLong(node);
  const second = await startLong(node);
  let thirdStarted = false;
  const third = startLong(node).then((answer) => {
    thirdStarted = true;
    return answer;
  });
  // Both hold their slots: the third can't have begun while neither has ended.
  await (await node.get("/api/ps")).json();
  assert.equal(thirdStarted, false);
  await first.cancel();
  await (await third).cancel();
  await second.cancel();
});

nodeTest("contract #41 a full queue gets 503", async () => {
  await using node = await startNode({
    environment: {
      OLLAMA_MAX_QUEUE: "1",
      OLLAMA_NUM_PARALLEL: "1",
      OLLAMA_MAX_LOADED_MODELS: "1",
    },
  });
  await createOther(node);
  const running = await startLong(node);
  // The loaded model is busy, so each of these waits for a load; one may, the others are refused.
  const waiting = new AbortController();
  const asked = Array.from(
    { length: 4 },
    () =>
      node.post("/api/generate", { model: "other", prompt: "x" }, { signal: waiting.signal })
        .then(async (response) => ({ status: response.status, text: await response.text() }))
        .catch(() => undefined),
  );
  const refused = await Promise.any(asked.map(async (answer) => {
    const { status, text } = await answer ?? { status: 0, text: "" };
    if (status !== 503) throw new Error(`${status}`);
    return text;
  }));
  assert.equal(
    JSON.parse(refused).error,
    "server busy, please try again.  maximum pending requests exceeded",
  );
  waiting.abort();
  await running.cancel();
  await Promise.all(asked);
});

nodeTest("SIGTERM lets a running answer finish, refuses new ones and exits 0", async () => {
  const node = await startNode({ environment: { ODIST_DRAIN_TIMEOUT: "60s" } });
  const running = await startLong(node);
  const finished = running.finish();
  const code = await node.stop();
  assert.equal((await finished)["eval_count"], 400);
  assert.equal(code, 0);
});
