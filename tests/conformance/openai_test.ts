// Contract section 8, the OpenAI-compatible endpoints against a running node with the embedded model.
import assert from "node:assert/strict";
import { nodeForFile, nodeTest } from "../harness/node.ts";

const node = nodeForFile();
const CHAT = {
  model: "tiny",
  messages: [{ role: "user", content: "Hello!" }],
  temperature: 0,
  seed: 1,
};

/** The events of a stream; the closing `[DONE]` as it is. */
async function askEvents(path: string, body: unknown) {
  const response = await node().post(path, body);
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const events = (await response.text()).split("\n\n").filter((event) => event !== "");
  return events.map((event) => {
    const data = event.slice("data: ".length);
    return data === "[DONE]" ? data : JSON.parse(data);
  });
}

nodeTest("contract #117 the list of models has names with tags", async () => {
  const list = await (await node().get("/v1/models")).json();
  assert.equal(list.object, "list");
  const [tiny] = list.data;
  assert.equal(tiny.id, "tiny:latest");
  assert.equal(tiny.object, "model");
  assert.equal(tiny.owned_by, "library");
});

nodeTest("contract #118 an absent model gets 404 in the OpenAI envelope", async () => {
  const response = await node().get("/v1/models/nope");
  assert.equal(response.status, 404);
  assert.equal((await response.json()).error.type, "not_found_error");
});

nodeTest("contract #119 a chat completion has all fields and usage that sums up", async () => {
  const answer = await node().ask("/v1/chat/completions", CHAT);
  assert.equal(answer["object"], "chat.completion");
  assert.equal(answer["system_fingerprint"], "fp_ollama");
  const [choice] = answer["choices"] as Record<string, unknown>[];
  assert.equal(choice?.["finish_reason"], "stop");
  assert.ok(Object(choice?.["message"]).content.length > 0);
  const usage = Object(answer["usage"]);
  assert.equal(usage.prompt_tokens + usage.completion_tokens, usage.total_tokens);
});

nodeTest("contract #120 and #121 a chat stream", async () => {
  const events = await askEvents("/v1/chat/completions", {
    ...CHAT,
    stream: true,
    stream_options: { include_usage: true },
  });
  assert.equal(events.at(-1), "[DONE]");
  const usage = events.at(-2);
  assert.deepEqual(usage.choices, []);
  assert.ok(usage.usage.total_tokens > 0);
  const chunks = events.slice(0, -2);
  assert.equal(chunks[0].choices[0].delta.role, "assistant");
  assert.ok(chunks.slice(1).every((chunk) => !("role" in chunk.choices[0].delta)));
  assert.deepEqual(chunks.at(-1).choices[0].delta, {});
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  const whole = await node().ask("/v1/chat/completions", CHAT);
  const text = chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("");
  assert.equal(text, Object((whole["choices"] as unknown[])[0]).message.content);
});

nodeTest("contract #122 no messages get 400", async () => {
  const response = await node().post("/v1/chat/completions", { model: "tiny", messages: [] });
  assert.equal(response.status, 400);
  assert.equal((await response.json()).error.message, "[] is too short - 'messages'");
});

nodeTest("contract #123 an image by URL gets 400", async () => {
  const content = [{ type: "image_url", image_url: { url: "http://x/a.png" } }];
  const response = await node().post("/v1/chat/completions", {
    ...CHAT,
    messages: [{ role: "user", content }],
  });
  assert.equal(response.status, 400);
  await response.body?.cancel();
});

nodeTest("contract #124 a tool call has its arguments as text", async () => {
  const answer = await node().ask("/v1/chat/completions", {
    ...CHAT,
    messages: [{ role: "user", content: "What is the weather in Paris?" }],
    tools: [{
      type: "function",
      function: {
        name: "get_weather",
        description: "Get the current weather in a city",
        parameters: {
          type: "object",
          properties: { city: { type: "string", description: "The name of the city" } },
          required: ["city"],
        },
      },
    }],
  });
  const choice = Object((answer["choices"] as unknown[])[0]);
  assert.equal(choice.finish_reason, "tool_calls");
  const [call] = choice.message.tool_calls;
  assert.equal(call.type, "function");
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
});

nodeTest("contract #126 a JSON schema is kept to", async () => {
  const schema = {
    type: "object",
    properties: { age: { type: "integer" } },
    required: ["age"],
    additionalProperties: false,
  };
  const answer = await node().ask("/v1/chat/completions", {
    ...CHAT,
    messages: [{ role: "user", content: "Mia is 12 years old." }],
    response_format: { type: "json_schema", json_schema: { name: "age", schema } },
  });
  const { content } = Object((answer["choices"] as unknown[])[0]).message;
  assert.ok(Number.isInteger(JSON.parse(content).age));
});

nodeTest("contract #127 a text completion, whole and streamed", async () => {
  const body = { model: "tiny", prompt: "Hello!", temperature: 0, seed: 1 };
  const whole = await node().ask("/v1/completions", body);
  assert.equal(whole["object"], "text_completion");
  const events = await askEvents("/v1/completions", { ...body, stream: true });
  assert.equal(events.at(-1), "[DONE]");
  const text = events.slice(0, -1).map((event) => event.choices[0].text).join("");
  assert.equal(text, Object((whole["choices"] as unknown[])[0]).text);
  assert.equal(events.at(-2).choices[0].finish_reason, "stop");
});
