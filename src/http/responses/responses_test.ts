import assert from "node:assert/strict";
import { UnavailableError } from "../../base/mod.ts";
import type { Answer, AnswerChunk, ChatRequest } from "../../ports/mod.ts";
import { appUnderTest } from "../../../tests/harness/http_app.ts";
import { MemoryResponses } from "../../../tests/harness/kept_responses.ts";
import { streamOf, textChunks } from "../../../tests/harness/scripted_client.ts";

const HELLO = { model: "M", input: "hi" };
const CALL = { id: "call_1", name: "f", arguments: { b: 1, a: "x" } };
const TOOL = {
  type: "function",
  name: "f",
  description: "d",
  parameters: { type: "object", properties: { Key: { type: "string" } } },
};
const THOUGHT_AND_CALL: readonly AnswerChunk[] = [
  { kind: "text", content: "", thinking: "hm" },
  { kind: "text", content: "ok", toolCalls: [CALL] },
];

function parseEvents(text: string) {
  return text.split("\n\n").filter((event) => event !== "").map((event, index) => {
    const [, name, data] = /^event: (.+)\ndata: (.+)$/.exec(event) ?? [];
    const value = JSON.parse(data ?? "null");
    assert.equal(value?.type, name);
    assert.equal(value.sequence_number, index);
    return value;
  });
}

async function requestOf(body: object): Promise<{ asked: ChatRequest; response: Response }> {
  const { send, client } = appUnderTest();
  const response = await send("POST", "/v1/responses", { ...HELLO, ...body });
  assert.equal(response.status, 200, await response.clone().text());
  return { asked: client.lastRequest as ChatRequest, response };
}

/** Whatever drawn ids there are, as their prefixes. */
function withoutIds(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value),
    (key, item) =>
      /(^|_)id$/.test(key) && typeof item === "string"
        ? item.replace(/_[a-z0-9]{20,}$/, "_")
        : item,
  );
}

Deno.test("POST /v1/responses answers one response with what was asked for", async () => {
  const { send } = appUnderTest();
  const body = { ...HELLO, instructions: "be kind", metadata: { a: "b" }, temperature: 0.5 };
  const response = await (await send("POST", "/v1/responses", body)).json();
  assert.deepEqual(withoutIds(response), {
    id: "resp_",
    object: "response",
    created_at: Date.UTC(2026, 0, 2, 3, 4, 5) / 1000,
    model: "M",
    background: false,
    store: true,
    instructions: "be kind",
    max_output_tokens: null,
    metadata: { a: "b" },
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    temperature: 0.5,
    text: { format: { type: "text" } },
    tool_choice: "auto",
    tools: [],
    top_logprobs: 0,
    top_p: 1,
    truncation: "auto",
    status: "completed",
    error: null,
    incomplete_details: null,
    output: [{
      type: "message",
      id: "msg_",
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text: "Hello", annotations: [], logprobs: [] }],
    }],
    usage: {
      input_tokens: 7,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 3,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 10,
    },
  });
});

Deno.test("a stream of thinking, text and a call opens and closes every item and part", async () => {
  const { send } = appUnderTest({ script: { chat: async () => streamOf(THOUGHT_AND_CALL) } });
  const response = await send("POST", "/v1/responses", { ...HELLO, stream: true });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const events = parseEvents(await response.text());
  assert.deepEqual(events.map((event) => [event.type, event.output_index ?? null]), [
    ["response.created", null],
    ["response.in_progress", null],
    ["response.output_item.added", 0],
    ["response.content_part.added", 0],
    ["response.reasoning_text.delta", 0],
    ["response.reasoning_text.done", 0],
    ["response.content_part.done", 0],
    ["response.output_item.done", 0],
    ["response.output_item.added", 1],
    ["response.content_part.added", 1],
    ["response.output_text.delta", 1],
    ["response.output_text.done", 1],
    ["response.content_part.done", 1],
    ["response.output_item.done", 1],
    ["response.output_item.added", 2],
    ["response.function_call_arguments.delta", 2],
    ["response.function_call_arguments.done", 2],
    ["response.output_item.done", 2],
    ["response.completed", null],
  ]);
  const finished = events.filter(({ type }) => type === "response.output_item.done")
    .map(({ item }) => item);
  assert.deepEqual(events.at(-1).response.output, finished);
  assert.deepEqual(withoutIds(finished), [
    {
      type: "reasoning",
      id: "rs_",
      status: "completed",
      summary: [],
      content: [{ type: "reasoning_text", text: "hm" }],
    },
    {
      type: "message",
      id: "msg_",
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text: "ok", annotations: [], logprobs: [] }],
    },
    {
      type: "function_call",
      id: "fc_",
      call_id: "call_1",
      name: "f",
      arguments: '{"b":1,"a":"x"}',
      status: "completed",
    },
  ]);
});

Deno.test("thinking is a summary where one is asked for", async () => {
  const { send } = appUnderTest({ script: { chat: async () => streamOf(THOUGHT_AND_CALL) } });
  const body = { ...HELLO, stream: true, reasoning: { summary: "auto" } };
  const events = parseEvents(await (await send("POST", "/v1/responses", body)).text());
  assert.deepEqual(events.slice(3, 8).map(({ type, summary_index }) => [type, summary_index]), [
    ["response.reasoning_summary_part.added", 0],
    ["response.reasoning_summary_text.delta", 0],
    ["response.reasoning_summary_text.done", 0],
    ["response.reasoning_summary_part.done", 0],
    ["response.output_item.done", undefined],
  ]);
  assert.deepEqual(events[7].item.summary, [{ type: "summary_text", text: "hm" }]);
});

Deno.test("a cut answer is incomplete, and one that breaks off ends with response.failed", async () => {
  const cut = appUnderTest({
    script: { chat: async () => streamOf(textChunks(["a"]), "length") },
  });
  const response = await (await cut.send("POST", "/v1/responses", HELLO)).json();
  assert.equal(response.status, "incomplete");
  assert.deepEqual(response.incomplete_details, { reason: "max_output_tokens" });
  assert.equal(response.output[0].status, "incomplete");
  async function* broken(): AsyncGenerator<AnswerChunk> {
    yield { kind: "text", content: "a" };
    throw new UnavailableError("runner_lost", "gone");
  }
  const lost = appUnderTest({
    script: { chat: async () => ({ kind: "stream", chunks: broken() }) },
  });
  const streamed = await lost.send("POST", "/v1/responses", { ...HELLO, stream: true });
  const last = parseEvents(await streamed.text()).at(-1);
  assert.equal(last.type, "response.failed");
  assert.deepEqual(last.response.error, { code: "server_error", message: "gone" });
});

Deno.test("items become a conversation, what one assistant said one message", async () => {
  const { asked } = await requestOf({
    instructions: "be kind",
    input: [
      { role: "developer", content: "short" },
      {
        type: "message",
        role: "user",
        content: [{ type: "input_text", text: "a" }, { type: "input_text", text: "b" }],
      },
      { type: "reasoning", summary: [{ type: "summary_text", text: "hm" }] },
      { type: "message", role: "assistant", content: [{ type: "output_text", text: "c" }] },
      { type: "function_call", call_id: "c1", name: "f", arguments: '{"Key":1}' },
      { type: "function_call", call_id: "c2", name: "g", arguments: "" },
      { type: "function_call_output", call_id: "c1", output: "one" },
      { type: "function_call_output", call_id: "c2", output: [{ type: "input_text", text: "2" }] },
      { type: "function_call", call_id: "c3", name: "h", arguments: "{}" },
      { role: "assistant", content: "d" },
    ],
  });
  assert.deepEqual(asked.messages, [
    { role: "system", content: "be kind" },
    { role: "system", content: "short" },
    { role: "user", content: "a\n\nb" },
    {
      role: "assistant",
      content: "c",
      thinking: "hm",
      toolCalls: [
        { id: "c1", name: "f", arguments: { Key: 1 } },
        { id: "c2", name: "g", arguments: {} },
      ],
    },
    { role: "tool", content: "one", toolName: "f", toolCallId: "c1" },
    { role: "tool", content: "2", toolName: "g", toolCallId: "c2" },
    { role: "assistant", content: "", toolCalls: [{ id: "c3", name: "h", arguments: {} }] },
    { role: "assistant", content: "d" },
  ]);
});

Deno.test("options, tools, choice, format and effort are handed on; tools of the service are left out, aloud", async () => {
  const schema = { type: "object", properties: { Age: { type: "integer" } } };
  const { asked, response } = await requestOf({
    max_output_tokens: 9,
    top_p: 0.9,
    tools: [{ type: "web_search" }, TOOL],
    tool_choice: { type: "function", name: "f" },
    parallel_tool_calls: false,
    text: { format: { type: "json_schema", name: "n", schema } },
    reasoning: { effort: "high" },
    top_logprobs: 2,
    truncation: "disabled",
  });
  const { name, description, parameters } = TOOL;
  assert.deepEqual(asked.tools, [
    { type: "function", function: { name, description, parameters } },
  ]);
  assert.deepEqual(asked.options, { numPredict: 9, temperature: 1, topP: 0.9 });
  assert.deepEqual(asked.toolChoice, { name: "f" });
  assert.equal(asked.toolCallsMax, 1);
  assert.deepEqual(asked.format, schema);
  assert.equal(asked.think, "high");
  assert.equal(asked.topLogprobs, 2);
  assert.deepEqual([asked.truncate, asked.shift], [false, false]);
  assert.match(response.headers.get("x-odist-warning") ?? "", /"web_search" is not there/);
});

Deno.test("allowed_tools offers these only", async () => {
  const tools = ["f", "g"].map((name) => ({ ...TOOL, name }));
  const { asked } = await requestOf({
    tools,
    tool_choice: {
      type: "allowed_tools",
      mode: "required",
      tools: [{ type: "function", name: "g" }],
    },
  });
  assert.deepEqual(asked.tools.map((tool) => tool.function.name), ["g"]);
  assert.equal(asked.toolChoice, "required");
});

Deno.test("POST /v1/responses takes images where they stand", async () => {
  const { asked } = await requestOf({
    input: [{
      role: "user",
      content: [
        { type: "input_text", text: "this:" },
        { type: "input_image", image_url: "data:image/png;base64,aGk=" },
      ],
    }],
  });
  assert.deepEqual(asked.messages, [
    { role: "user", content: "this:\n\n[img]", images: [new Uint8Array([104, 105])] },
  ]);
});

for (
  const [name, change, error] of [
    ["a conversation", { conversation: "c" }, /^conversation is not supported/],
    ["no input", { input: [] }, /^input: at least one item/],
    [
      "an image that is none",
      {
        input: [{ role: "user", content: [{ type: "input_image", image_url: "data:," }] }],
      },
      /^invalid image input/,
    ],
    ["an unknown item", { input: [{ type: "x" }] }, /^input\[0\]: items of type "x"/],
    ["an unknown role", { input: [{ role: "x", content: "" }] }, /^input\[0\]\.role: .*"x"/],
    ["background without store", { background: true, store: false }, /wants store: true/],
    ["an unknown choice", { tool_choice: "x" }, /^tool_choice: .*"x"/],
    ["an unknown format", { text: { format: { type: "x" } } }, /^text\.format\.type: .*"x"/],
    ["an unknown truncation", { truncation: "x" }, /^truncation: .*"x"/],
    ["a lost one before", { previous_response_id: "resp_x" }, /"resp_x" was not found/],
  ] as const
) {
  Deno.test(`POST /v1/responses refuses ${name}`, async () => {
    const response = await appUnderTest().send("POST", "/v1/responses", { ...HELLO, ...change });
    assert.equal(response.status, 400);
    const body = await response.json();
    assert.equal(body.error.type, "invalid_request_error");
    assert.match(body.error.message, error);
  });
}

Deno.test("a conversation goes on from the response before it, whose instructions it leaves", async () => {
  const { send, client } = appUnderTest();
  const post = async (body: object) => await (await send("POST", "/v1/responses", body)).json();
  const first = await post({ ...HELLO, instructions: "be kind" });
  const second = await post({ model: "M", input: "more", previous_response_id: first.id });
  assert.equal(second.previous_response_id, first.id);
  await post({ model: "M", input: "last", previous_response_id: second.id });
  assert.deepEqual((client.lastRequest as ChatRequest).messages, [
    { role: "user", content: "hi" },
    { role: "assistant", content: "Hello" },
    { role: "user", content: "more" },
    { role: "assistant", content: "Hello" },
    { role: "user", content: "last" },
  ]);
});

Deno.test("a response is kept before its stream says that it is complete", async () => {
  const responses = new MemoryResponses();
  const { send } = appUnderTest({ responses });
  const response = await send("POST", "/v1/responses", { ...HELLO, stream: true });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("response.completed")) text += (await reader?.read())?.value ?? "";
  assert.equal(responses.kept.size, 1);
  const events = parseEvents(text);
  assert.equal(events.at(-2).type, "response.output_item.done");
  const { response: told } = events.at(-1);
  const found = await (await send("GET", `/v1/responses/${told.id}`)).json();
  assert.deepEqual(found, told);
  await reader?.cancel();
});

Deno.test("what is not to be stored is not, nor what is too long, which is said", async () => {
  const responses = new MemoryResponses();
  const { send } = appUnderTest({ responses });
  await send("POST", "/v1/responses", { ...HELLO, store: false });
  responses.recordBytesMax = 2_000;
  const long = await send("POST", "/v1/responses", { ...HELLO, input: "x".repeat(1_000) });
  assert.match(long.headers.get("x-odist-warning") ?? "", /too long to be stored/);
  assert.equal((await long.json()).store, false);
  assert.equal(responses.kept.size, 0);
});

Deno.test("a stored response is listed with its input and deleted", async () => {
  const { send } = appUnderTest();
  const body = { ...HELLO, input: ["a", "b", "c"].map((content) => ({ role: "user", content })) };
  const { id } = await (await send("POST", "/v1/responses", body)).json();
  const list = async (query: string) => {
    const page = await (await send("GET", `/v1/responses/${id}/input_items?${query}`)).json();
    return { ...page, data: page.data.map((item: { content: string }) => item.content) };
  };
  assert.deepEqual((await list("")).data, ["c", "b", "a"]);
  const page = await list("order=asc&limit=2");
  assert.deepEqual([page.data, page.has_more], [["a", "b"], true]);
  assert.deepEqual((await list(`order=asc&after=${page.last_id}`)).data, ["c"]);
  assert.equal((await send("GET", `/v1/responses/${id}/input_items?limit=0`)).status, 400);
  const deleted = await (await send("DELETE", `/v1/responses/${id}`)).json();
  assert.deepEqual(deleted, { id, object: "response", deleted: true });
  for (const method of ["GET", "DELETE"]) {
    const missing = await send(method, `/v1/responses/${id}`);
    assert.equal(missing.status, 404);
    assert.equal((await missing.json()).error.type, "not_found_error");
  }
});

/** A node whose answers wait until they are let go. */
function heldApp() {
  const responses = new MemoryResponses();
  const held = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  const finished = Promise.withResolvers<void>();
  responses.onKept = (_record, isFinal) => isFinal && finished.resolve();
  const chat = async (_request: ChatRequest, signal: AbortSignal): Promise<Answer> => {
    signal.addEventListener("abort", () => {
      left.resolve();
      held.reject(signal.reason);
    });
    await held.promise;
    return streamOf(textChunks(["done"]));
  };
  return { ...appUnderTest({ responses, script: { chat } }), responses, held, left, finished };
}

Deno.test("a response in the background is found while it is made and when it is", async () => {
  const { send, held, finished } = heldApp();
  const made = await (await send("POST", "/v1/responses", { ...HELLO, background: true })).json();
  assert.equal(made.status, "queued");
  const find = async () => await (await send("GET", `/v1/responses/${made.id}`)).json();
  assert.equal((await find()).status, "in_progress");
  held.resolve();
  await finished.promise;
  const found = await find();
  assert.deepEqual([found.status, found.output[0].content[0].text], ["completed", "done"]);
});

Deno.test("a response in the background is cancelled once, and one in the foreground never", async () => {
  const { send, left } = heldApp();
  const made = await (await send("POST", "/v1/responses", { ...HELLO, background: true })).json();
  const cancel = async () => await send("POST", `/v1/responses/${made.id}/cancel`);
  assert.equal((await (await cancel()).json()).status, "cancelled");
  await left.promise;
  assert.equal((await (await cancel()).json()).status, "cancelled");
  const waited = appUnderTest();
  const { id } = await (await waited.send("POST", "/v1/responses", HELLO)).json();
  const refused = await waited.send("POST", `/v1/responses/${id}/cancel`);
  assert.match((await refused.json()).error.message, /only background responses/);
});

Deno.test("what a lost node was making is made anew where it is asked for, and given up with the third node", async () => {
  const { send, responses, held } = heldApp();
  const body = { ...HELLO, background: true, tools: [TOOL], metadata: { a: "b" } };
  const made = await (await send("POST", "/v1/responses", body)).json();
  const path = `/v1/responses/${made.id}`;
  const begun = JSON.parse(responses.kept.get(made.id)?.json ?? "");
  const other = appUnderTest({ responses: responses.elsewhere() });
  assert.equal((await other.send("POST", `${path}/cancel`)).status, 503);
  responses.isMakerGone = true;
  const ended = Promise.withResolvers<void>();
  responses.onKept = (_, isFinal) => isFinal && ended.resolve();
  const found = await (await other.send("GET", path)).json();
  assert.equal(found.status, "in_progress");
  await ended.promise;
  const whole = await (await other.send("GET", path)).json();
  assert.equal(whole.status, "completed");
  assert.deepEqual([whole.id, whole.metadata, whole.tools], [made.id, { a: "b" }, made.tools]);
  assert.equal(whole.output[0].content[0].text, "Hello");
  const asked = other.client.lastRequest as ChatRequest;
  assert.deepEqual(asked.messages, [{ role: "user", content: "hi" }]);
  assert.equal(asked.tools?.length, 1);
  assert.deepEqual(asked.journal, {
    answer: made.id.slice("resp_".length),
    seed: begun.work.seed,
    facts: [],
  });
  const given = { ...begun, work: { ...begun.work, lives: 3 } };
  responses.kept.set(made.id, { json: JSON.stringify(given), isFinal: false });
  const failed = await (await other.send("GET", path)).json();
  assert.equal(failed.status, "failed");
  assert.match(failed.error.message, /ada$/);
  held.resolve();
});

Deno.test("what fails in the background has failed", async () => {
  const { send, held, finished } = heldApp();
  const made = await (await send("POST", "/v1/responses", { ...HELLO, background: true })).json();
  held.reject(new UnavailableError("queue_full", "full"));
  await finished.promise;
  const found = await (await send("GET", `/v1/responses/${made.id}`)).json();
  assert.deepEqual([found.status, found.error.message], ["failed", "full"]);
});

Deno.test("POST /v1/responses/input_tokens counts what the prompt comes to", async () => {
  const { send } = appUnderTest({ script: { countTokens: async () => 42 } });
  const response = await send("POST", "/v1/responses/input_tokens", HELLO);
  assert.deepEqual(await response.json(), { object: "response.input_tokens", input_tokens: 42 });
});
