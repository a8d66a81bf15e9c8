import assert from "node:assert/strict";
import { RequestError, UnavailableError } from "../../base/mod.ts";
import type { AnswerChunk, ChatRequest, GenerateRequest } from "../../ports/mod.ts";
import { appUnderTest, httpRequest } from "../../../tests/harness/http_app.ts";
import { SCRIPTED_METRICS, streamOf, textChunks } from "../../../tests/harness/scripted_client.ts";

const CHAT = { model: "M", messages: [{ role: "user", content: "hi" }] };
const CREATED = Date.UTC(2026, 0, 2, 3, 4, 5) / 1000;
const USAGE = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };

/** The events of a stream; the closing `[DONE]` as it is. */
function parseEvents(text: string) {
  return text.split("\n\n").filter((event) => event !== "").map((event) => {
    assert.ok(event.startsWith("data: "), event);
    const rest = event.slice("data: ".length);
    return rest === "[DONE]" ? rest : JSON.parse(rest);
  });
}

function chatScript(chunks: readonly AnswerChunk[], doneReason?: "length") {
  return { script: { chat: async () => streamOf(chunks, doneReason) } };
}

Deno.test("POST /v1/chat/completions answers one object whose usage sums up (#119)", async () => {
  const response = await appUnderTest().send("POST", "/v1/chat/completions", CHAT);
  const { id, ...answer } = await response.json();
  assert.match(id, /^chatcmpl-[a-z0-9]{24}$/);
  assert.deepEqual(answer, {
    object: "chat.completion",
    created: CREATED,
    model: "M",
    system_fingerprint: "fp_ollama",
    choices: [{
      index: 0,
      message: { role: "assistant", content: "Hello" },
      finish_reason: "stop",
    }],
    usage: USAGE,
  });
});

Deno.test("usage tells how many prompt tokens were computed before, and the native answer from where, and why no more", async () => {
  const prefix = { matchedTokens: 6, source: "memory", end: "uncuttable" } as const;
  const metrics = { ...SCRIPTED_METRICS, promptCachedCount: 5, prefix };
  async function* all(): AsyncGenerator<AnswerChunk> {
    yield { kind: "done", doneReason: "stop", metrics, context: [] };
  }
  const answered = () => Promise.resolve({ kind: "stream" as const, chunks: all() });
  const { send, telemetry } = appUnderTest({ script: { chat: answered } });
  const { usage } = await (await send("POST", "/v1/chat/completions", CHAT)).json();
  assert.deepEqual(usage, { ...USAGE, prompt_tokens_details: { cached_tokens: 5 } });
  const native = await (await send("POST", "/api/chat", { ...CHAT, stream: false })).json();
  assert.deepEqual(native.prompt_cache, {
    matched: 6,
    reused: 5,
    recomputed: 2,
    source: "memory",
    end: "uncuttable",
  });
  assert.equal(telemetry.total("odist_prompt_tokens_cached_total", { source: "memory" }), 10);
  const labels = (name: string) => telemetry.samples.find((row) => row.name === name)?.labels;
  assert.deepEqual(labels("odist_prompt_tokens_cached_total"), {
    family: "openai",
    source: "memory",
  });
  assert.deepEqual(labels("odist_prompt_prefixes_total"), { end: "uncuttable" });
});

Deno.test("X-Odist-Volatile-Lines wishes for lines where a body has no options, and tells what became of them", async () => {
  const volatileLines = { dropped: 1, moved: 2 };
  const promptUsage = () => ({ promptEvalCount: 7, volatileLines });
  const { app, client } = appUnderTest({
    script: { chat: () => Promise.resolve({ ...streamOf([]), promptUsage }) },
  });
  const asks = async (path: string, body: object, header: string) => {
    const request = httpRequest("POST", path, body);
    request.headers.set("x-odist-volatile-lines", header);
    return await app.fetch(request);
  };
  const wished = () => (client.lastRequest as ChatRequest).options.volatileLines;
  const answer = await asks("/v1/chat/completions", CHAT, '["drop:x-request-id:"]');
  assert.equal(answer.headers.get("x-odist-volatile-lines"), "dropped=1; moved=2");
  assert.deepEqual(wished(), ["drop:x-request-id:"]);
  const options = { volatile_lines: ["end:Time:"] };
  await asks("/api/chat", { ...CHAT, options, stream: false }, '["drop:x-request-id:"]');
  assert.deepEqual(wished(), ["end:Time:"]);
  for (const bad of ["drop:x-request-id:", '{"drop":1}', "[1]"]) {
    const refused = await asks("/v1/chat/completions", CHAT, bad);
    assert.equal(refused.status, 400);
    assert.match((await refused.json()).error.message, /must be a JSON list of texts.*value is/);
  }
});

Deno.test("POST /v1/chat/completions streams role first, a finish chunk and [DONE] (#120)", async () => {
  const response = await appUnderTest().send("POST", "/v1/chat/completions", {
    ...CHAT,
    stream: true,
  });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const events = parseEvents(await response.text());
  assert.deepEqual(events.map((event) => event.choices?.[0] ?? event), [
    { index: 0, delta: { role: "assistant", content: "Hel" }, finish_reason: null },
    { index: 0, delta: { content: "lo" }, finish_reason: null },
    { index: 0, delta: {}, finish_reason: "stop" },
    "[DONE]",
  ]);
  const heads = new Set(
    events.slice(0, -1).map((event) => `${event.id} ${event.created} ${event.object}`),
  );
  assert.equal(heads.size, 1);
  assert.match([...heads][0] ?? "", /chat\.completion\.chunk$/);
});

Deno.test("POST /v1/chat/completions with include_usage ends with one usage chunk (#121)", async () => {
  const response = await appUnderTest().send("POST", "/v1/chat/completions", {
    ...CHAT,
    stream: true,
    stream_options: { include_usage: true },
  });
  const events = parseEvents(await response.text());
  assert.deepEqual(events.at(-2).choices, []);
  assert.deepEqual(events.at(-2).usage, USAGE);
  assert.equal(events.filter((event) => event.usage).length, 1);
});

Deno.test("a chat stream says its role even when nothing was generated", async () => {
  const { send } = appUnderTest(chatScript([]));
  const response = await send("POST", "/v1/chat/completions", { ...CHAT, stream: true });
  const [first] = parseEvents(await response.text());
  assert.deepEqual(first.choices[0].delta, { role: "assistant", content: "" });
});

Deno.test("a chunk of thinking and text is split into two events", async () => {
  const { send } = appUnderTest(chatScript([
    { kind: "text", content: "", thinking: "a" },
    { kind: "text", content: "c", thinking: "b" },
  ]));
  const response = await send("POST", "/v1/chat/completions", { ...CHAT, stream: true });
  const events = parseEvents(await response.text());
  assert.deepEqual(events.slice(0, 3).map((event) => event.choices[0].delta), [
    { role: "assistant", content: "", reasoning: "a" },
    { reasoning: "b" },
    { content: "c" },
  ]);
});

Deno.test("tool calls carry their arguments as text and finish with tool_calls (#124)", async () => {
  const calls = [{ name: "f", arguments: { b: 1, a: "x" } }, {
    id: "call_9",
    name: "g",
    arguments: {},
  }];
  const { send } = appUnderTest(chatScript([
    { kind: "text", content: "", toolCalls: calls.slice(0, 1) },
    { kind: "text", content: "", toolCalls: calls.slice(1) },
  ]));
  const whole = await (await send("POST", "/v1/chat/completions", CHAT)).json();
  const [choice] = whole.choices;
  assert.equal(choice.finish_reason, "tool_calls");
  assert.match(choice.message.tool_calls[0].id, /^call_[a-z0-9]{8}$/);
  assert.deepEqual(choice.message.tool_calls[0].function, {
    name: "f",
    arguments: '{"b":1,"a":"x"}',
  });
  assert.deepEqual(choice.message.tool_calls[1], {
    id: "call_9",
    index: 1,
    type: "function",
    function: { name: "g", arguments: "{}" },
  });
  const response = await send("POST", "/v1/chat/completions", { ...CHAT, stream: true });
  const events = parseEvents(await response.text());
  assert.equal(events[1].choices[0].delta.tool_calls[0].index, 1);
  assert.equal(events.at(-2).choices[0].finish_reason, "tool_calls");
});

Deno.test("an answer that was cut finishes with length, whatever it called before", async () => {
  const toolCalls = [{ name: "f", arguments: {} }];
  const { send } = appUnderTest(chatScript([{ kind: "text", content: "", toolCalls }], "length"));
  const whole = await (await send("POST", "/v1/chat/completions", CHAT)).json();
  assert.equal(whole.choices[0].finish_reason, "length");
  const events = await (await send("POST", "/v1/chat/completions", { ...CHAT, stream: true }))
    .text();
  assert.match(events, /"finish_reason":"length"/);
  assert.doesNotMatch(events, /"finish_reason":"tool_calls"/);
});

Deno.test("no two answers have the same id", async () => {
  const { send } = appUnderTest();
  const ids = new Set<string>();
  for (let count = 0; count < 200; count++) {
    ids.add((await (await send("POST", "/v1/chat/completions", CHAT)).json()).id);
  }
  assert.equal(ids.size, 200);
});

Deno.test("log probabilities ride in the choice", async () => {
  const bytes = new Uint8Array([104]);
  const { send, client } = appUnderTest(chatScript([
    { kind: "text", content: "h", logprobs: [{ token: "h", bytes, logprob: -1 }] },
  ]));
  const body = { ...CHAT, logprobs: true, top_logprobs: 0 };
  const answer = await (await send("POST", "/v1/chat/completions", body)).json();
  assert.deepEqual(answer.choices[0].logprobs, {
    content: [{ token: "h", logprob: -1, bytes: [104] }],
  });
  assert.equal((client.lastRequest as ChatRequest).topLogprobs, 0);
});

Deno.test("POST /v1/chat/completions maps its fields to the port's", async () => {
  const { send, client } = appUnderTest();
  const response = await send("POST", "/v1/chat/completions", {
    ...CHAT,
    max_tokens: 5,
    seed: 3,
    stop: "x",
    frequency_penalty: 0.5,
    response_format: { type: "json_schema", json_schema: { schema: { type: "object" } } },
    reasoning_effort: "minimal",
    tool_choice: "auto",
    options: { num_ctx: 1 },
    keep_alive: "never parsed",
  });
  assert.deepEqual(client.lastRequest, {
    label: response.headers.get("x-request-id"),
    account: { tenant: "at 127.0.0.1", priority: "normal", deadlineAtMs: Infinity },
    model: "M",
    messages: [{ role: "user", content: "hi" }],
    tools: [],
    options: {
      numPredict: 5,
      seed: 3,
      stop: ["x"],
      temperature: 1,
      topP: 1,
      frequencyPenalty: 0.5,
    },
    format: { type: "object" },
    think: "low",
    relaxedThinking: true,
    topLogprobs: -1,
    truncate: true,
    shift: true,
    debugRenderOnly: false,
  });
});

for (
  const [effort, think] of [["none", false], ["low", "low"], ["xhigh", "max"], ["ultra", "max"]]
) {
  Deno.test(`reasoning effort ${effort} means think ${think} (#125)`, async () => {
    const { send, client } = appUnderTest();
    await send("POST", "/v1/chat/completions", { ...CHAT, reasoning: { effort } });
    assert.equal((client.lastRequest as ChatRequest).think, think);
  });
}

Deno.test("an image that is named by address is fetched where the node may", async () => {
  const asked: string[] = [];
  const { send, client } = appUnderTest({
    fetchImage: (address) => {
      asked.push(address);
      return Promise.resolve(new Uint8Array([104, 105]));
    },
  });
  const url = "https://example.com/a.png";
  await send("POST", "/v1/chat/completions", {
    model: "M",
    messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }],
  });
  assert.deepEqual(asked, [url]);
  assert.deepEqual((client.lastRequest as ChatRequest).messages, [
    { role: "user", content: "[img]", images: [new Uint8Array([104, 105])] },
  ]);
});

Deno.test("text parts become messages of their own, one with images one message, and calls ride on the last", async () => {
  const { send, client } = appUnderTest();
  await send("POST", "/v1/chat/completions", {
    model: "M",
    messages: [
      { role: "user", content: [{ type: "text", text: "a" }, { type: "text", text: "b" }] },
      {
        role: "user",
        content: [
          { type: "text", text: "see" },
          { type: "image_url", image_url: { url: "data:image/png;base64,aGk=" } },
          { type: "input_audio", input_audio: { data: "aGk=", format: "wav" } },
        ],
      },
      {
        role: "assistant",
        content: null,
        reasoning: "hm",
        tool_calls: [{ id: "c1", type: "function", function: { name: "f", arguments: '{"a":1}' } }],
      },
      { role: "tool", tool_call_id: "c1", content: "4" },
    ],
  });
  const image = new Uint8Array([104, 105]);
  assert.deepEqual((client.lastRequest as ChatRequest).messages, [
    { role: "user", content: "a" },
    { role: "user", content: "b" },
    { role: "user", content: "see\n\n[img]\n\n[img]", images: [image, image] },
    {
      role: "assistant",
      content: "",
      thinking: "hm",
      toolCalls: [{ id: "c1", name: "f", arguments: { a: 1 } }],
    },
    { role: "tool", content: "4", toolName: "f", toolCallId: "c1" },
  ]);
});

const REFUSALS: readonly (readonly [name: string, body: unknown, error: string])[] = [
  ["no messages (#122)", { model: "M", messages: [] }, "[] is too short - 'messages'"],
  ["no model", { ...CHAT, model: "" }, "model is required"],
  [
    "an effort nobody knows",
    { ...CHAT, reasoning_effort: "hard" },
    "invalid reasoning value: 'hard' …",
  ],
  [
    "null content",
    { model: "M", messages: [{ role: "user" }] },
    "invalid message content type: null",
  ],
  [
    "content that is a number",
    { model: "M", messages: [{ role: "user", content: 1 }] },
    "invalid message format",
  ],
  [
    "an image by URL (#123)",
    {
      model: "M",
      messages: [{
        role: "user",
        content: [{ type: "image_url", image_url: { url: "http://x/a.png" } }],
      }],
    },
    "image URLs are not currently supported, please use base64 encoded data instead",
  ],
  [
    "an image of another kind",
    {
      model: "M",
      messages: [{
        role: "user",
        content: [{ type: "image_url", image_url: "data:image/tiff;base64,aGk=" }],
      }],
    },
    "invalid image input",
  ],
  ["temperature as text", { ...CHAT, temperature: "hot" }, "cannot read temperature: …"],
  ["stop as a number", { ...CHAT, stop: 1 }, "invalid type for 'stop': …"],
];
for (const [name, body, error] of REFUSALS) {
  Deno.test(`POST /v1/chat/completions refuses ${name} in the OpenAI envelope`, async () => {
    const response = await appUnderTest().send("POST", "/v1/chat/completions", body);
    assert.equal(response.status, 400);
    const { message, ...rest } = (await response.json()).error;
    assert.deepEqual(rest, { type: "invalid_request_error", param: null, code: null });
    if (error.endsWith("…")) assert.ok(message.startsWith(error.slice(0, -1)), message);
    else assert.equal(message, error);
  });
}

Deno.test("an error mid-stream is an event clients raise, without [DONE]", async () => {
  async function* failing(): AsyncGenerator<AnswerChunk> {
    yield* textChunks(["a"]);
    throw new UnavailableError("runner_lost", "model runner has unexpectedly stopped");
  }
  const { send } = appUnderTest({
    script: { chat: async () => ({ kind: "stream", chunks: failing() }) },
  });
  const response = await send("POST", "/v1/chat/completions", { ...CHAT, stream: true });
  const events = parseEvents(await response.text());
  assert.deepEqual(events.at(-1), {
    error: {
      message: "model runner has unexpectedly stopped",
      type: "api_error",
      param: null,
      code: null,
    },
  });
});

Deno.test("POST /v1/completions answers text from the model's template", async () => {
  const { send, client } = appUnderTest();
  const body = { model: "M", prompt: "p", suffix: "s", logprobs: 2, max_tokens: 4, stop: ["a"] };
  const { id, ...answer } = await (await send("POST", "/v1/completions", body)).json();
  assert.match(id, /^cmpl-[a-z0-9]{24}$/);
  assert.deepEqual(answer, {
    object: "text_completion",
    created: CREATED,
    model: "M",
    system_fingerprint: "fp_ollama",
    choices: [{ text: "Hello", index: 0, finish_reason: "stop" }],
    usage: USAGE,
  });
  const request = client.lastRequest as GenerateRequest;
  assert.equal(request.raw, false);
  assert.equal(request.suffix, "s");
  assert.deepEqual(request.options, { numPredict: 4, stop: ["a"], temperature: 1, topP: 1 });
});

Deno.test("POST /v1/completions streams text chunks, usage in each when asked, and [DONE] (#127)", async () => {
  const response = await appUnderTest().send("POST", "/v1/completions", {
    model: "M",
    prompt: "p",
    stream: true,
    stream_options: { include_usage: true },
  });
  const events = parseEvents(await response.text());
  assert.deepEqual(events.slice(0, 3).map((event) => event.choices[0]), [
    { text: "Hel", index: 0, finish_reason: null },
    { text: "lo", index: 0, finish_reason: null },
    { text: "", index: 0, finish_reason: "stop" },
  ]);
  assert.equal(events[0].usage.total_tokens, 0);
  assert.deepEqual(events[3].choices, []);
  assert.deepEqual(events[3].usage, USAGE);
  assert.equal(events[4], "[DONE]");
});

for (
  const [name, body, error] of [
    ["a prompt of neither texts nor tokens", { prompt: ["a", 1] }, /^prompt: wants a text/],
    ["no prompts", { prompt: [] }, /^prompt: wants 1 to 128 prompts, got 0/],
    ["no choices", { n: 0 }, /^n: wants 1 to 128 for each of 1 prompts, got 0/],
    ["too many choices", { prompt: ["a", "b"], n: 65 }, /^n: wants 1 to 64 for each of 2/],
  ] as const
) {
  Deno.test(`POST /v1/completions refuses ${name}`, async () => {
    const response = await appUnderTest().send("POST", "/v1/completions", { model: "M", ...body });
    assert.equal(response.status, 400);
    assert.match((await response.json()).error.message, error);
  });
}

/** Answers each prompt with itself, so that choices can be told apart. */
function echoing(asked: GenerateRequest[] = []) {
  const generate = async (request: GenerateRequest) => {
    asked.push(request);
    const text = request.promptTokens?.join() ?? request.prompt;
    return streamOf(textChunks([text, `:${request.options.seed}`]));
  };
  return appUnderTest({ script: { generate } });
}

Deno.test("POST /v1/completions answers every prompt n times, each with a seed of its own", async () => {
  const body = { model: "M", prompt: ["a", "b"], n: 2, seed: 5 };
  const answer = await (await echoing().send("POST", "/v1/completions", body)).json();
  assert.deepEqual(
    answer.choices.map(({ index, text }: { index: number; text: string }) => [index, text]),
    [[0, "a:5"], [1, "a:6"], [2, "b:5"], [3, "b:6"]],
  );
  // Two prompts of 7 tokens, four answers of 3.
  assert.deepEqual(answer.usage, { prompt_tokens: 14, completion_tokens: 12, total_tokens: 26 });
});

Deno.test("POST /v1/completions takes tokens, alone and in lists", async () => {
  const asked: GenerateRequest[] = [];
  const { send } = echoing(asked);
  await send("POST", "/v1/completions", { model: "M", prompt: [1, 2] });
  await send("POST", "/v1/completions", { model: "M", prompt: [[3], [4, 5]] });
  assert.deepEqual(asked.map(({ promptTokens }) => promptTokens), [[1, 2], [3], [4, 5]]);
});

Deno.test("POST /v1/chat/completions streams n choices with one usage and one end", async () => {
  const { send } = appUnderTest();
  const response = await send("POST", "/v1/chat/completions", {
    ...CHAT,
    n: 3,
    stream: true,
    stream_options: { include_usage: true },
  });
  const events = parseEvents(await response.text());
  const texts = ["", "", ""];
  const finished: number[] = [];
  for (const event of events.slice(0, -2)) {
    const [choice] = event.choices;
    texts[choice.index] += choice.delta.content ?? "";
    if (choice.finish_reason !== null) finished.push(choice.index);
  }
  assert.deepEqual(texts, ["Hello", "Hello", "Hello"]);
  assert.deepEqual(finished.sort(), [0, 1, 2]);
  assert.deepEqual(events.at(-2).usage, {
    prompt_tokens: 7,
    completion_tokens: 9,
    total_tokens: 16,
  });
  assert.equal(events.at(-1), "[DONE]");
  assert.equal(events.filter((event) => event === "[DONE]").length, 1);
  assert.equal(new Set(events.slice(0, -1).map(({ id }) => id)).size, 1);
});

Deno.test("a choice that fails ends the others and the answer", async () => {
  const signals: AbortSignal[] = [];
  const chat = async (_request: ChatRequest, signal: AbortSignal) => {
    signals.push(signal);
    if (signals.length === 2) throw new UnavailableError("queue_full", "full");
    return streamOf(textChunks(["a"]));
  };
  const { send } = appUnderTest({ script: { chat } });
  const response = await send("POST", "/v1/chat/completions", { ...CHAT, n: 3 });
  assert.equal(response.status, 503);
  assert.deepEqual(signals.map(({ aborted }) => aborted), [true, true, true]);
});

Deno.test("choices that wait for a slot do not stop those that have one", async () => {
  // One slot: who has it must be read to its end before the next is let in.
  let free = Promise.resolve();
  const chat = async () => {
    const before = free;
    const held = Promise.withResolvers<void>();
    free = held.promise;
    await before;
    async function* chunks(): AsyncGenerator<AnswerChunk> {
      const { chunks: all } = streamOf(textChunks(["a", "b"])) as {
        chunks: AsyncIterable<AnswerChunk>;
      };
      yield* all;
      held.resolve();
    }
    return { kind: "stream" as const, chunks: chunks() };
  };
  const { send } = appUnderTest({ script: { chat } });
  const answer = await (await send("POST", "/v1/chat/completions", { ...CHAT, n: 4 })).json();
  assert.equal(answer.choices.length, 4);
});

Deno.test("POST /v1/chat/completions hands on who must be called, how long and how hard to think", async () => {
  const tool = (name: string) => ({ type: "function", function: { name } });
  const ask = async (body: object) => {
    const { send, client } = appUnderTest();
    const response = await send("POST", "/v1/chat/completions", {
      ...CHAT,
      tools: [tool("f"), tool("g")],
      ...body,
    });
    assert.equal(response.status, 200, await response.clone().text());
    return client.lastRequest as ChatRequest;
  };
  assert.equal((await ask({})).toolChoice, undefined);
  for (const word of ["none", "required"]) {
    assert.equal((await ask({ tool_choice: word })).toolChoice, word);
  }
  assert.deepEqual((await ask({ tool_choice: tool("g") })).toolChoice, { name: "g" });
  const allowed = await ask({
    tool_choice: {
      type: "allowed_tools",
      allowed_tools: { mode: "required", tools: [tool("g")] },
    },
  });
  assert.deepEqual([allowed.toolChoice, allowed.tools.length], ["required", 1]);
  assert.equal((await ask({ parallel_tool_calls: false })).toolCallsMax, 1);
  const long = await ask({ max_tokens: 1, max_completion_tokens: 9, reasoning_effort: "high" });
  assert.equal(long.options.numPredict, 9);
  assert.deepEqual([long.think, long.relaxedThinking], ["high", true]);
  const { send } = appUnderTest();
  const refused = await send("POST", "/v1/chat/completions", { ...CHAT, tool_choice: "x" });
  assert.equal(refused.status, 400);
});

Deno.test("POST /v1/embeddings reads tokens in the model's vocabulary, and says so", async () => {
  const detokenize = async ({ tokens }: { tokens: readonly number[] }) => ({
    text: `<${tokens.join()}>`,
    totalNs: 1,
    loadNs: 1,
  });
  const { send, client } = appUnderTest({ script: { detokenize } });
  const response = await send("POST", "/v1/embeddings", { model: "E", input: [[1, 2], "x", [3]] });
  assert.deepEqual((client.lastRequest as { inputs: unknown }).inputs, ["<1,2>", "x", "<3>"]);
  assert.match(response.headers.get("x-odist-warning") ?? "", /own vocabulary/);
  await send("POST", "/v1/embeddings", { model: "E", input: [7, 8] });
  assert.deepEqual((client.lastRequest as { inputs: unknown }).inputs, ["<7,8>"]);
});

Deno.test("POST /v1/completions with an empty prompt answers empty text", async () => {
  const { send } = appUnderTest({ script: { generate: async () => ({ kind: "load" }) } });
  const answer = await (await send("POST", "/v1/completions", { model: "M" })).json();
  assert.equal(answer.choices[0].text, "");
});

Deno.test("POST /v1/embeddings writes vectors as numbers or as base64 of float32 (#128)", async () => {
  const { send, client } = appUnderTest();
  const body = { model: "E", input: ["a", ""], dimensions: 2 };
  const floats = await (await send("POST", "/v1/embeddings", body)).json();
  assert.equal(floats.object, "list");
  assert.deepEqual(floats.data.map((row: { index: number }) => row.index), [0, 1]);
  assert.deepEqual(floats.usage, { prompt_tokens: 2, total_tokens: 2 });
  const response = await send("POST", "/v1/embeddings", { ...body, encoding_format: "base64" });
  const coded = await response.json();
  const bytes = Uint8Array.fromBase64(coded.data[0].embedding);
  assert.deepEqual(new Float32Array(bytes.buffer), new Float32Array([0.6, 0.8]));
  assert.deepEqual(client.lastRequest, {
    label: response.headers.get("x-request-id"),
    account: { tenant: "at 127.0.0.1", priority: "normal", deadlineAtMs: Infinity },
    model: "E",
    inputs: ["a", ""],
    truncate: true,
    dimensions: 2,
    options: {},
  });
});

for (
  const [name, body, error] of [
    [
      "an unknown encoding",
      { model: "E", input: "a", encoding_format: "hex" },
      /"float" or "base64"/,
    ],
    ["no input", { model: "E" }, /^invalid input$/],
    ["an empty list", { model: "E", input: [] }, /^invalid input$/],
    ["what is no token", { model: "E", input: [[1, "a"]] }, /^invalid input type$/],
  ] as const
) {
  Deno.test(`POST /v1/embeddings refuses ${name}`, async () => {
    const response = await appUnderTest().send("POST", "/v1/embeddings", body);
    assert.equal(response.status, 400);
    assert.match((await response.json()).error.message, error);
  });
}

Deno.test("GET /v1/models lists names, times and owners (#117)", async () => {
  const model = {
    name: "ns/m:latest",
    modifiedAtMs: 1_500,
    size: 1,
    digest: "",
    namespace: "ns",
    capabilities: [],
    details: {
      parentModel: "",
      format: "gguf",
      family: "",
      families: null,
      parameterSize: "",
      quantizationLevel: "",
    },
  };
  const { send } = appUnderTest({
    script: {
      listModels: async () => [model],
      showModel: async () => ({ ...model, modelInfo: {} }),
    },
  });
  const row = { id: "ns/m:latest", object: "model", created: 1, owned_by: "ns" };
  assert.deepEqual(await (await send("GET", "/v1/models")).json(), { object: "list", data: [row] });
  const one = await (await send("GET", "/v1/models/m")).json();
  assert.deepEqual(one, { id: "m", object: "model", created: 1, owned_by: "library" });
});

Deno.test("GET /v1/models/nope is 404 in the OpenAI envelope (#118)", async () => {
  const response = await appUnderTest().send("GET", "/v1/models/nope");
  assert.equal(response.status, 404);
  assert.equal((await response.json()).error.type, "not_found_error");
});

Deno.test("a status without a type of its own is an api_error", async () => {
  const failed = new RequestError("model_too_large", "too large");
  const { send } = appUnderTest({ script: { chat: () => Promise.reject(failed) } });
  const response = await send("POST", "/v1/chat/completions", CHAT);
  assert.equal(response.status, 500);
  assert.equal((await response.json()).error.type, "api_error");
});

Deno.test("a zstd body is inflated on /v1, and an oversized or broken one refused", async () => {
  const { zstdCompressSync } = await import("node:zlib");
  const { app, client } = appUnderTest();
  const post = (bytes: Uint8Array<ArrayBuffer>) =>
    app.fetch(
      new Request("http://localhost/v1/chat/completions", {
        method: "POST",
        headers: { "content-encoding": "zstd" },
        body: bytes,
      }),
    );
  const good = await post(new Uint8Array(zstdCompressSync(JSON.stringify(CHAT))));
  assert.equal(good.status, 200);
  assert.equal((client.lastRequest as ChatRequest).model, "M");
  const bomb = await post(new Uint8Array(zstdCompressSync(new Uint8Array(21 * 1024 * 1024))));
  assert.equal(bomb.status, 413);
  assert.equal((await post(new Uint8Array([1, 2, 3]))).status, 400);
});
