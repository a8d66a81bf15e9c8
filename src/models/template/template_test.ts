import assert from "node:assert/strict";
import type { ChatMessage, Tool } from "../../protocol/mod.ts";
import { compileTemplate, type PromptInput } from "./mod.ts";
import tiny from "./tiny_prompts.json" with { type: "json" };

const DATE = new Date(2026, 2, 1, 15, 4, 5);

function chat(...turns: [role: string, content: string][]): ChatMessage[] {
  return turns.map(([role, content]) => ({ role, content }));
}

function render(goTemplate: string, input: Partial<PromptInput>): string {
  return compileTemplate({ goTemplate }).render({ messages: [], date: DATE, ...input }).text;
}

const WEATHER: Tool = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Weather & more",
    parameters: {
      type: "object",
      required: ["city"],
      properties: {
        unit: { enum: ["C", "F"], type: ["string", "null"] },
        city: { description: "Where", type: "string", default: "dropped" },
      },
    },
  },
};

const CHATML = "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}" +
  "<|im_start|>assistant\n";
const LEGACY = "{{ if .System }}[S]{{ .System }}[/S]{{ end }}{{ if .Prompt }}[U]{{ .Prompt }}[/U]" +
  "{{ end }}[A]{{ .Response }}[/A]";

Deno.test("a template over .Messages is executed once, neighbours of one role merged", () => {
  const messages = chat(["system", "S"], ["user", "a"], ["user", "b"], ["tool", "1"], [
    "tool",
    "2",
  ]);
  assert.equal(
    render("{{ .System }}|{{ range .Messages }}{{ .Role }}={{ .Content }};{{ end }}", { messages }),
    "S|system=S;user=a\n\nb;tool=1;tool=2;",
  );
});

Deno.test("all system texts are joined in .System, wherever they stand", () => {
  const messages = chat(["system", "a"], ["user", "u"], ["system", "b"]);
  assert.equal(render("{{ .System }}{{ range .Messages }}{{ end }}", { messages }), "a\n\nb");
});

Deno.test("a template without .Messages is executed per round and cut after .Response", () => {
  const messages = chat(["system", "s"], ["user", "u1"], ["assistant", "a1"], ["user", "u2"]);
  assert.equal(render(LEGACY, { messages }), "[S]s[/S][U]u1[/U][A]a1[/A][U]u2[/U][A]");
});

Deno.test("a template without .Messages and .Response gets .Response appended", () => {
  const messages = chat(["user", "u1"], ["assistant", "a1"], ["user", "u2"]);
  assert.equal(render("<{{ .Prompt }}>", { messages }), "<u1>a1<u2>");
});

Deno.test("a .Response inside a branch cuts what follows the branch", () => {
  const source = "{{ .Prompt }}{{ if true }}:{{ .Response }}!{{ else }}?{{ end }}end";
  assert.equal(render(source, { messages: chat(["user", "u"]) }), "u:");
});

Deno.test("system and prompt of the input frame the messages; the begun answer comes last", () => {
  const input = { messages: chat(["assistant", "hi"]), system: "s", prompt: "p", response: "Sure" };
  assert.equal(
    render(CHATML, input),
    "<|im_start|>system\ns<|im_end|>\n<|im_start|>assistant\nhi<|im_end|>\n" +
      "<|im_start|>user\np<|im_end|>\n<|im_start|>assistant\nSure",
  );
});

Deno.test("a template with .Suffix fills gaps from prompt and suffix alone", () => {
  const source =
    "{{ if .Suffix }}<PRE>{{ .Prompt }}<SUF>{{ .Suffix }}<MID>{{ else }}{{ .Prompt }}{{ end }}";
  assert.equal(compileTemplate({ goTemplate: source }).capabilities.insert, true);
  assert.equal(render(source, { prompt: "a", suffix: "b", system: "s" }), "<PRE>a<SUF>b<MID>");
  assert.equal(render(source, { prompt: "a" }), "a");
});

Deno.test("tools print as JSON in the contract's shape, names sorted", () => {
  const json =
    '{"type":"function","function":{"name":"get_weather","description":"Weather \\u0026 more",' +
    '"parameters":{"type":"object","required":["city"],"properties":{"city":{"type":"string",' +
    '"description":"Where"},"unit":{"type":["string","null"],"enum":["C","F"]}}}}}';
  const tools = [WEATHER];
  const messages = chat(["user", "u"]);
  assert.equal(render("{{ .Messages | len }}{{ .Tools }}", { messages, tools }), `1[${json}]`);
  assert.equal(
    render("{{ if .Messages }}{{ range .Tools }}{{ json . }}{{ end }}{{ end }}", {
      messages,
      tools,
    }),
    json,
  );
  assert.equal(
    render(
      "{{ if .Messages }}{{ range .Tools }}{{ range $n, $p := .Function.Parameters.Properties }}" +
        "{{ $n }}:{{ $p.Type }}:{{ toTypeScriptType $p }} {{ end }}{{ end }}{{ end }}",
      { messages, tools },
    ),
    "city:string:string unit:[string null]:string | null ",
  );
  assert.equal(render("{{ .Messages | len }}{{ if .Tools }}x{{ end }}", { messages }), "1");
  assert.equal(
    render("{{ .Messages | len }}{{ .Tools }}{{ json .Tools }}", { messages }),
    "1nullnull",
  );
});

Deno.test("a template that calls one which isn't defined is refused before any conversation meets it", () => {
  const missing = '{{ if .Suffix }}{{ template "none" . }}{{ end }}{{ .Prompt }}';
  assert.throws(() => compileTemplate({ goTemplate: missing }), /template "none" not defined/);
  const inner = '{{ define "outer" }}{{ template "none" }}{{ end }}{{ .Prompt }}';
  assert.throws(() => compileTemplate({ goTemplate: inner }), /template "none" not defined/);
  const later = '{{ template "late" . }}{{ define "late" }}{{ .Prompt }}{{ end }}';
  assert.equal(render(later, { prompt: "p" }), "p");
});

Deno.test("tool calls of earlier turns print their arguments as JSON", () => {
  const messages: ChatMessage[] = [{
    role: "assistant",
    content: "",
    toolCalls: [{ id: "c1", name: "add", arguments: { b: 2, a: "<x>" } }],
  }, { role: "tool", content: "3", toolName: "add", toolCallId: "c1" }];
  const source = "{{ range .Messages }}{{ range .ToolCalls }}{{ .ID }} {{ .Function.Name }} " +
    "{{ .Function.Arguments }}{{ end }}{{ .ToolName }}{{ .ToolCallID }}{{ end }}";
  assert.equal(render(source, { messages }), 'c1 add {"a":"\\u003cx\\u003e","b":2}addc1');
});

Deno.test("thinking variables follow the request", () => {
  const source = "{{ .Prompt }}{{ .Think }} {{ .ThinkLevel }} {{ .IsThinkSet }}";
  const messages = chat(["user", ""]);
  assert.equal(render(source, { messages }), "false  false");
  assert.equal(render(source, { messages, think: false }), "false  true");
  assert.equal(render(source, { messages, think: true }), "true medium true");
  assert.equal(render(source, { messages, think: "high" }), "true high true");
});

Deno.test("images become numbered markers, in place of [img] where it stands", () => {
  const image = new Uint8Array([1]);
  const messages: ChatMessage[] = [
    { role: "user", content: "a", images: [image, image] },
    { role: "user", content: "look [img]!", images: [image] },
  ];
  const rendered = compileTemplate({ goTemplate: "{{ .Prompt }}" }).render({
    messages,
    date: DATE,
  });
  assert.equal(rendered.text, "[img-0][img-1]a\n\nlook [img-2]!");
  assert.equal(rendered.imageCount, 3);
});

Deno.test("tool tag and thinking tags are read out of the template", () => {
  const compiled = compileTemplate({
    goTemplate: "{{ if .Tools }}{{ .Tools }}{{ end }}{{ range $i, $m := .Messages }}" +
      "{{ if $m.Thinking }}\n<think>{{ $m.Thinking }}</think>\n{{ end }}{{ .Content }}" +
      '{{ if .ToolCalls }}\n{{ range .ToolCalls }}<tool_call>\n{"name": "{{ .Function.Name }}"}' +
      "</tool_call>{{ end }}{{ end }}{{ end }}<think>",
  });
  assert.deepEqual(compiled.capabilities, { tools: true, thinking: true, insert: false });
  assert.equal(compiled.toolCallTag, "<tool_call>");
  assert.deepEqual(compiled.thinkingTags, { open: "<think>", close: "</think>" });
  assert.equal(compiled.render({ messages: [], date: DATE }).startsInsideThinking, true);
});

Deno.test("a list bracket after the tool tag isn't part of it, and no text is no tag", () => {
  const tagOf = (inner: string) =>
    compileTemplate({
      goTemplate: `{{ range .Messages }}{{ if .ToolCalls }}${inner}{{ end }}{{ end }}`,
    })
      .toolCallTag;
  assert.equal(tagOf('[TOOL_CALLS] [{{ range .ToolCalls }}{"name"}{{ end }}]'), "[TOOL_CALLS]");
  assert.equal(tagOf('{{ range .ToolCalls }}{"name"}{{ end }}'), "");
  assert.equal(tagOf("{{ .ToolCalls }}<late>"), "");
});

Deno.test("without any template the prompt is the text alone", () => {
  const compiled = compileTemplate({});
  assert.equal(compiled.kind, "none");
  assert.equal(compiled.render({ messages: [], prompt: "Once", date: DATE }).text, "Once");
});

Deno.test("the chat template of tiny renders every prompt it was trained on", () => {
  const compiled = compileTemplate({ jinjaTemplate: tiny.template, bosText: "<s>" });
  assert.deepEqual(compiled.capabilities, { tools: true, thinking: false, insert: false });
  assert.equal(compiled.toolCallTag, "<tool_call>");
  for (const { messages, prompt, ...rest } of tiny.cases) {
    const asked = messages.map((message) => ({
      role: message.role,
      content: message.content,
      toolCalls: ("tool_calls" in message ? message.tool_calls ?? [] : []).map((call) =>
        call.function
      ),
    }));
    const tools = "tools" in rest ? rest.tools ?? [] : [];
    assert.equal(compiled.render({ messages: asked, tools, date: DATE }).text, prompt);
  }
});

const JINJA = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}" +
  "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

Deno.test("a chat template gets special tokens, and an answer already begun stays open", () => {
  const compiled = compileTemplate({ jinjaTemplate: JINJA, bosText: "[B]", eosText: "[E]" });
  const messages = chat(["user", "u"], ["assistant", "Well"]);
  assert.equal(compiled.render({ messages, date: DATE }).text, "[B]<user>u[E]<assistant>Well");
});

Deno.test("a chat template learns whether to think, and may open the thinking itself", () => {
  const jinjaTemplate = JINJA +
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% else %}<think>\n{% endif %}";
  const compiled = compileTemplate({ jinjaTemplate });
  const messages = chat(["user", "u"]);
  assert.equal(compiled.capabilities.thinking, true);
  assert.equal(compiled.render({ messages, date: DATE, think: true }).startsInsideThinking, true);
  const off = compiled.render({ messages, date: DATE, think: false });
  assert.equal(off.text, "<user>u<assistant><think></think>");
  assert.equal(off.startsInsideThinking, false);
});

Deno.test("a chat template is asked in the form of arguments it understands", () => {
  const asText = "{% for m in messages %}{% if m.tool_calls %}{% for c in m.tool_calls %}" +
    "[CALL]{{ c.function.name + c.function.arguments }}{% endfor %}{% else %}{{ m.content }}{% endif %}{% endfor %}";
  const compiled = compileTemplate({ jinjaTemplate: asText });
  assert.equal(compiled.toolCallTag, "[CALL]");
  const toolCalls = [{ name: "add", arguments: { a: 1 } }];
  const messages = [...chat(["user", "u"]), { role: "assistant", content: "", toolCalls }];
  assert.equal(compiled.render({ messages, date: DATE }).text, 'u[CALL]add{"a":1}');
});

Deno.test("a chat template reads the date it is given", () => {
  const jinjaTemplate = "{{ strftime_now('%d %b %Y %H:%M %p %-d %A %j %q %%') }}";
  assert.equal(
    compileTemplate({ jinjaTemplate }).render({ messages: [], date: DATE }).text,
    "01 Mar 2026 15:04 PM 1 Sunday 060 %q %",
  );
});

Deno.test("a chat template that raises, doesn't end or doesn't parse is refused", () => {
  const failing = (jinjaTemplate: string) => () =>
    compileTemplate({ jinjaTemplate }).render({ messages: chat(["user", "u"]), date: DATE });
  const refused = { code: "invalid_template" };
  assert.throws(failing("{{ raise_exception('roles must alternate') }}"), /roles must alternate/);
  assert.throws(failing("{% for m in %}"), refused);
  assert.throws(failing("{{ range(1000000000) }}"), refused);
  const loops = "{% for a in range(9000) %}".repeat(2) + "{{ a }}".repeat(60) +
    "{% endfor %}".repeat(2);
  assert.throws(failing(loops), refused);
});

Deno.test("a chat template wins over a Go template only when it can do as much, and more than chat", () => {
  const goTemplate = LEGACY + "{{ .Suffix }}";
  const both = { goTemplate, jinjaTemplate: tiny.template };
  assert.equal(compileTemplate(both).kind, "jinja");
  assert.equal(compileTemplate(both).capabilities.insert, true);
  assert.equal(compileTemplate({ ...both, preferGo: "always" }).kind, "go");
  assert.equal(compileTemplate({ goTemplate, jinjaTemplate: JINJA }).kind, "go");
  assert.equal(compileTemplate({ goTemplate, jinjaTemplate: "{% bad" }).kind, "go");
  const withTools = `${goTemplate}{{ .Tools }}`;
  assert.equal(compileTemplate({ ...both, goTemplate: withTools }).kind, "jinja");
  assert.equal(compileTemplate({ goTemplate: withTools, jinjaTemplate: JINJA }).kind, "go");
});
