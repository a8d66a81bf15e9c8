// Contract section 8, /api/generate against a running node with the embedded model.
import assert from "node:assert/strict";
import { nodeForFile, nodeTest } from "../harness/node.ts";

// One slot, so that a request that still runs is in the way of the next.
const node = nodeForFile({ environment: { OLLAMA_NUM_PARALLEL: "1" } });
const GREEDY = { temperature: 0, seed: 1 };
const HELLO = { model: "tiny", prompt: "Hello!", options: GREEDY };
const METRICS = [
  "total_duration",
  "load_duration",
  "prompt_eval_count",
  "prompt_eval_duration",
  "eval_count",
  "eval_duration",
];

async function loadedNames(): Promise<string[]> {
  const { models } = await (await node().get("/api/ps")).json();
  return models.map((model: { name: string }) => model.name);
}

function joined(lines: readonly Record<string, unknown>[]): string {
  return lines.map((line) => String(line["response"])).join("");
}

nodeTest("contract #88 ps with nothing loaded is an empty list", async () => {
  assert.deepEqual(await (await node().get("/api/ps")).json(), { models: [] });
});

nodeTest("contract #44 unloading a model that is not loaded is fine", async () => {
  const answer = await node().ask("/api/generate", { model: "tiny", keep_alive: 0 });
  assert.equal(answer["done_reason"], "unload");
});

nodeTest("contract #42 an empty prompt loads the model", async () => {
  const answer = await node().ask("/api/generate", { model: "tiny" });
  assert.equal(answer["done"], true);
  assert.equal(answer["done_reason"], "load");
  assert.equal(answer["response"], "");
  assert.deepEqual(await loadedNames(), ["tiny:latest"]);
});

nodeTest("contract #45 and #46 lines, and the metrics of the last", async () => {
  const response = await node().post("/api/generate", HELLO);
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const lines = (await response.text()).trim().split("\n").map((line) => JSON.parse(line));
  for (const line of lines) {
    assert.equal(line.model, "tiny");
    assert.equal(typeof line.response, "string");
    assert.ok(Number.isFinite(Date.parse(line.created_at)));
  }
  const last = lines.at(-1);
  assert.equal(last.done, true);
  assert.equal(last.done_reason, "stop");
  assert.ok(last.context.every(Number.isInteger) && last.context.length > 0);
  for (const name of METRICS) assert.ok(last[name] > 0, name);
});

nodeTest("contract #47 and #48 a stream and stream:false say the same", async () => {
  const lines = await node().askLines("/api/generate", HELLO);
  const response = await node().post("/api/generate", { ...HELLO, stream: false });
  assert.equal(response.headers.get("content-type"), "application/json; charset=utf-8");
  assert.equal((await response.json()).response, joined(lines));
});

nodeTest("contract #49 num_predict bounds the answer", async () => {
  const answer = await node().ask("/api/generate", {
    ...HELLO,
    options: { ...GREEDY, num_predict: 5 },
    stream: false,
  });
  assert.ok(Number(answer["eval_count"]) <= 5);
  assert.equal(answer["done_reason"], "length");
});

nodeTest("contract #50 a stop string ends the answer before it", async () => {
  const whole = await node().ask("/api/generate", { ...HELLO, stream: false });
  const stop = String(whole["response"]).slice(8, 14);
  const lines = await node().askLines("/api/generate", {
    ...HELLO,
    options: { ...GREEDY, stop: [stop] },
  });
  assert.equal(joined(lines), String(whole["response"]).slice(0, 8));
  assert.equal(lines.at(-1)?.["done_reason"], "stop");
});

nodeTest("contract #51 the same seed gives the same text", async () => {
  const body = {
    model: "tiny",
    prompt: "Tell me a story about a fox",
    options: { temperature: 1, seed: 42, num_predict: 40 },
    stream: false,
  };
  const [first, second] = [
    await node().ask("/api/generate", body),
    await node().ask("/api/generate", body),
  ];
  assert.equal(first["response"], second["response"]);
});

nodeTest("contract #52 raw sends the prompt as it is and gives no context", async () => {
  const body = { ...HELLO, raw: true, stream: false, options: { ...GREEDY, num_predict: 3 } };
  const raw = await node().ask("/api/generate", body);
  assert.ok(!("context" in raw));
  const templated = await node().ask("/api/generate", { ...body, raw: false });
  assert.ok(Number(raw["prompt_eval_count"]) < Number(templated["prompt_eval_count"]));
});

nodeTest("contract #53 a system text reaches the prompt", async () => {
  const answer = await node().ask("/api/generate", {
    ...HELLO,
    system: "You are Nova.",
    _debug_render_only: true,
  });
  assert.match(Object(answer["_debug_info"]).rendered_template, /You are Nova\./);
});

nodeTest("contract #54 a template in the request replaces the model's", async () => {
  const answer = await node().ask("/api/generate", {
    ...HELLO,
    template: "X{{ .Prompt }}Y",
    _debug_render_only: true,
  });
  assert.match(Object(answer["_debug_info"]).rendered_template, /^XHello!Y/);
});

nodeTest("contract #56 format json gives JSON", async () => {
  const answer = await node().ask("/api/generate", {
    model: "tiny",
    system: 'Extract {"name": ..., "age": ...} as JSON.',
    prompt: "Mia is 12 years old.",
    format: "json",
    options: GREEDY,
    stream: false,
  });
  assert.equal(typeof JSON.parse(String(answer["response"])), "object");
});

nodeTest("contract #57 a schema gives JSON of that shape", async () => {
  const answer = await node().ask("/api/generate", {
    model: "tiny",
    prompt: "Mia is 12 years old.",
    format: {
      type: "object",
      properties: { age: { type: "integer" }, ok: { type: "boolean" } },
      required: ["age", "ok"],
      additionalProperties: false,
    },
    options: GREEDY,
    stream: false,
  });
  const value = JSON.parse(String(answer["response"]));
  assert.ok(Number.isInteger(value.age));
  assert.equal(typeof value.ok, "boolean");
  assert.equal(Object.keys(value).length, 2);
});

nodeTest(
  "a schema that can't be a grammar gets 4xx or 5xx with an error, not an answer",
  async () => {
    const response = await node().post("/api/generate", {
      ...HELLO,
      format: { type: "no such type" },
    });
    assert.ok(response.status >= 400, `${response.status}`);
    assert.equal(typeof (await response.json()).error, "string");
  },
);

nodeTest("contract #59 a context from an earlier reply is accepted", async () => {
  const first = await node().ask("/api/generate", { ...HELLO, stream: false });
  const second = await node().ask("/api/generate", {
    ...HELLO,
    context: first["context"],
    prompt: "Goodbye",
    stream: false,
  });
  assert.ok(Number(second["prompt_eval_count"]) > Number(first["prompt_eval_count"]));
});

nodeTest("contract #60 log probabilities have alternatives", async () => {
  const answer = await node().ask("/api/generate", {
    ...HELLO,
    logprobs: true,
    top_logprobs: 2,
    options: { ...GREEDY, num_predict: 3 },
    stream: false,
  });
  const rows = answer["logprobs"] as { token: string; logprob: number; bytes: number[] }[];
  assert.equal(rows.length, 3);
  for (const row of rows) {
    assert.ok(row.logprob <= 0);
    assert.equal(new TextDecoder().decode(new Uint8Array(row.bytes)), row.token);
    assert.equal(Reflect.get(row, "top_logprobs").length, 2);
  }
});

nodeTest("contract #61 a name in another case is served and echoed", async () => {
  const answer = await node().ask("/api/generate", {
    ...HELLO,
    model: "TINY:Latest",
    stream: false,
  });
  assert.equal(answer["model"], "TINY:Latest");
});

nodeTest("contract #62 a client that closes mid-stream frees the slot", async () => {
  const gone = new AbortController();
  // Two minutes of answer, if nobody stopped it: the next request could not wait for its end.
  const format = { type: "array", items: { type: "integer" }, minItems: 1000 };
  const body = {
    model: "tiny",
    prompt: "Count",
    format,
    options: { ...GREEDY, num_predict: 10_000 },
  };
  const response = await node().post("/api/generate", body, { signal: gone.signal });
  const reader = response.body?.getReader();
  const first = await reader?.read();
  assert.match(new TextDecoder().decode(first?.value), /"done":false/);
  gone.abort();
  await reader?.read().catch(() => undefined);
  const next = await node().ask("/api/generate", { ...HELLO, stream: false });
  assert.equal(next["done"], true);
});

nodeTest("contract #37 options that no longer exist are ignored", async () => {
  const answer = await node().ask("/api/generate", {
    ...HELLO,
    options: { ...GREEDY, mirostat: 2, foo: 1, num_predict: 1 },
    stream: false,
  });
  assert.equal(answer["done"], true);
});

nodeTest("contract #89 and #90 ps shows expiry, size and context", async () => {
  await node().ask("/api/generate", { model: "tiny", keep_alive: -1 });
  const { models } = await (await node().get("/api/ps")).json();
  const [tiny] = models;
  assert.ok(Date.parse(tiny.expires_at) > Date.now() + 100 * 365 * 86_400_000);
  assert.ok(tiny.size >= tiny.size_vram);
  // The embedded model was trained on this many tokens, fewer than the default context window.
  assert.equal(tiny.context_length, 1024);
  assert.equal(tiny.digest.length, 64);
});

nodeTest("contract #43 keep_alive 0 unloads", async () => {
  const answer = await node().ask("/api/generate", { model: "tiny", keep_alive: 0 });
  assert.equal(answer["done_reason"], "unload");
  const deadline = performance.now() + 10_000;
  while ((await loadedNames()).length > 0) assert.ok(performance.now() < deadline);
});

nodeTest(
  "contract 1.3: a broken template in a request gets 500 with the parser's text",
  async () => {
    const body = { model: "tiny", prompt: "x", template: "{{ .X", stream: false };
    const response = await node().post("/api/generate", body);
    assert.equal(response.status, 500);
    assert.match((await response.json()).error, /^template: .*unclosed action/);
  },
);
