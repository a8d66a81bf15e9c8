// The official `ollama` client, unmodified, against a running node.
import assert from "node:assert/strict";
import { Ollama } from "ollama";
import { nodeForFile, nodeTest } from "../harness/node.ts";
import { createVariant, EMBEDDING_EDITS } from "../harness/test_models.ts";

const node = nodeForFile();
const client = () => new Ollama({ host: node().origin });
const options = { temperature: 0, seed: 1 };
const messages = [{ role: "user", content: "Hello!" }];
const WEATHER = {
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
};

nodeTest("ollama client: generate, whole and streamed, say the same", async () => {
  const whole = await client().generate({ model: "tiny", prompt: "Hello!", options });
  assert.ok(whole.done && (whole.response ?? "").length > 0);
  let text = "";
  const stream = await client().generate({
    model: "tiny",
    prompt: "Hello!",
    options,
    stream: true,
  });
  for await (const part of stream) text += part.response;
  assert.equal(text, whole.response);
});

nodeTest("ollama client: chat, whole and streamed, say the same", async () => {
  const whole = await client().chat({ model: "tiny", messages, options });
  let text = "";
  for await (
    const part of await client().chat({ model: "tiny", messages, options, stream: true })
  ) {
    text += part.message.content;
  }
  assert.equal(text, whole.message.content);
});

nodeTest("ollama client: a tool call and its answer", async () => {
  const question = { role: "user", content: "What is the weather in Paris?" };
  const asked = await client().chat({
    model: "tiny",
    messages: [question],
    tools: [WEATHER],
    options,
  });
  const [call] = asked.message.tool_calls ?? [];
  assert.deepEqual(call?.function.arguments, { city: "Paris" });
  const answered = await client().chat({
    model: "tiny",
    messages: [question, asked.message, {
      role: "tool",
      tool_name: "get_weather",
      content: '{"temperature": 21, "condition": "sunny"}',
    }],
    tools: [WEATHER],
    options,
  });
  assert.match(answered.message.content, /21/);
});

nodeTest("ollama client: structured output", async () => {
  const answer = await client().chat({
    model: "tiny",
    messages: [{ role: "user", content: "Mia is 12 years old." }],
    format: { type: "object", properties: { age: { type: "integer" } }, required: ["age"] },
    options,
  });
  assert.ok(Number.isInteger(JSON.parse(answer.message.content).age));
});

nodeTest("ollama client: embed", async () => {
  await createVariant(node(), "vectors", EMBEDDING_EDITS);
  const { embeddings } = await client().embed({ model: "vectors", input: ["one", "two"] });
  assert.equal(embeddings.length, 2);
  const older = await client().embeddings({ model: "vectors", prompt: "one" });
  assert.equal(older.embedding.length, embeddings[0]?.length);
});

nodeTest("ollama client: list, ps, show and version", async () => {
  const { models } = await client().list();
  assert.ok(models.some((model) => model.name === "tiny:latest"));
  await client().generate({ model: "tiny", prompt: "" });
  assert.ok((await client().ps()).models.some((model) => model.name === "tiny:latest"));
  const shown = await client().show({ model: "tiny" });
  assert.equal(shown.details.family, "llama");
  assert.match((await client().version()).version, /^\d+\.\d+\.\d+/);
});

nodeTest("ollama client: create, copy and delete", async () => {
  const statuses: string[] = [];
  const progress = await client().create({
    model: "made",
    from: "tiny",
    system: "You are a pirate.",
    stream: true,
  });
  for await (const part of progress) statuses.push(part.status);
  assert.equal(statuses.at(-1), "success");
  await client().copy({ source: "made", destination: "copied" });
  assert.equal((await client().show({ model: "copied" })).system, "You are a pirate.");
  await client().delete({ model: "copied" });
  await client().delete({ model: "made" });
  const names = (await client().list()).models.map((model) => model.name);
  assert.ok(!names.includes("copied:latest") && !names.includes("made:latest"));
});

nodeTest("ollama client: errors carry the server's words", async () => {
  await assert.rejects(client().generate({ model: "nope", prompt: "x" }), {
    message: "model 'nope' not found",
  });
});

nodeTest("ollama client: abort() stops a stream", async () => {
  const aborting = client();
  const stream = await aborting.generate({
    model: "tiny",
    prompt: "Tell me a story about a fox named Mia",
    options: { ...options, num_predict: 900 },
    stream: true,
  });
  await assert.rejects(async () => {
    for await (const _part of stream) aborting.abort();
  }, { name: "AbortError" });
});
