import assert from "node:assert/strict";
import type { ChatMessage, Tool } from "../../protocol/mod.ts";
import { compileTemplate, type PromptInput } from "./mod.ts";

const DATE = new Date(2026, 2, 1);
const ALTERNATING = "{% for m in messages %}" +
  "{% if m.role not in ['user', 'assistant'] or (m.role == 'user') != (loop.index0 % 2 == 0) %}" +
  "{{ raise_exception('roles must alternate') }}{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}";
const PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls %}" +
  "[{{ c.id }} {{ c.function.name }}]{% endfor %}{% if m.tool_call_id %}({{ m.tool_call_id }})" +
  "{% endif %}{% endfor %}{% for t in tools %}{{ t | tojson }}{% endfor %}";

function render(jinjaTemplate: string, input: Partial<PromptInput>): string {
  return compileTemplate({ jinjaTemplate }).render({ messages: [], date: DATE, ...input }).text;
}

function turns(...all: [role: string, content: string][]): ChatMessage[] {
  return all.map(([role, content]) => ({ role, content }));
}

const CALLED: readonly ChatMessage[] = [
  { role: "user", content: "Weather?" },
  {
    role: "assistant",
    content: "",
    toolCalls: [{ id: "call_x", name: "f", arguments: {} }, { name: "f", arguments: { a: null } }],
  },
  { role: "tool", content: "warm", toolName: "f", toolCallId: "call_x" },
  { role: "tool", content: "cold", toolName: "f" },
];

Deno.test("a template that takes the conversation gets it as it is", () => {
  const messages = turns(["user", "a"], ["system", "S"], ["user", "b"]);
  assert.equal(render(PLAIN, { messages }), "<user>a<system>S<user>b");
});

Deno.test("system text that a template refuses leads the first user's message", () => {
  const messages = turns(["system", "S"], ["user", "u"]);
  assert.equal(render(ALTERNATING, { messages }), "<user>S\n\nu");
});

Deno.test("a system message that a template passes over in silence is not lost", () => {
  const silent = "{% for m in messages %}{% if m.role != 'system' or loop.first %}<{{ m.role }}>" +
    "{{ m.content }}{% endif %}{% endfor %}";
  const messages = turns(["user", "a"], ["assistant", "b"], ["system", "late"], ["user", "c"]);
  assert.equal(render(silent, { messages }), "<system>late<user>a<assistant>b<user>c");
});

Deno.test("neighbours of one role become one where roles must alternate", () => {
  const messages = turns(["user", "part one"], ["user", "part two"]);
  assert.equal(render(ALTERNATING, { messages }), "<user>part one\n\npart two");
});

Deno.test("calls and results are told in words where a template knows neither", () => {
  const text = render(ALTERNATING, { messages: CALLED });
  assert.match(text, /^<user>Weather\?<assistant>\{"name":"f","arguments":\{\}\}/);
  assert.match(text, /<user>Result of f:\nwarm\n\nResult of f:\ncold$/);
});

Deno.test("role developer is system text to templates that don't know it", () => {
  const messages = turns(["developer", "D"], ["user", "u"]);
  assert.equal(render(PLAIN, { messages }), "<system>D<user>u");
  const knowing = PLAIN + "{% if messages[0].role == 'developer' %}!{% endif %}";
  assert.equal(render(knowing, { messages }), "<developer>D<user>u!");
});

Deno.test("calls without an id get one, which their results name", () => {
  assert.equal(
    render(PLAIN, { messages: CALLED }),
    "<user>Weather?<assistant>[call_x f][call00001 f]<tool>warm(call_x)<tool>cold(call00001)",
  );
});

Deno.test("a family with strict ids gets nine letters and digits, results as well", () => {
  const text = render(`${PLAIN}{# [TOOL_CALLS] #}`, { messages: CALLED });
  assert.match(
    text,
    /\[call00000 f\]\[call00001 f\]<tool>warm\(call00000\)<tool>cold\(call00001\)/,
  );
});

Deno.test("a family whose ids hold the name gets them numbered", () => {
  const text = render(`${PLAIN}{# <|tool_call_argument_begin|> #}`, { messages: CALLED });
  assert.match(text, /\[functions\.f:0 f\]\[functions\.f:1 f\]/);
});

Deno.test("types that are no single word become one where a template can't take them", () => {
  const words =
    "{% for t in tools %}{{ t.function.name }}{% for n, p in t.function.parameters.properties.items() %}" +
    "{% if p.type is not string %}{{ raise_exception('type') }}{% endif %} {{ n }}:{{ p.type }}" +
    "{% endfor %}{% endfor %}{% for m in messages %}{{ m.content }}{% endfor %}";
  const tools: Tool[] = [{
    type: "function",
    function: {
      name: "f",
      parameters: {
        properties: {
          a: { type: ["null", "integer"] },
          b: { anyOf: [{ type: "null" }, { type: "boolean" }] },
          c: { enum: ["x"] },
        },
      },
    },
  }];
  const text = render(words, { messages: turns(["user", "hi"]), tools });
  assert.equal(text, "f a:integer b:boolean c:stringhi");
});

Deno.test("a template that goes over parts of the content gets parts", () => {
  const parts =
    "{% for m in messages %}{% for p in m.content %}{% if p.type == 'text' %}[{{ p.text }}]" +
    "{% endif %}{% endfor %}{% endfor %}";
  assert.equal(render(parts, { messages: turns(["user", "hello"]) }), "[hello]");
});

Deno.test("a template that takes no repair refuses with its own first reason", () => {
  const refusing = "{{ raise_exception('never: ' ~ messages[0].role) }}";
  assert.throws(
    () => render(refusing, { messages: turns(["system", "S"], ["user", "u"]) }),
    /never: system/,
  );
});

Deno.test("a template that shows calls but no tools is told of them in the system text", () => {
  const deaf = PLAIN.split("{% for t in tools %}")[0] ?? "";
  const compiled = compileTemplate({ jinjaTemplate: deaf });
  assert.equal(compiled.capabilities.tools, true);
  const tools = [{ type: "function", function: { name: "get_time", parameters: {} } }];
  const { text } = compiled.render({
    messages: turns(["system", "S"], ["user", "u"]),
    tools,
    date: DATE,
  });
  assert.match(text, /^<system>S\n\n# Tools[\s\S]*"get_time"[\s\S]*<user>u$/);
});

Deno.test("an answer that was begun goes on where content goes, its thinking over", () => {
  const thinking = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>" +
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% else %}<think>\n{% endif %}";
  const messages = turns(["user", "u"], ["assistant", "Well"]);
  assert.equal(
    render(thinking, { messages, think: true }),
    "<user>u<assistant><think></think>Well",
  );
  const silent =
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>{# </think> #}";
  assert.equal(render(silent, { messages }), "<user>u<assistant><think>\n\n</think>\n\nWell");
});
