// The official `openai` client, unmodified, against a running node.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { nodeForFile, nodeTest } from "../harness/node.ts";
import { createVariant, EMBEDDING_EDITS } from "../harness/test_models.ts";

const node = nodeForFile();
const client = () =>
  new OpenAI({ baseURL: `${node().origin}/v1`, apiKey: "any key is ignored", maxRetries: 0 });
const hello = {
  model: "tiny",
  messages: [{ role: "user" as const, content: "Hello!" }],
  temperature: 0,
  seed: 1,
};

nodeTest("openai client: chat, whole and streamed, say the same", async () => {
  const whole = await client().chat.completions.create(hello);
  const [choice] = whole.choices;
  assert.equal(choice?.finish_reason, "stop");
  assert.ok((whole.usage?.total_tokens ?? 0) > 0);
  let text = "";
  let usageChunks = 0;
  const stream = await client().chat.completions.create({
    ...hello,
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    if (chunk.usage) usageChunks++;
  }
  assert.equal(text, choice?.message.content);
  assert.equal(usageChunks, 1);
});

nodeTest("openai client: a tool call, streamed, and its answer", async () => {
  const tools = [{
    type: "function" as const,
    function: {
      name: "get_weather",
      description: "Get the current weather in a city",
      parameters: {
        type: "object",
        properties: { city: { type: "string", description: "The name of the city" } },
        required: ["city"],
      },
    },
  }];
  const question = { role: "user" as const, content: "What is the weather in Paris?" };
  const runner = client().chat.completions.stream({ ...hello, messages: [question], tools });
  const asked = (await runner.finalChatCompletion()).choices[0];
  assert.equal(asked?.finish_reason, "tool_calls");
  const [call] = asked?.message.tool_calls ?? [];
  assert.ok(call?.type === "function");
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
  const answered = await client().chat.completions.create({
    ...hello,
    tools,
    messages: [
      question,
      { role: "assistant", content: null, tool_calls: [call] },
      {
        role: "tool",
        tool_call_id: call.id,
        content: '{"temperature": 21, "condition": "sunny"}',
      },
    ],
  });
  assert.match(answered.choices[0]?.message.content ?? "", /21/);
});

nodeTest("openai client: structured output", async () => {
  const answer = await client().chat.completions.create({
    ...hello,
    messages: [{ role: "user", content: "Mia is 12 years old." }],
    response_format: {
      type: "json_schema",
      json_schema: {
        name: "age",
        schema: { type: "object", properties: { age: { type: "integer" } }, required: ["age"] },
      },
    },
  });
  assert.ok(Number.isInteger(JSON.parse(answer.choices[0]?.message.content ?? "").age));
});

nodeTest("openai client: text completion, whole and streamed", async () => {
  const body = { model: "tiny", prompt: "Hello!", temperature: 0, seed: 1 };
  const whole = await client().completions.create(body);
  let text = "";
  for await (const chunk of await client().completions.create({ ...body, stream: true })) {
    text += chunk.choices[0]?.text ?? "";
  }
  assert.equal(text, whole.choices[0]?.text);
});

nodeTest("openai client: embeddings, which it asks for in base64", async () => {
  await createVariant(node(), "vectors", EMBEDDING_EDITS);
  const { data } = await client().embeddings.create({ model: "vectors", input: ["one", "two"] });
  assert.equal(data.length, 2);
  assert.ok(Math.abs(Math.hypot(...data[0]?.embedding ?? []) - 1) < 1e-3);
});

nodeTest("openai client: models", async () => {
  const ids: string[] = [];
  for await (const model of client().models.list()) ids.push(model.id);
  assert.ok(ids.includes("tiny:latest"));
  assert.equal((await client().models.retrieve("tiny")).id, "tiny");
  await assert.rejects(client().models.retrieve("nope"), OpenAI.NotFoundError);
});

nodeTest("openai client: errors arrive as their classes", async () => {
  await assert.rejects(
    client().chat.completions.create({ ...hello, model: "nope" }),
    OpenAI.NotFoundError,
  );
  await assert.rejects(
    client().chat.completions.create({ ...hello, messages: [] }),
    OpenAI.BadRequestError,
  );
});
