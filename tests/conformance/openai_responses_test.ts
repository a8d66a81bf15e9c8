// The official `openai` client's responses, unmodified, against a running node.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { nodeForFile, nodeTest } from "../harness/node.ts";

const node = nodeForFile();
const client = () =>
  new OpenAI({ baseURL: `${node().origin}/v1`, apiKey: "any key is ignored", maxRetries: 0 });
const hello = { model: "tiny", input: "Hello!", temperature: 0 };
const tools = [{
  type: "function" as const,
  name: "get_weather",
  description: "Get the current weather in a city",
  parameters: {
    type: "object",
    properties: { city: { type: "string", description: "The name of the city" } },
    required: ["city"],
  },
  strict: false,
}];
const weather = { ...hello, input: "What is the weather in Paris?", tools };

nodeTest("openai responses: an answer, whole and streamed, says the same", async () => {
  const whole = await client().responses.create(hello);
  assert.equal(whole.status, "completed");
  assert.ok(whole.output_text.length > 0);
  const types: string[] = [];
  const stream = client().responses.stream(hello);
  for await (const event of stream) types.push(event.type);
  const streamed = await stream.finalResponse();
  assert.equal(streamed.output_text, whole.output_text);
  assert.deepEqual(
    types.filter((type, index) => type !== types[index - 1]),
    [
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed",
    ],
  );
  assert.equal(streamed.usage?.output_tokens, whole.usage?.output_tokens);
});

nodeTest(
  "openai responses: a tool call, streamed, and its answer by previous_response_id",
  async () => {
    const asked = await client().responses.stream(weather).finalResponse();
    const call = asked.output.find((item) => item.type === "function_call");
    assert.ok(call?.type === "function_call");
    assert.deepEqual(JSON.parse(call.arguments), { city: "Paris" });
    const answered = await client().responses.create({
      ...weather,
      previous_response_id: asked.id,
      input: [{
        type: "function_call_output",
        call_id: call.call_id,
        output: '{"temperature": 21, "condition": "sunny"}',
      }],
    });
    assert.match(answered.output_text, /21/);
  },
);

nodeTest("openai responses: a forced call, structured output, and a cut answer", async () => {
  const forced = await client().responses.create({
    ...hello,
    tools,
    tool_choice: { type: "function", name: "get_weather" },
  });
  assert.equal(forced.output[0]?.type, "function_call");
  const structured = await client().responses.create({
    ...hello,
    input: "Mia is 12 years old.",
    text: {
      format: {
        type: "json_schema",
        name: "age",
        schema: { type: "object", properties: { age: { type: "integer" } }, required: ["age"] },
      },
    },
  });
  assert.ok(Number.isInteger(JSON.parse(structured.output_text).age));
  const cut = await client().responses.create({ ...hello, max_output_tokens: 1 });
  assert.equal(cut.status, "incomplete");
  assert.equal(cut.incomplete_details?.reason, "max_output_tokens");
});

nodeTest("openai responses: what is stored is found, listed and deleted", async () => {
  const made = await client().responses.create(hello);
  const found = await client().responses.retrieve(made.id);
  assert.equal(found.output_text, made.output_text);
  const items = await client().responses.inputItems.list(made.id);
  assert.deepEqual(items.data.map((item) => item.type), ["message"]);
  await client().responses.delete(made.id);
  await assert.rejects(client().responses.retrieve(made.id), OpenAI.NotFoundError);
  const unstored = await client().responses.create({ ...hello, store: false });
  await assert.rejects(client().responses.retrieve(unstored.id), OpenAI.NotFoundError);
});

nodeTest(
  "openai responses: one in the background is found while it is made and when it is",
  async () => {
    let made = await client().responses.create({ ...hello, background: true });
    assert.equal(made.status, "queued");
    const deadline = Date.now() + 20_000;
    while (made.status === "queued" || made.status === "in_progress") {
      assert.ok(Date.now() < deadline);
      made = await client().responses.retrieve(made.id);
    }
    assert.equal(made.status, "completed");
    assert.ok(made.output_text.length > 0);
  },
);

nodeTest("openai responses: errors arrive as their classes", async () => {
  await assert.rejects(
    client().responses.create({ ...hello, model: "nope" }),
    OpenAI.NotFoundError,
  );
  await assert.rejects(
    client().responses.create({ ...hello, previous_response_id: "resp_nope" }),
    OpenAI.BadRequestError,
  );
});
