/**
 * Models of every family through `/api/chat`: what they are asked, and what of their answers is thinking, content and
 * calls. The weights are scripted, everything else is as in a node.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ModelDefinition } from "../../src/models/mod.ts";
import { createHttpApp } from "../../src/http/mod.ts";
import { appUnderTest, httpRequest } from "../harness/http_app.ts";
import { ScriptedClient } from "../harness/scripted_client.ts";
import { ScriptedModels } from "../harness/scripted_models.ts";

const CAPABILITIES = ["completion", "tools", "thinking"];
const TOOL = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Tells the weather.",
    parameters: {
      type: "object",
      required: ["city"],
      properties: { city: { type: "string" }, days: { type: "integer" } },
    },
  },
};

interface Message {
  readonly content: string;
  readonly thinking?: string;
  readonly tool_calls?: readonly { readonly function: Record<string, unknown> }[];
}

/** One turn with a model of this template, whose weights write `text`. */
async function turn(
  template: ModelDefinition["template"],
  text: string,
  body: Readonly<Record<string, unknown>> = {},
) {
  const models = new ScriptedModels({ template, capabilities: CAPABILITIES });
  models.texts = [text];
  const inference = models.inference();
  const client = Object.assign(new ScriptedClient({}), {
    chat: (...of: Parameters<typeof inference.chat>) => inference.chat(...of),
  });
  const app = createHttpApp({ ...appUnderTest().parts, client });
  const messages = [{ role: "user", content: "Weather in Paris?" }];
  const asked = { model: "m", messages, tools: [TOOL], stream: false, ...body };
  const answer = await app.fetch(httpRequest("POST", "/api/chat", asked));
  const reply = await answer.json();
  assert.equal(answer.status, 200, JSON.stringify(reply));
  const [request] = models.asked;
  const prompt = request?.prompt.kind === "text" ? request.prompt.text : "";
  const { content, thinking, tool_calls: calls = [] } = reply.message as Message;
  const called = calls.map(({ function: { name, arguments: args } }) => ({
    name,
    arguments: args,
  }));
  return { prompt, shownTags: request?.shownTags ?? [], content, thinking, called };
}

const CALL = [{ name: "get_weather", arguments: { city: "Paris", days: 2 } }];

Deno.test("a model with RENDERER and PARSER lines is asked and read in its family's way", async () => {
  const said = await turn(
    { renderer: "qwen3-coder", parser: "qwen3-coder" },
    "Let me look.\n<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n" +
      "<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>",
  );
  assert.match(said.prompt, /<\|im_start\|>user\nWeather in Paris\?<\|im_end\|>/);
  assert.match(said.prompt, /"get_weather"/);
  assert.deepEqual(said.called, CALL);
  assert.equal(said.content, "Let me look.\n");
});

Deno.test("tags that are control tokens are asked to be shown, and others are not", async () => {
  const template =
    "{% for m in messages %}{% if m.tool_calls %}[TOOL_CALLS]{% for c in m.tool_calls %}" +
    "{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}{% endfor %}{% else %}" +
    "[INST]{{ m.content }}[/INST]{% endif %}{% endfor %}{{ tools | tojson }}[THINK][/THINK]";
  const said = await turn(
    { jinjaTemplate: template },
    '[THINK]Hm.[/THINK][TOOL_CALLS]get_weather[ARGS]{"city": "Paris", "days": 2}',
  );
  assert.deepEqual(
    ["[TOOL_CALLS]", "[ARGS]", "[THINK]", "[/THINK]"].filter((tag) =>
      !said.shownTags.includes(tag)
    ),
    [],
  );
  assert.ok(!said.shownTags.includes("</s>") && !said.shownTags.includes("[INST]"));
  assert.equal(said.thinking, "Hm.");
  assert.deepEqual(said.called, CALL);
});

Deno.test("an answer in channels has its analysis as thinking and its commentary as calls", async () => {
  const said = await turn(
    { renderer: "harmony" },
    "<|channel|>analysis<|message|>Need a tool.<|end|><|start|>assistant<|channel|>commentary " +
      'to=functions.get_weather <|constrain|>json<|message|>{"city": "Paris", "days": 2}<|call|>',
  );
  assert.equal(said.thinking, "Need a tool.");
  assert.deepEqual(said.called, CALL);
  assert.equal(said.content, "");
});

Deno.test("the grammar of an answer in channels binds its final channel alone", async () => {
  const models = new ScriptedModels({
    template: { renderer: "harmony" },
    capabilities: CAPABILITIES,
  });
  const head =
    "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>";
  models.texts = [`${head}not json<|end|>`, '{"a": 1}'];
  const inference = models.inference();
  const answer = await inference.chat({
    model: "m",
    messages: [{ role: "user", content: "JSON, please" }],
    tools: [],
    format: "json",
    options: {},
    truncate: true,
    shift: true,
    topLogprobs: -1,
    debugRenderOnly: false,
  }, new AbortController().signal);
  assert.ok(answer.kind === "stream");
  let content = "";
  let thinking = "";
  for await (const chunk of answer.chunks) {
    if (chunk.kind !== "text") continue;
    content += chunk.content;
    thinking += chunk.thinking ?? "";
  }
  assert.deepEqual({ content, thinking }, { content: '{"a": 1}', thinking: "Hm." });
  const [first, second] = models.asked;
  assert.equal(first?.grammar, null);
  assert.ok(second?.grammar !== null && second?.prompt.kind === "text");
  assert.ok(second.prompt.text.endsWith(head));
});

Deno.test("a conversation with a model without any template has the turns of its family, or plain ones", async () => {
  const messages = [
    { role: "user", content: "Hi" },
    { role: "assistant", content: "Yes?" },
    { role: "user", content: "Bye" },
  ];
  const plain = await turn({}, "ok", { messages, tools: [] });
  assert.equal(
    plain.prompt,
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes?<|im_end|>\n" +
      "<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n",
  );
  const gemma = await turn({ architecture: "gemma2" }, "ok", { messages, tools: [] });
  assert.match(gemma.prompt, /^<bos><start_of_turn>user\nHi<end_of_turn>/);
});
