// Contract section 8, thinking and infill, with templates that make a thinking and an infill model of the embedded one.
import assert from "node:assert/strict";
import { nodeForFile, nodeTest } from "../harness/node.ts";
import { createVariant, TEMPLATELESS_EDITS } from "../harness/test_models.ts";

const node = nodeForFile();
// "Hm:" opens a thought and a comma closes it, so that a model that never learnt to think does: what it says up to its
// first comma is its thought.
const THINKER_TEMPLATE = "{{- range .Messages }}<|im_start|>{{ .Role }}\n" +
  "{{ if .Thinking }}Hm:{{ .Thinking }},{{ end }}{{ .Content }}<|im_end|>\n" +
  "{{ end }}<|im_start|>assistant\n{{ if and .IsThinkSet .Think }}Hm:{{ end }}";
const RAFT = {
  model: "thinker",
  messages: [{ role: "user", content: "What is Raft?" }],
  options: { temperature: 0, seed: 1, num_predict: 80 },
};

Deno.test.beforeAll(async () => {
  await createVariant(node(), "plain", TEMPLATELESS_EDITS);
  const derive = (model: string, template: string) =>
    node().ask("/api/create", { model, from: "plain", template, stream: false });
  await derive("thinker", THINKER_TEMPLATE);
  await derive("infill", "{{ .Prompt }}{{ if .Suffix }} ... {{ .Suffix }}{{ end }}");
});

async function chat(fields: object) {
  const answer = await node().ask("/api/chat", { ...RAFT, stream: false, ...fields });
  return Object(answer["message"]);
}

nodeTest("contract #30 an unknown think level gets 400", async () => {
  const response = await node().post("/api/chat", { ...RAFT, think: "ultra" });
  assert.equal(response.status, 400);
  assert.match((await response.json()).error, /^invalid think value/);
});

nodeTest("contract #73 a model that can think does, apart from its content", async () => {
  const message = await chat({});
  assert.ok(message.thinking.length > 0);
  assert.ok(message.content.length > 0);
  assert.ok(!message.content.includes("Hm:") && !message.thinking.includes("Hm:"));
  const lines = await node().askLines("/api/chat", RAFT);
  const parts = lines.map((line) => Object(line["message"]));
  assert.equal(parts.map((part) => part.thinking ?? "").join(""), message.thinking);
  assert.equal(parts.map((part) => part.content).join(""), message.content);
});

nodeTest("contract #74 think:false gives no thinking", async () => {
  const message = await chat({ think: false });
  assert.ok(!("thinking" in message));
  assert.match(message.content, /^Raft is a consensus algorithm/);
});

nodeTest("contract #75 with a schema the thinking is free and the content is JSON", async () => {
  const format = { type: "object", properties: { age: { type: "integer" } }, required: ["age"] };
  const message = await chat({ format });
  assert.ok(message.thinking.length > 0);
  assert.throws(() => JSON.parse(message.thinking));
  assert.ok(Number.isInteger(JSON.parse(message.content).age));
});

nodeTest("contract #125 reasoning effort none gives no reasoning, its absence does", async () => {
  const body = {
    model: "thinker",
    messages: RAFT.messages,
    temperature: 0,
    seed: 1,
    max_tokens: 80,
  };
  const messageOf = (answer: Record<string, unknown>) =>
    Object((answer["choices"] as unknown[])[0]).message;
  const free = messageOf(await node().ask("/v1/chat/completions", body));
  assert.ok(free.reasoning.length > 0);
  const none = messageOf(
    await node().ask("/v1/chat/completions", { ...body, reasoning_effort: "none" }),
  );
  assert.ok(!("reasoning" in none));
});

nodeTest("contract #55 a model with an infill template takes a suffix", async () => {
  const shown = await node().ask("/api/show", { model: "infill" });
  assert.ok((shown["capabilities"] as string[]).includes("insert"));
  const body = { model: "infill", prompt: "A fox", suffix: "the end", stream: false };
  const answer = await node().ask("/api/generate", { ...body, options: { num_predict: 3 } });
  assert.equal(answer["done"], true);
  const rendered = await node().ask("/api/generate", { ...body, _debug_render_only: true });
  assert.equal(Object(rendered["_debug_info"]).rendered_template, "A fox ... the end");
});
