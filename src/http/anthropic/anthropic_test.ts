import assert from "node:assert/strict";
import { RequestError, UnavailableError } from "../../base/mod.ts";
import type { Answer, AnswerChunk, ChatRequest } from "../../ports/mod.ts";
import { appUnderTest, httpRequest, scopedAccess } from "../../../tests/harness/http_app.ts";
import { SCRIPTED_METRICS, streamOf, textChunks } from "../../../tests/harness/scripted_client.ts";

const HELLO = { model: "M", max_tokens: 9, messages: [{ role: "user", content: "hi" }] };
const CALL = { id: "call_1", name: "f", arguments: { b: 1, a: "x" } };
const TOOL_USE = {
  type: "tool_use",
  id: "call_1",
  name: "f",
  input: { b: 1, a: "x" },
  caller: { type: "direct" },
};
const TOOL = { name: "f", description: "d", input_schema: { type: "object", properties: {} } };

/** An answer of these chunks, ended by a stop string and computed in part before. */
function stoppedAt(stopString: string, chunks: readonly AnswerChunk[]): Answer {
  async function* all(): AsyncGenerator<AnswerChunk> {
    yield* chunks;
    const metrics = { ...SCRIPTED_METRICS, promptCachedCount: 5 };
    yield { kind: "done", doneReason: "stop", stopString, metrics, context: [] };
  }
  const promptUsage = () => ({ promptEvalCount: 7, promptCachedCount: 5 });
  return { kind: "stream", chunks: all(), promptUsage };
}

function parseEvents(text: string) {
  return text.split("\n\n").filter((event) => event !== "").map((event) => {
    const [, name, data] = /^event: (.+)\ndata: (.+)$/.exec(event) ?? [];
    const value = JSON.parse(data ?? "null");
    assert.equal(value?.type, name);
    return value;
  });
}

async function requestOf(body: object): Promise<ChatRequest> {
  const { send, client } = appUnderTest();
  const response = await send("POST", "/v1/messages", { ...HELLO, ...body });
  assert.equal(response.status, 200, await response.text());
  return client.lastRequest as ChatRequest;
}

Deno.test("POST /v1/messages answers one message whose input leaves out what was cached", async () => {
  const { send } = appUnderTest({
    script: { chat: async () => stoppedAt("", textChunks(["Hi"])) },
  });
  const response = await send("POST", "/v1/messages", HELLO);
  const { id, ...message } = await response.json();
  assert.match(id, /^msg_[a-z0-9]{24}$/);
  assert.equal(response.headers.get("request-id"), response.headers.get("x-request-id"));
  assert.deepEqual(message, {
    type: "message",
    role: "assistant",
    model: "M",
    content: [{ type: "text", text: "Hi" }],
    stop_reason: "end_turn",
    stop_sequence: null,
    usage: {
      input_tokens: 2,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 5,
      output_tokens: 3,
    },
  });
});

Deno.test("POST /v1/messages gathers thinking, text and calls as blocks in their order", async () => {
  const chunks: AnswerChunk[] = [
    { kind: "text", content: "", thinking: "a" },
    { kind: "text", content: "c", thinking: "b" },
    { kind: "text", content: "d", toolCalls: [CALL] },
  ];
  const { send } = appUnderTest({ script: { chat: async () => streamOf(chunks) } });
  const message = await (await send("POST", "/v1/messages", HELLO)).json();
  assert.deepEqual(message.content, [
    { type: "thinking", thinking: "ab", signature: "unsigned" },
    { type: "text", text: "cd" },
    TOOL_USE,
  ]);
  assert.equal(message.stop_reason, "tool_use");
});

Deno.test("POST /v1/messages streams every block between its own start and stop", async () => {
  const chunks: AnswerChunk[] = [
    { kind: "text", content: "", thinking: "a" },
    { kind: "text", content: "c", toolCalls: [CALL] },
  ];
  const { send } = appUnderTest({ script: { chat: async () => stoppedAt("", chunks) } });
  const response = await send("POST", "/v1/messages", { ...HELLO, stream: true });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const [start, ping, ...events] = parseEvents(await response.text());
  assert.equal(start.message.usage.cache_read_input_tokens, 5);
  assert.equal(start.message.usage.input_tokens, 2);
  assert.deepEqual([ping.type, start.message.content], ["ping", []]);
  assert.deepEqual(events, [
    {
      type: "content_block_start",
      index: 0,
      content_block: { type: "thinking", thinking: "", signature: "" },
    },
    { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "a" } },
    {
      type: "content_block_delta",
      index: 0,
      delta: { type: "signature_delta", signature: "unsigned" },
    },
    { type: "content_block_stop", index: 0 },
    { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
    { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "c" } },
    { type: "content_block_stop", index: 1 },
    { type: "content_block_start", index: 2, content_block: { ...TOOL_USE, input: {} } },
    {
      type: "content_block_delta",
      index: 2,
      delta: { type: "input_json_delta", partial_json: '{"b":1,"a":"x"}' },
    },
    { type: "content_block_stop", index: 2 },
    {
      type: "message_delta",
      delta: { stop_reason: "tool_use", stop_sequence: null },
      usage: {
        input_tokens: 2,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 5,
        output_tokens: 3,
      },
    },
    { type: "message_stop" },
  ]);
});

Deno.test("only the request's own stop sequences are named, and a cut answer says max_tokens", async () => {
  const stopOf = async (answer: Answer) => {
    const { send } = appUnderTest({ script: { chat: async () => answer } });
    const body = { ...HELLO, stop_sequences: ["END"] };
    const message = await (await send("POST", "/v1/messages", body)).json();
    return [message.stop_reason, message.stop_sequence];
  };
  assert.deepEqual(await stopOf(stoppedAt("END", [])), ["stop_sequence", "END"]);
  assert.deepEqual(await stopOf(stoppedAt("<|im_end|>", [])), ["end_turn", null]);
  const cut = streamOf([{ kind: "text", content: "", toolCalls: [CALL] }], "length");
  assert.deepEqual(await stopOf(cut), ["max_tokens", null]);
});

Deno.test("an error in mid-stream is an error event", async () => {
  async function* broken(): AsyncGenerator<AnswerChunk> {
    yield { kind: "text", content: "a" };
    throw new UnavailableError("runner_lost", "gone");
  }
  const { send } = appUnderTest({
    script: { chat: async () => ({ kind: "stream", chunks: broken() }) },
  });
  const response = await send("POST", "/v1/messages", { ...HELLO, stream: true });
  const last = parseEvents(await response.text()).at(-1);
  const { request_id, ...rest } = last;
  assert.deepEqual(rest, { type: "error", error: { type: "api_error", message: "gone" } });
  assert.match(request_id, /./);
});

Deno.test("POST /v1/messages reads systems, thinking, calls and results as a conversation", async () => {
  const request = await requestOf({
    system: [{ type: "text", text: "be", cache_control: { type: "ephemeral" } }, {
      type: "text",
      text: "kind",
    }],
    messages: [
      { role: "user", content: [{ type: "text", text: "a" }, { type: "text", text: "b" }] },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "hm", signature: "s" },
          { type: "redacted_thinking", data: "x" },
          { type: "text", text: "c" },
          { type: "tool_use", id: "t1", name: "f", input: { Key: 1 } },
        ],
      },
      {
        role: "user",
        content: [
          { type: "text", text: "and?" },
          {
            type: "tool_result",
            tool_use_id: "t1",
            content: [{ type: "text", text: "no" }],
            is_error: true,
          },
        ],
      },
    ],
  });
  assert.deepEqual(request.messages, [
    { role: "system", content: "be\n\nkind" },
    { role: "user", content: "a\n\nb" },
    {
      role: "assistant",
      content: "c",
      thinking: "hm",
      toolCalls: [{ id: "t1", name: "f", arguments: { Key: 1 } }],
    },
    { role: "tool", content: "Error: no", toolName: "f", toolCallId: "t1" },
    { role: "user", content: "and?" },
  ]);
});

Deno.test("POST /v1/messages takes images where they stand, and those that a tool shows", async () => {
  const image = (data: string) => ({ type: "image", source: { type: "base64", data } });
  const text = (text: string) => ({ type: "text", text });
  const { messages } = await requestOf({
    messages: [
      { role: "user", content: [text("this"), image("aGk="), text("or"), image("aG8=")] },
      { role: "assistant", content: [{ type: "tool_use", id: "t1", name: "f", input: {} }] },
      {
        role: "user",
        content: [{ type: "tool_result", tool_use_id: "t1", content: [image("aGk=")] }],
      },
      { role: "user", content: [text("[img] is what I say"), image("aGk=")] },
    ],
  });
  const [hi, ho] = [new Uint8Array([104, 105]), new Uint8Array([104, 111])];
  assert.deepEqual(messages.map(({ role, content, images }) => ({ role, content, images })), [
    { role: "user", content: "this\n\n[img]\n\nor\n\n[img]", images: [hi, ho] },
    { role: "assistant", content: "", images: undefined },
    { role: "tool", content: "[img]", images: [hi] },
    { role: "user", content: "[img] is what I say", images: [hi] },
  ]);
});

Deno.test("POST /v1/messages hands on options, tools, choice, format and thinking", async () => {
  const schema = { type: "object", properties: { Age: { type: "integer" } } };
  const request = await requestOf({
    temperature: 0.5,
    top_p: 0.9,
    top_k: 4,
    stop_sequences: ["END"],
    metadata: { user_id: "u" },
    tools: [TOOL],
    tool_choice: { type: "tool", name: "f", disable_parallel_tool_use: true },
    output_config: { effort: "xhigh", format: { type: "json_schema", schema } },
    thinking: { type: "enabled", budget_tokens: 1024 },
  });
  const { name, description, input_schema: parameters } = TOOL;
  assert.deepEqual(request.options, {
    numPredict: 9,
    temperature: 0.5,
    topK: 4,
    topP: 0.9,
    stop: ["END"],
  });
  assert.deepEqual(request.tools, [
    { type: "function", function: { name, description, parameters } },
  ]);
  assert.deepEqual(request.toolChoice, { name: "f" });
  assert.equal(request.toolCallsMax, 1);
  assert.deepEqual(request.format, schema);
  assert.equal(request.think, "max");
  assert.equal(request.relaxedThinking, true);
});

Deno.test("POST /v1/messages does not think unless it is asked to", async () => {
  assert.equal((await requestOf({})).think, false);
  assert.equal((await requestOf({ thinking: { type: "adaptive" } })).think, true);
});

for (
  const [name, change, error] of [
    ["no max_tokens", { max_tokens: undefined }, /^max_tokens: field required/],
    ["no messages", { messages: [] }, /^messages: at least one/],
    [
      "an unknown role",
      { messages: [{ role: "tool", content: "" }] },
      /^messages\[0\]\.role: .*"tool"/,
    ],
    [
      "an image of a file",
      {
        messages: [{
          role: "user",
          content: [{ type: "image", source: { type: "file", file_id: "f" } }],
        }],
      },
      /^messages\[0\]: images are read from base64, got "file"/,
    ],
    [
      "an image by URL",
      {
        messages: [{
          role: "user",
          content: [{ type: "image", source: { type: "url", url: "http://x/a.png" } }],
        }],
      },
      /^image URLs are not currently supported/,
    ],
    [
      "an image in a system text",
      { system: [{ type: "image", source: { type: "base64", data: "AAAA" } }] },
      /^system: images are seen in what a user says/,
    ],
    [
      "a PDF",
      {
        messages: [{
          role: "user",
          content: [{ type: "document", source: { type: "base64", data: "AAAA" } }],
        }],
      },
      /documents are read as plain text only, got base64/,
    ],
    [
      "a tool of the server",
      { tools: [{ type: "web_search_20250305", name: "web_search" }] },
      /^tools\[0\]\.type: .*"web_search_20250305"/,
    ],
    ["an unknown tool_choice", { tool_choice: { type: "x" } }, /^tool_choice\.type: .*"x"/],
    ["an unknown thinking", { thinking: { type: "x" } }, /^thinking\.type: .*"x"/],
  ] as const
) {
  Deno.test(`POST /v1/messages refuses ${name} in Anthropic's envelope`, async () => {
    const response = await appUnderTest().send("POST", "/v1/messages", { ...HELLO, ...change });
    assert.equal(response.status, 400);
    const body = await response.json();
    assert.equal(body.type, "error");
    assert.equal(body.error.type, "invalid_request_error");
    assert.match(body.error.message, error);
    assert.equal(body.request_id, response.headers.get("x-request-id"));
  });
}

Deno.test("POST /v1/messages/count_tokens needs no max_tokens and counts what the prompt comes to", async () => {
  const { send, client } = appUnderTest({ script: { countTokens: async () => 42 } });
  const response = await send("POST", "/v1/messages/count_tokens", {
    ...HELLO,
    max_tokens: undefined,
    tools: [TOOL],
  });
  assert.deepEqual(await response.json(), { input_tokens: 42 });
  assert.equal((client.lastRequest as ChatRequest).tools.length, 1);
});

Deno.test("GET /v1/models answers clients that name Anthropic's version in its shape", async () => {
  const model = {
    name: "m:latest",
    modifiedAtMs: 1_500,
    size: 1,
    digest: "",
    namespace: "library",
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
  const { app } = appUnderTest({ script: { listModels: async () => [model] } });
  const get = (path: string) => {
    const request = httpRequest("GET", path);
    request.headers.set("anthropic-version", "2023-06-01");
    return app.fetch(request);
  };
  assert.deepEqual(await (await get("/v1/models")).json(), {
    data: [{
      type: "model",
      id: "m:latest",
      display_name: "m:latest",
      created_at: "1970-01-01T00:00:01.500Z",
    }],
    has_more: false,
    first_id: "m:latest",
    last_id: "m:latest",
  });
  const missing = await get("/v1/models/nope");
  assert.equal(missing.status, 404);
  assert.equal((await missing.json()).error.type, "not_found_error");
});

Deno.test("a key is read from x-api-key as from Authorization", async () => {
  const { app } = appUnderTest({ access: scopedAccess([]) });
  const ask = async (headers: Record<string, string>) => {
    const request = httpRequest("POST", "/v1/messages", HELLO);
    for (const [name, value] of Object.entries(headers)) request.headers.set(name, value);
    const sender = { kind: "machine", address: "192.168.1.20", isOwn: false } as const;
    const response = await app.fetch(request, { sender });
    return [response.status, (await response.json()).error?.type];
  };
  assert.deepEqual(await ask({}), [401, "authentication_error"]);
  assert.deepEqual(await ask({ "x-api-key": "use" }), [200, undefined]);
  assert.deepEqual(await ask({ "x-api-key": "join" }), [403, "permission_error"]);
});

Deno.test("errors have Anthropic's types by their status", async () => {
  const typeOf = async (error: Error) => {
    const { send } = appUnderTest({ script: { chat: () => Promise.reject(error) } });
    return (await (await send("POST", "/v1/messages", HELLO)).json()).error.type;
  };
  assert.equal(await typeOf(new RequestError("model_not_found", "no")), "not_found_error");
  assert.equal(await typeOf(new UnavailableError("queue_full", "full")), "overloaded_error");
  assert.equal(await typeOf(new RequestError("model_too_large", "big")), "api_error");
});
