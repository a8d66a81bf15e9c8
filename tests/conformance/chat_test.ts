// Contract section 8, /api/chat against a running node with the embedded model.
import assert from "node:assert/strict";
import { nodeForFile, nodeTest } from "../harness/node.ts";
import { createVariant, TEMPLATELESS_EDITS } from "../harness/test_models.ts";

const node = nodeForFile();
const GREEDY = { temperature: 0, seed: 1 };
const HELLO = {
  model: "tiny",
  messages: [{ role: "user", content: "Hello!" }],
  options: GREEDY,
};
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

async function rendered(body: Record<string, unknown>): Promise<string> {
  const answer = await node().ask("/api/chat", { ...HELLO, ...body, _debug_render_only: true });
  return Object(answer["_debug_info"]).rendered_template;
}

nodeTest("contract #64 a stream of messages with metrics at its end", async () => {
  const lines = await node().askLines("/api/chat", HELLO);
  for (const line of lines) {
    assert.equal(Object(line["message"]).role, "assistant");
    assert.equal(typeof Object(line["message"]).content, "string");
  }
  const last = lines.at(-1);
  assert.equal(last?.["done"], true);
  assert.ok(Number(last?.["eval_count"]) > 0);
  assert.ok(lines.length > 2, "an answer of many tokens comes in many lines");
});

nodeTest("contract #29 think:false is fine on a model that cannot think", async () => {
  const answer = await node().ask("/api/chat", { ...HELLO, think: false, stream: false });
  assert.equal(answer["done"], true);
});

nodeTest("contract #31 tools on a model without them get 400", async () => {
  await createVariant(node(), "plain", TEMPLATELESS_EDITS);
  const response = await node().post("/api/chat", { ...HELLO, model: "plain", tools: [WEATHER] });
  assert.equal(response.status, 400);
  assert.match((await response.json()).error, /does not support tools$/);
});

nodeTest("contract #65 and #66 no messages load and unload", async () => {
  const loaded = await node().ask("/api/chat", { model: "tiny", messages: [] });
  assert.equal(loaded["done_reason"], "load");
  assert.deepEqual(loaded["message"], { role: "assistant", content: "" });
  const unloaded = await node().ask("/api/chat", { model: "tiny", messages: [], keep_alive: 0 });
  assert.equal(unloaded["done_reason"], "unload");
});

nodeTest("contract #67 to #69 stored system text and messages", async () => {
  await node().ask("/api/create", {
    model: "nova",
    from: "tiny",
    system: "You are Nova.",
    messages: [{ role: "user", content: "first words" }, { role: "assistant", content: "yes" }],
    stream: false,
  });
  const withoutSystem = await rendered({ model: "nova" });
  assert.ok(withoutSystem.indexOf("You are Nova.") < withoutSystem.indexOf("first words"));
  assert.ok(withoutSystem.indexOf("first words") < withoutSystem.indexOf("Hello!"));
  const withSystem = await rendered({
    model: "nova",
    messages: [{ role: "system", content: "You are Rex." }, ...HELLO.messages],
  });
  assert.ok(!withSystem.includes("You are Nova."));
  assert.ok(withSystem.includes("You are Rex."));
});

nodeTest("contract #70 roles match in any case", async () => {
  const messages = [{ role: "USER", content: "Hello!" }];
  assert.equal(await rendered({ messages }), await rendered({}));
});

nodeTest("contract #71 and #72 a tool call, and the answer that uses its result", async () => {
  const question = { role: "user", content: "What is the weather in Paris?" };
  const body = { model: "tiny", tools: [WEATHER], options: GREEDY, stream: false };
  const asked = await node().ask("/api/chat", { ...body, messages: [question] });
  const message = Object(asked["message"]);
  const [call] = message.tool_calls;
  assert.deepEqual(call.function, {
    index: 0,
    name: "get_weather",
    arguments: { city: "Paris" },
  });
  assert.match(call.id, /^\S+$/);
  assert.equal(asked["done_reason"], "stop");
  assert.equal(message.content, "");
  const answered = await node().ask("/api/chat", {
    ...body,
    messages: [question, message, {
      role: "tool",
      tool_name: "get_weather",
      content: '{"temperature": 21, "condition": "sunny"}',
    }],
  });
  assert.match(Object(answered["message"]).content, /21/);
});

nodeTest("a streamed tool call comes in a line of its own, without its text", async () => {
  const lines = await node().askLines("/api/chat", {
    model: "tiny",
    tools: [WEATHER],
    options: GREEDY,
    messages: [{ role: "user", content: "What is the weather in Paris?" }],
  });
  const messages = lines.map((line) => Object(line["message"]));
  assert.equal(messages.filter((message) => message.tool_calls !== undefined).length, 1);
  assert.equal(messages.map((message) => message.content).join(""), "");
});

nodeTest(
  "contract #76 a long history loses its oldest messages, never the system text or the last",
  async () => {
    const filler = Array.from({ length: 120 }, (_, index) => ({
      role: index % 2 === 0 ? "user" : "assistant",
      content: `Number ${index} of many words that fill the window.`,
    }));
    const body = (dropped: number, fields: object) => ({
      ...HELLO,
      messages: [
        { role: "system", content: "You are Nova, a space captain." },
        ...filler.slice(dropped),
        { role: "user", content: "Who are you?" },
      ],
      options: { ...GREEDY, num_predict: 8 },
      stream: false,
      ...fields,
    });
    const shortened = await node().ask("/api/chat", body(0, {}));
    // Shortened by hand to the longest history that fits, the prompt and so the answer must be the same.
    let [low, high] = [0, filler.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const whole = body(middle, { truncate: false, shift: false });
      const response = await node().post("/api/chat", whole);
      await response.body?.cancel();
      if (response.ok) high = middle;
      else low = middle + 1;
    }
    assert.ok(low > 0 && low < filler.length, `${low}`);
    const byHand = await node().ask("/api/chat", body(low, { truncate: false }));
    assert.equal(shortened["prompt_eval_count"], byHand["prompt_eval_count"]);
    assert.deepEqual(shortened["message"], byHand["message"]);
  },
);

nodeTest("contract #77 one message over the limit without shift gets 400", async () => {
  const response = await node().post("/api/chat", {
    ...HELLO,
    messages: [{ role: "user", content: "word ".repeat(5000) }],
    shift: false,
    truncate: false,
  });
  assert.equal(response.status, 400);
  assert.match((await response.json()).error, /context length/);
});

nodeTest("structured output: a chat with a schema answers JSON of that shape", async () => {
  const answer = await node().ask("/api/chat", {
    model: "tiny",
    messages: [{ role: "user", content: "Mia is 12 years old." }],
    format: {
      type: "object",
      properties: { name: { type: "string", maxLength: 20 }, age: { type: "integer" } },
      required: ["name", "age"],
    },
    options: GREEDY,
    stream: false,
  });
  const value = JSON.parse(Object(answer["message"]).content);
  assert.equal(typeof value.name, "string");
  assert.ok(Number.isInteger(value.age));
});
