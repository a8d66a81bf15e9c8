/**
 * Answers of models whose words are tokens of their own, some of them control tokens, through a real node and a real decoder.
 *
 * @module
 */
import assert from "node:assert/strict";
import { digestOf, uploadBlob } from "../harness/test_models.ts";
import { startNode, type TestNode } from "../harness/node.ts";
import { type SpokenModel, spokenModel, TOOLS } from "../harness/spoken_model.ts";

const CALL = { name: "get_weather", arguments: { city: "Paris", days: 2 } };
const CALLED = ["get_weather", "[ARGS]", '{"city": "', "Paris", '", "days": ', "2", "}"];
const JINJA = "{% for m in messages %}{% if m.role == 'user' %}[INST]{{ m.content }}[/INST]" +
  "{% elif m.tool_calls %}[TOOL_CALLS]{% for c in m.tool_calls %}{{ c.function.name }}[ARGS]" +
  "{{ c.function.arguments | tojson }}{% endfor %}{% else %}{{ m.content }}{% endif %}" +
  "{% endfor %}{% if tools %}{{ tools | tojson }}{% endif %}[THINK][/THINK][/INST]";
const GO = "{{ range .Messages }}[INST]{{ .Content }}{{ range .ToolCalls }}[TOOL_CALLS]" +
  "{{ .Function.Name }}[ARGS]{{ .Function.Arguments }}{{ end }}{{ .Thinking }}{{ end }}" +
  "{{ if .Tools }}{{ .Tools }}{{ end }}{{ if .Think }}[THINK][/THINK]{{ end }}[/INST]";
const MARKS = ["[INST]", "[/INST]", "[TOOL_CALLS]", "[ARGS]", "[THINK]", "[/THINK]"];

function mistral(answer: readonly string[], control = MARKS): SpokenModel {
  return { template: JINJA, after: "[/INST]", answer, control };
}

async function create(
  node: TestNode,
  model: string,
  spoken: SpokenModel,
  more: Record<string, unknown> = {},
): Promise<void> {
  const bytes = spokenModel(spoken);
  await uploadBlob(node, bytes);
  await node.ask("/api/create", {
    model,
    files: { "model.gguf": digestOf(bytes) },
    stream: false,
    ...more,
  });
}

async function ask(node: TestNode, model: string, more: Record<string, unknown> = {}) {
  const reply = await node.ask("/api/chat", {
    model,
    messages: [{ role: "user", content: "Whatever is asked, in any wording?" }],
    stream: false,
    options: { num_thread: 1, num_predict: 60 },
    ...more,
  });
  const { content, thinking, tool_calls: calls = [] } = reply["message"] as {
    content: string;
    thinking?: string;
    tool_calls?: { function: typeof CALL }[];
  };
  const called = calls.map(({ function: { name, arguments: args } }) => ({
    name,
    arguments: args,
  }));
  return { content, thinking, called, reason: reply["done_reason"] };
}

Deno.test("what models write in control tokens is read, and shown to nobody", async (t) => {
  await using node = await startNode();
  const answer = ["[THINK]", "Need a tool.", "[/THINK]", "[TOOL_CALLS]", ...CALLED];
  await create(node, "jinja", mistral(answer));
  await create(node, "go", mistral(answer), { template: GO });
  await create(node, "talks", mistral(["Hello", ", world"]));

  for (const model of ["jinja", "go"]) {
    await t.step(`tool calls and thinking of a ${model} template`, async () => {
      const said = await ask(node, model, { tools: TOOLS, think: true });
      assert.deepEqual(said, {
        content: "",
        thinking: "Need a tool.",
        called: [CALL],
        reason: "stop",
      });
    });
  }
  await t.step("a call that must be made comes behind the thinking, in every API", async () => {
    const messages = [{ role: "user", content: "Anything at all?" }];
    const asked = { model: "jinja", messages, tools: TOOLS, max_tokens: 60 };
    const name = "get_weather";
    const chosen = { type: "function", function: { name } };
    for (const choice of ["required", chosen]) {
      const body = { ...asked, tool_choice: choice };
      const { choices } = await node.ask("/v1/chat/completions", body) as {
        choices: { message: { reasoning?: string; tool_calls?: { function: unknown }[] } }[];
      };
      const { reasoning, tool_calls: calls } = choices[0]?.message ?? {};
      assert.equal(reasoning, "Need a tool.");
      assert.deepEqual(calls?.map((call) => call.function), [{
        name,
        arguments: '{"city":"Paris","days":2}',
      }]);
    }
    const [{ function: tool } = { function: { parameters: {} } }] = TOOLS;
    const { content } = await node.ask("/v1/messages", {
      ...asked,
      tools: [{ name, input_schema: tool.parameters }],
      tool_choice: { type: "any" },
      thinking: { type: "enabled", budget_tokens: 1_024 },
      max_tokens: 2_048,
    }) as { content: { type: string; input?: unknown }[] };
    assert.deepEqual(content.at(-1)?.input, CALL.arguments);
    assert.ok(content.every(({ type }) => type !== "text"), JSON.stringify(content));
  });
  await t.step("text without marks stays as it is", async () => {
    const { content, called } = await ask(node, "talks", { tools: TOOLS });
    assert.deepEqual([content, called], ["Hello, world", []]);
  });
});
