import assert from "node:assert/strict";
import { RequestError, UnavailableError } from "../base/mod.ts";
import type {
  Answer,
  AnswerChunk,
  ChatRequest,
  EmbedRequest,
  GenerateRequest,
} from "../ports/mod.ts";
import { appUnderTest, httpRequest } from "../../tests/harness/http_app.ts";
import { parseLines } from "../../tests/harness/json_lines.ts";
import { SCRIPTED_METRICS, streamOf, textChunks } from "../../tests/harness/scripted_client.ts";

const CREATED_AT = "2026-01-02T03:04:05.678Z";
const METRIC_FIELDS = {
  total_duration: 5_000_000,
  load_duration: 1_000_000,
  prompt_eval_count: 7,
  prompt_eval_duration: 2_000_000,
  eval_count: 3,
  eval_duration: 2_000_000,
};

Deno.test("POST /api/generate streams one line per chunk and ends with done=true", async () => {
  const { send } = appUnderTest({ words: ["Hel", "lo"] });
  const response = await send("POST", "/api/generate", { model: "M", prompt: "hi" });
  assert.deepEqual(parseLines(await response.text()), [
    { model: "M", created_at: CREATED_AT, response: "Hel", done: false },
    { model: "M", created_at: CREATED_AT, response: "lo", done: false },
    {
      model: "M",
      created_at: CREATED_AT,
      response: "",
      done: true,
      done_reason: "stop",
      context: [1, 2, 3],
      ...METRIC_FIELDS,
    },
  ]);
});

Deno.test("POST /api/chat streams messages and ends with done=true", async () => {
  const chunks: AnswerChunk[] = [
    { kind: "text", content: "", thinking: "hm" },
    { kind: "text", content: "Hi" },
    { kind: "text", content: "", toolCalls: [{ id: "call_1", name: "f", arguments: { a: 1 } }] },
  ];
  const { send } = appUnderTest({ script: { chat: async () => streamOf(chunks) } });
  const response = await send("POST", "/api/chat", { model: "M", messages: [{ role: "user" }] });
  const lines = parseLines(await response.text());
  assert.deepEqual(lines.map((line) => line["message"]), [
    { role: "assistant", content: "", thinking: "hm" },
    { role: "assistant", content: "Hi" },
    {
      role: "assistant",
      content: "",
      tool_calls: [{ id: "call_1", function: { index: 0, name: "f", arguments: { a: 1 } } }],
    },
    { role: "assistant", content: "" },
  ]);
  assert.deepEqual(lines.at(-1), {
    model: "M",
    created_at: CREATED_AT,
    message: { role: "assistant", content: "" },
    done: true,
    done_reason: "stop",
    ...METRIC_FIELDS,
  });
});

Deno.test("POST /api/chat without stream joins text, thinking and calls", async () => {
  const chunks: AnswerChunk[] = [
    { kind: "text", content: "a", thinking: "x" },
    { kind: "text", content: "b", thinking: "y" },
    { kind: "text", content: "", toolCalls: [{ name: "f", arguments: {} }] },
  ];
  const { send } = appUnderTest({ script: { chat: async () => streamOf(chunks) } });
  const body = { model: "M", messages: [{ role: "user" }], stream: false };
  const tools = [{ type: "function", function: { name: "f", parameters: { type: "object" } } }];
  const offered = await (await send("POST", "/api/chat", { ...body, tools })).json();
  assert.equal(offered.message.content, "ab");
  assert.equal(offered.message.thinking, "xy");
  assert.equal(offered.message.tool_calls.length, 1);
  const unoffered = await (await send("POST", "/api/chat", body)).json();
  assert.ok(!("tool_calls" in unoffered.message));
});

Deno.test("POST /api/generate carries calls on its last line only", async () => {
  const chunks: AnswerChunk[] = [
    { kind: "text", content: "", toolCalls: [{ name: "f", arguments: {} }] },
  ];
  const { send } = appUnderTest({ script: { generate: async () => streamOf(chunks) } });
  const response = await send("POST", "/api/generate", { model: "M", prompt: "x" });
  const [first, last] = parseLines(await response.text());
  assert.ok(first !== undefined && !("tool_calls" in first));
  assert.deepEqual(last?.["tool_calls"], [{ function: { index: 0, name: "f", arguments: {} } }]);
});

Deno.test("log probabilities carry token, logprob, bytes and the alternatives asked for (#60)", async () => {
  const bytes = new Uint8Array([104, 105]);
  const row = {
    token: "hi",
    bytes,
    logprob: -0.5,
    topLogprobs: [{ token: "ho", bytes, logprob: -1 }],
  };
  const chunks: AnswerChunk[] = [{ kind: "text", content: "hi", logprobs: [row] }];
  const { send, client } = appUnderTest({ script: { generate: async () => streamOf(chunks) } });
  const body = { model: "M", prompt: "x", logprobs: true, top_logprobs: 2, stream: false };
  const answer = await (await send("POST", "/api/generate", body)).json();
  assert.deepEqual(answer.logprobs, [{
    token: "hi",
    logprob: -0.5,
    bytes: [104, 105],
    top_logprobs: [{ token: "ho", logprob: -1, bytes: [104, 105] }],
  }]);
  assert.equal((client.lastRequest as GenerateRequest).topLogprobs, 2);
});

for (const kind of ["load", "unload"] as const) {
  Deno.test(`an answer of kind ${kind} is one object even for a stream (#42 to #44, #65, #66)`, async () => {
    const { send } = appUnderTest({
      script: { generate: async () => ({ kind }), chat: async () => ({ kind }) },
    });
    const generated = await send("POST", "/api/generate", { model: "M" });
    assert.match(generated.headers.get("content-type") ?? "", /^application\/json/);
    assert.deepEqual(await generated.json(), {
      model: "M",
      created_at: CREATED_AT,
      response: "",
      done: true,
      done_reason: kind,
    });
    const chatted = await (await send("POST", "/api/chat", { model: "M", messages: [] })).json();
    assert.deepEqual(chatted.message, { role: "assistant", content: "" });
    assert.equal(chatted.done_reason, kind);
  });
}

Deno.test("_debug_render_only answers with the rendered prompt (#53, #54)", async () => {
  const { send } = appUnderTest({
    script: { generate: async () => ({ kind: "rendered", text: "XhiY", imageCount: 0 }) },
  });
  const answer =
    await (await send("POST", "/api/generate", { model: "M", _debug_render_only: true })).json();
  assert.deepEqual(answer._debug_info, { rendered_template: "XhiY" });
});

Deno.test("a rendered chat is a message of nobody", async () => {
  const { send } = appUnderTest({
    script: { chat: async () => ({ kind: "rendered", text: "x", imageCount: 0 }) },
  });
  const asked = {
    model: "M",
    messages: [{ role: "user", content: "hi" }],
    _debug_render_only: true,
  };
  const answer = await (await send("POST", "/api/chat", asked)).json();
  assert.deepEqual(answer.message, { role: "", content: "" });
});

Deno.test("POST /api/generate hands every field to the client", async () => {
  const { send, client } = appUnderTest();
  const response = await send("POST", "/api/generate", {
    model: " M ",
    prompt: "p",
    suffix: "s",
    system: "sys",
    template: "t",
    context: [4, 5],
    format: { type: "object" },
    keep_alive: -1,
    images: ["aGk="],
    think: "low",
    truncate: false,
    shift: false,
    options: { num_ctx: 12.9, stop: ["a"], seed: 3, use_mmap: true, temperature: 0 },
  });
  await response.text();
  assert.deepEqual(client.lastRequest, {
    label: response.headers.get("x-request-id"),
    account: { tenant: "at 127.0.0.1", priority: "normal", deadlineAtMs: Infinity },
    model: " M ",
    topLogprobs: -1,
    think: "low",
    keepAliveMs: Infinity,
    options: { numCtx: 12, stop: ["a"], seed: 3, useMmap: true, temperature: 0 },
    format: { type: "object" },
    truncate: false,
    shift: false,
    debugRenderOnly: false,
    prompt: "p",
    suffix: "s",
    system: "sys",
    template: "t",
    context: [4, 5],
    raw: false,
    images: [new Uint8Array([104, 105])],
  });
});

Deno.test("POST /api/chat hands messages and tools over, roles in lower case (#70)", async () => {
  const { send, client } = appUnderTest();
  const parameters = { type: "object", properties: { z: {}, a: {} }, required: ["z"] };
  const response = await send("POST", "/api/chat", {
    model: "M",
    messages: [
      { role: "USER", content: "hi", images: ["aGk="] },
      {
        role: "assistant",
        content: "",
        tool_calls: [{ id: "c1", function: { name: "f", arguments: { b: 1, a: 2 } } }],
      },
      { role: "tool", content: "4", tool_name: "f", tool_call_id: "c1" },
    ],
    tools: [{ type: "function", function: { name: "f", description: "d", parameters } }],
  });
  await response.text();
  const request = client.lastRequest as ChatRequest;
  assert.deepEqual(request.messages, [
    { role: "user", content: "hi", images: [new Uint8Array([104, 105])] },
    {
      role: "assistant",
      content: "",
      toolCalls: [{ id: "c1", name: "f", arguments: { b: 1, a: 2 } }],
    },
    { role: "tool", content: "4", toolName: "f", toolCallId: "c1" },
  ]);
  assert.deepEqual(request.tools, [
    { type: "function", function: { name: "f", description: "d", parameters } },
  ]);
  assert.equal(JSON.stringify(request.tools[0]?.function.parameters), JSON.stringify(parameters));
});

for (
  const [status, error] of [
    [404, new RequestError("model_not_found", "model 'nope' not found")],
    [
      503,
      new UnavailableError(
        "queue_full",
        "server busy, please try again.  maximum pending requests exceeded",
      ),
    ],
    [400, new RequestError("prompt_too_long", "the prompt is too long")],
  ] as const
) {
  Deno.test(`an error before the first chunk is an ordinary ${status} (#22 to #41)`, async () => {
    const failing: AsyncIterable<AnswerChunk> = {
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }),
    };
    for (
      const generate of [
        () => Promise.reject(error),
        async () => ({ kind: "stream", chunks: failing }) as const,
      ]
    ) {
      const { send } = appUnderTest({ script: { generate } });
      const response = await send("POST", "/api/generate", { model: "nope", prompt: "x" });
      assert.equal(response.status, status);
      assert.deepEqual(await response.json(), { error: error.message });
    }
  });
}

Deno.test("Retry-After says in whole seconds when to come back", async () => {
  const busy = new UnavailableError("queue_full", "server busy", { retryAfterMs: 1200 });
  const { send } = appUnderTest({ script: { generate: () => Promise.reject(busy) } });
  const response = await send("POST", "/api/generate", { model: "M", prompt: "x" });
  assert.equal(response.headers.get("retry-after"), "2");
});

Deno.test("an error after the first chunk is the last line, without done=true (#63)", async () => {
  async function* failing(): AsyncGenerator<AnswerChunk> {
    yield* textChunks(["a"]);
    throw new UnavailableError("runner_lost", "model runner has unexpectedly stopped");
  }
  const { send } = appUnderTest({
    script: { generate: async () => ({ kind: "stream", chunks: failing() }) },
  });
  const response = await send("POST", "/api/generate", { model: "M", prompt: "x" });
  assert.equal(response.status, 200);
  const lines = parseLines(await response.text());
  assert.deepEqual(lines.at(-1), { error: "model runner has unexpectedly stopped" });
  assert.ok(lines.every((line) => line["done"] !== true));
});

Deno.test("an unforeseen error is a 500 that says nothing, and is logged with its id", async () => {
  const { send, telemetry } = appUnderTest({
    script: { generate: () => Promise.reject(new TypeError("secret detail")) },
  });
  const response = await send("POST", "/api/generate", { model: "M", prompt: "x" });
  assert.equal(response.status, 500);
  assert.deepEqual(await response.json(), { error: "internal error" });
  const line = telemetry.lines.find((entry) => entry.level === "error");
  assert.equal(line?.values["requestId"], response.headers.get("x-request-id"));
});

Deno.test("a client that goes away before the answer aborts the work and gets 499", async () => {
  const gone = new AbortController();
  const { app, client } = appUnderTest({
    script: {
      generate: (_request, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason));
          gone.abort();
        }),
    },
  });
  const request = new Request(httpRequest("POST", "/api/generate", { model: "M", prompt: "x" }), {
    signal: gone.signal,
  });
  const response = await app.fetch(request);
  assert.equal(response.status, 499);
  assert.deepEqual(await response.json(), { error: "request canceled" });
  assert.equal(client.calls[0]?.signal?.aborted, true);
});

Deno.test("a client that goes away mid-stream aborts the work and ends the iteration (#62)", async () => {
  const ended = Promise.withResolvers<void>();
  const { send, client } = appUnderTest({
    script: {
      generate: async (_request, signal) => {
        async function* endless(): AsyncGenerator<AnswerChunk> {
          try {
            for (;;) {
              signal.throwIfAborted();
              yield { kind: "text", content: "x".repeat(100_000) };
            }
          } finally {
            ended.resolve();
          }
        }
        return { kind: "stream", chunks: endless() };
      },
    },
  });
  const response = await send("POST", "/api/generate", { model: "M", prompt: "x" });
  const reader = response.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  await ended.promise;
  assert.equal(client.calls[0]?.signal?.aborted, true);
});

Deno.test("POST /api/embed answers vectors in order, and loads only without input (#78 to #80)", async () => {
  const { send, client } = appUnderTest();
  const body = { model: "E", input: ["a", "b"], dimensions: 2, truncate: false };
  const answer = await (await send("POST", "/api/embed", body)).json();
  assert.deepEqual(answer, {
    model: "E",
    embeddings: [[0.6, 0.8], [0.6, 0.8]].map((vector) =>
      vector.map((value) => Number(Math.fround(value).toPrecision(9)))
    ),
    total_duration: 10,
    load_duration: 1,
    prompt_eval_count: 2,
  });
  const request = client.lastRequest as EmbedRequest;
  assert.equal(request.dimensions, 2);
  assert.equal(request.truncate, false);
  for (const input of [undefined, null, "", []]) {
    const empty = await (await send("POST", "/api/embed", { model: "E", input })).json();
    // No more: there is nothing that figures would be of.
    assert.deepEqual(empty, { model: "E", embeddings: [] });
  }
});

for (
  const [path, message] of [["/api/embed", "error"], ["/v1/embeddings", "error.message"]] as const
) {
  Deno.test(`POST ${path} takes 8192 texts and not one more`, async () => {
    const { send, client } = appUnderTest();
    const body = { model: "E", input: Array(8_192).fill("") };
    const taken = await send("POST", path, body);
    assert.equal(taken.status, 200);
    await taken.body?.cancel();
    assert.equal((client.lastRequest as EmbedRequest).inputs.length, 8_192);
    const refused = await send("POST", path, { ...body, input: Array(8_193).fill("") });
    assert.equal(refused.status, 400);
    const { error } = await refused.json();
    const said = message === "error" ? error : error.message;
    assert.match(said, /at most 8192 are accepted, got 8193/);
  });
}

Deno.test("POST /api/embed refuses vectors that JSON can't carry", async () => {
  const { send } = appUnderTest({
    script: {
      embed: async () => ({
        vectors: [new Float32Array([NaN])],
        promptEvalCount: 1,
        totalNs: 1,
        loadNs: 0,
      }),
    },
  });
  const response = await send("POST", "/api/embed", { model: "E", input: "a" });
  assert.equal(response.status, 400);
  assert.deepEqual(await response.json(), { error: "embedding contains NaN or Inf values" });
});

Deno.test("POST /api/embeddings answers one vector, none for an empty prompt (#85)", async () => {
  const { send } = appUnderTest();
  const answer = await (await send("POST", "/api/embeddings", { model: "E", prompt: "a" })).json();
  assert.equal(answer.embedding.length, 2);
  const empty = await (await send("POST", "/api/embeddings", { model: "E" })).json();
  assert.deepEqual(empty, { embedding: [] });
});

Deno.test("stopAdmitting() refuses inference and turns /ready, but keeps answering the rest", async () => {
  const { app, send } = appUnderTest();
  assert.equal((await send("GET", "/ready")).status, 200);
  app.stopAdmitting();
  const ready = await send("GET", "/ready");
  assert.equal(ready.status, 503);
  assert.deepEqual(await ready.json(), { ready: false, reasons: ["stopping"] });
  for (const path of ["/api/generate", "/api/chat", "/api/embed", "/v1/chat/completions"]) {
    const refused = await send("POST", path, { model: "M", messages: [{ role: "user" }] });
    assert.equal(refused.status, 503, path);
    await refused.text();
  }
  assert.equal((await send("GET", "/api/tags")).status, 200);
  assert.equal((await send("GET", "/health")).status, 200);
});

Deno.test("every request is counted under its route, and answers are measured", async () => {
  const { send, telemetry } = appUnderTest();
  const response = await send("POST", "/api/generate", { model: "M", prompt: "x" });
  await response.text();
  const sampled = (name: string) => telemetry.samples.find((sample) => sample.name === name);
  const counted = sampled("odist_http_requests_total");
  assert.deepEqual(counted?.labels, { family: "ollama", route: "/api/generate", status: "200" });
  assert.equal(sampled("odist_generated_tokens_total")?.value, SCRIPTED_METRICS.evalCount);
  assert.equal(sampled("odist_prompt_tokens_total")?.value, SCRIPTED_METRICS.promptEvalCount);
  assert.ok(sampled("odist_time_to_first_token_seconds"));
  assert.equal(await (await send("GET", "/metrics")).text(), "# recorded\n");
});

Deno.test("requests that no route takes are counted under one label", async () => {
  const { send, telemetry } = appUnderTest();
  await send("GET", "/nope");
  await send("GET", "/api/chat");
  assert.deepEqual(telemetry.samples.map(({ labels }) => labels), [
    { family: "none", route: "unmatched", status: "404" },
    { family: "none", route: "unmatched", status: "405" },
  ]);
});

Deno.test("a long list of vectors is encoded while it is sent, and reads as one object", async () => {
  const vectors = Array.from({ length: 300 }, (_, row) => new Float32Array(100).fill(row / 7));
  const { send } = appUnderTest({
    script: { embed: async () => ({ vectors, promptEvalCount: 5, totalNs: 1, loadNs: 0 }) },
  });
  const response = await send("POST", "/api/embed", { model: "E", input: "a" });
  assert.equal(response.headers.get("content-type"), "application/json; charset=utf-8");
  const answer = await response.json();
  assert.equal(answer.model, "E");
  assert.equal(answer.prompt_eval_count, 5);
  assert.deepEqual(answer.embeddings.map((row: number[]) => new Float32Array(row)), vectors);
});

Deno.test("an error text that quotes a long request is cut", async () => {
  const long = new RequestError("invalid_request", "x".repeat(100_000));
  const { send } = appUnderTest({ script: { generate: () => Promise.reject(long) } });
  const { error } = await (await send("POST", "/api/generate", { model: "M" })).json();
  assert.ok(error.length < 3000);
});

Deno.test("/metrics is absent when it is switched off", async () => {
  const { send } = appUnderTest({ config: { metrics: false } });
  assert.equal((await send("GET", "/metrics")).status, 404);
});

Deno.test("every answer carries a request id, the caller's own when it is harmless", async () => {
  const { app, send } = appUnderTest();
  for (const path of ["/", "/nope", "/api/generate"]) {
    assert.match((await send("GET", path)).headers.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/);
  }
  const ask = (id: string) =>
    app.fetch(new Request("http://localhost/", { headers: { "x-request-id": id } }));
  assert.equal((await ask("mine-1")).headers.get("x-request-id"), "mine-1");
  assert.notEqual((await ask("a b")).headers.get("x-request-id"), "a b");
});

Deno.test("a body over the limit is refused with 413, declared or not", async () => {
  const { app, send } = appUnderTest({ config: { bodyBytesMax: 100, mediaBytesMax: 0 } });
  const body = JSON.stringify({ model: "M", prompt: "x".repeat(200) });
  const counted = await send("POST", "/api/generate", body);
  assert.equal(counted.status, 413);
  assert.match((await counted.json()).error, /at most 100 bytes/);
  const declared = await app.fetch(
    new Request("http://localhost/api/generate", {
      method: "POST",
      headers: { "content-length": "200000" },
      body: "{}",
    }),
  );
  assert.equal(declared.status, 413);
});

Deno.test("Every answer names the node that computed it, and else the one that was asked", async () => {
  let server: string | undefined;
  const stream = (): Answer => {
    const answer = streamOf(textChunks(["a"]));
    assert.ok(answer.kind === "stream");
    async function* chunks() {
      // Only the first token tells: the node that was meant first may die before it.
      server = "bert\n";
      yield* answer.kind === "stream" ? answer.chunks : [];
    }
    return { ...answer, chunks: chunks(), servedBy: () => server };
  };
  const { send } = appUnderTest({
    script: {
      generate: async () => stream(),
      chat: async () => ({ kind: "load", servedBy: "cleo" }),
      embed: async () => ({
        vectors: [],
        promptEvalCount: 0,
        totalNs: 0,
        loadNs: 0,
        servedBy: "dora",
      }),
    },
  });
  const nodeOf = async (method: string, path: string, body?: unknown) => {
    const response = await send(method, path, body);
    await response.text();
    return response.headers.get("x-odist-node");
  };
  for (const path of ["/api/generate", "/v1/completions"]) {
    for (const wanted of [true, false]) {
      server = "anna";
      assert.equal(
        await nodeOf("POST", path, { model: "m", prompt: "p", stream: wanted }),
        "bert?",
      );
    }
  }
  assert.equal(await nodeOf("POST", "/api/chat", { model: "m", messages: [] }), "cleo");
  assert.equal(await nodeOf("POST", "/api/embed", { model: "m", input: "a" }), "dora");
  assert.equal(await nodeOf("GET", "/api/tags"), "ada");
  assert.equal(await nodeOf("POST", "/api/show", { model: "nope" }), "ada");
});

Deno.test("answers tell what of a request they do not follow", async () => {
  const warnings = ["format #/pattern: \u00fc", "format #/not: can't be followed by a grammar"];
  const { send } = appUnderTest({
    script: { chat: async () => ({ ...streamOf(textChunks(["a"])), warnings }) as Answer },
  });
  for (const stream of [true, false]) {
    for (const path of ["/api/chat", "/v1/chat/completions"]) {
      const messages = [{ role: "user", content: "x" }];
      const response = await send("POST", path, { model: "m", messages, stream });
      await response.text();
      assert.equal(
        response.headers.get("x-odist-warning"),
        "format #/pattern: ?; format #/not: can't be followed by a grammar",
      );
    }
  }
});
