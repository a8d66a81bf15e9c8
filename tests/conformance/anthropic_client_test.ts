// The official `@anthropic-ai/sdk` client, unmodified, against a running node.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { nodeForFile, nodeTest } from "../harness/node.ts";

const node = nodeForFile();
const client = () =>
  new Anthropic({ baseURL: node().origin, apiKey: "any key is ignored", maxRetries: 0 });
const hello = {
  model: "tiny",
  max_tokens: 200,
  temperature: 0,
  messages: [{ role: "user" as const, content: "Hello!" }],
};
const tools = [{
  name: "get_weather",
  description: "Get the current weather in a city",
  input_schema: {
    type: "object" as const,
    properties: { city: { type: "string", description: "The name of the city" } },
    required: ["city"],
  },
}];
const question = { role: "user" as const, content: "What is the weather in Paris?" };

function textOf(message: Anthropic.Message): string {
  return message.content.map((block) => block.type === "text" ? block.text : "").join("");
}

nodeTest("anthropic client: a message, whole and streamed, says the same", async () => {
  const whole = await client().messages.create(hello);
  assert.equal(whole.stop_reason, "end_turn");
  assert.ok(textOf(whole).length > 0);
  const stream = client().messages.stream(hello);
  let seen = "";
  stream.on("text", (text) => void (seen += text));
  const streamed = await stream.finalMessage();
  assert.equal(textOf(streamed), textOf(whole));
  assert.equal(seen, textOf(whole));
  assert.equal(streamed.usage.output_tokens, whole.usage.output_tokens);
});

nodeTest(
  "anthropic client: what was computed for the request before is read from the cache",
  async () => {
    const messages = [{ role: "user" as const, content: "Tell me about the sea, please." }];
    const totalOf = ({ usage }: Anthropic.Message) =>
      usage.input_tokens + (usage.cache_read_input_tokens ?? 0);
    const first = await client().messages.create({ ...hello, messages });
    const second = await client().messages.create({ ...hello, messages });
    assert.ok((second.usage.cache_read_input_tokens ?? 0) > 0);
    assert.equal(totalOf(second), totalOf(first));
    const counted = await client().messages.countTokens({ model: "tiny", messages });
    assert.equal(counted.input_tokens, totalOf(first));
  },
);

nodeTest("anthropic client: a tool call, streamed, and its answer", async () => {
  const asked = await client().messages.stream({ ...hello, messages: [question], tools })
    .finalMessage();
  assert.equal(asked.stop_reason, "tool_use");
  const call = asked.content.find((block) => block.type === "tool_use");
  assert.ok(call !== undefined);
  assert.deepEqual(call.input, { city: "Paris" });
  const answered = await client().messages.create({
    ...hello,
    tools,
    messages: [
      question,
      { role: "assistant", content: asked.content },
      {
        role: "user",
        content: [{
          type: "tool_result",
          tool_use_id: call.id,
          content: '{"temperature": 21, "condition": "sunny"}',
        }],
      },
    ],
  });
  assert.match(textOf(answered), /21/);
});

nodeTest("anthropic client: a forced tool is called whatever was said", async () => {
  for (const tool_choice of [{ type: "any" }, { type: "tool", name: "get_weather" }] as const) {
    const answer = await client().messages.create({ ...hello, tools, tool_choice });
    const [block] = answer.content;
    assert.ok(block?.type === "tool_use", JSON.stringify(answer.content));
    assert.equal(typeof (block.input as { city: unknown }).city, "string");
  }
  const none = await client().messages.create({
    ...hello,
    messages: [question],
    tools,
    tool_choice: { type: "none" },
  });
  assert.ok(none.content.every((block) => block.type === "text"));
});

nodeTest("anthropic client: a stop sequence ends an answer and is named", async () => {
  const [, stop = ""] = /\s(\w{2,})/.exec(textOf(await client().messages.create(hello))) ?? [];
  const cut = await client().messages.create({ ...hello, stop_sequences: [stop] });
  assert.deepEqual([cut.stop_reason, cut.stop_sequence], ["stop_sequence", stop]);
  assert.ok(!textOf(cut).includes(stop));
  const short = await client().messages.create({ ...hello, max_tokens: 1 });
  assert.equal(short.stop_reason, "max_tokens");
});

nodeTest("anthropic client: models", async () => {
  const ids: string[] = [];
  for await (const model of client().models.list()) ids.push(model.id);
  assert.ok(ids.includes("tiny:latest"));
  assert.equal((await client().models.retrieve("tiny")).type, "model");
  await assert.rejects(client().models.retrieve("nope"), Anthropic.NotFoundError);
});

nodeTest("anthropic client: errors arrive as their classes", async () => {
  const image = {
    role: "user" as const,
    content: [{
      type: "image" as const,
      source: { type: "base64" as const, media_type: "image/png" as const, data: "AAAA" },
    }],
  };
  await assert.rejects(
    client().messages.create({ ...hello, messages: [image] }),
    (error: unknown) =>
      error instanceof Anthropic.BadRequestError && error.type === "invalid_request_error" &&
      /does not support images/.test(error.message),
  );
  await assert.rejects(
    client().messages.create({ ...hello, model: "nope" }),
    Anthropic.NotFoundError,
  );
});
