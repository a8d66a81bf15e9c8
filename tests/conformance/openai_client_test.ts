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

nodeTest("openai client: a forced call, and none where none may be made", async () => {
  const tools = [{
    type: "function" as const,
    function: {
      name: "get_weather",
      parameters: {
        type: "object",
        properties: { city: { type: "string" } },
        required: ["city"],
      },
    },
  }];
  const forced = { type: "function", function: { name: "get_weather" } } as const;
  for (const tool_choice of ["required", forced] as const) {
    const answer = await client().chat.completions.create({ ...hello, tools, tool_choice });
    const [call] = answer.choices[0]?.message.tool_calls ?? [];
    assert.ok(call?.type === "function");
    assert.equal(typeof JSON.parse(call.function.arguments).city, "string");
  }
  const messages = [{ role: "user" as const, content: "What is the weather in Paris?" }];
  const body = { ...hello, messages, tools, tool_choice: "none" as const };
  const answer = await client().chat.completions.create(body);
  assert.equal(answer.choices[0]?.message.tool_calls, undefined);
});

nodeTest(
  "openai client: several choices, a length, and an effort that the model hasn't",
  async () => {
    const body = { ...hello, n: 3, max_completion_tokens: 4, reasoning_effort: "high" as const };
    const whole = await client().chat.completions.create(body);
    assert.deepEqual(whole.choices.map(({ index }) => index), [0, 1, 2]);
    assert.deepEqual(whole.choices.map(({ finish_reason }) => finish_reason), [
      "length",
      "length",
      "length",
    ]);
    assert.equal(whole.usage?.completion_tokens, 12);
    const runner = client().chat.completions.stream(body);
    const streamed = await runner.finalChatCompletion();
    const textOf = ({ choices }: typeof whole) => choices.map(({ message }) => message.content);
    assert.deepEqual(textOf(streamed).sort(), textOf(whole).sort());
  },
);

nodeTest("openai client: lists of prompts, and tokens that are texts", async () => {
  const body = { model: "tiny", temperature: 0, max_tokens: 8 };
  const both = await client().completions.create({ ...body, prompt: ["Hello!", "Goodbye!"] });
  const single = await client().completions.create({ ...body, prompt: "Goodbye!" });
  assert.equal(both.choices[1]?.text, single.choices[0]?.text);
  const { tokens } = await node().ask("/api/tokenize", { model: "tiny", content: "Once upon" });
  const prompt = tokens as number[];
  const [one, list] = await Promise.all([
    client().completions.create({ ...body, prompt }),
    client().completions.create({ ...body, prompt: [prompt, prompt] }),
  ]);
  assert.equal(one.usage?.prompt_tokens, prompt.length);
  assert.deepEqual(list.choices.map(({ text }) => text), [
    one.choices[0]?.text,
    one.choices[0]?.text,
  ]);
  await assert.rejects(
    client().completions.create({ ...body, prompt: [9_999_999] }),
    OpenAI.BadRequestError,
  );
});

nodeTest("openai client: tokens are embedded as the text that they are", async () => {
  await createVariant(node(), "vectors", EMBEDDING_EDITS);
  const { tokens } = await node().ask("/api/tokenize", { model: "vectors", content: "one" });
  const input = [tokens as number[]];
  const { data } = await client().embeddings.create({ model: "vectors", input });
  const text = await client().embeddings.create({ model: "vectors", input: "one" });
  assert.deepEqual(data[0]?.embedding, text.data[0]?.embedding);
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
