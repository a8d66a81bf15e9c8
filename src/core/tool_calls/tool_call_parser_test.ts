import assert from "node:assert/strict";
import { ToolNames } from "./tool_names.ts";
import { TOOL_CALL_PREFIX_CHARS_MAX, ToolCallParser } from "./tool_call_parser.ts";
import { TOOL_CALL_CHARS_MAX } from "./call_source.ts";

const TOOLS = new ToolNames(
  ["get_weather", "add", "list_models"].map((name) => ({ name, parameters: {} })),
);

/** Calls as `name(arguments)`, content as it is, one character at a time. */
function read(tag: string, text: string): string {
  const parser = new ToolCallParser({ open: tag, close: "" }, TOOLS);
  const pieces = [...text].flatMap((character) => parser.push(character));
  pieces.push(...parser.flush());
  let count = 0;
  return pieces.map((piece) =>
    piece.kind === "content"
      ? piece.text
      : `«${count++} ${piece.call.name} ${JSON.stringify(piece.call.arguments)}»`
  ).join("");
}

const ADD = '{"name": "add", "arguments": {"b": 4, "a": 9}}';
const ADDED = '«0 add {"b":4,"a":9}»';
for (
  const [name, tag, text, expected] of [
    ["reads a call between tags", "<tool_call>", `<tool_call>\n${ADD}\n</tool_call>`, ADDED],
    [
      "reads several calls and the text around them",
      "<tool_call>",
      `Let me see.\n<tool_call>${ADD}</tool_call>\n<tool_call>{"name":"list_models"}</tool_call> Done.`,
      `Let me see.\n${ADDED}«1 list_models {}»Done.`,
    ],
    [
      "reads a list behind a tag",
      "[TOOL_CALLS]",
      `[TOOL_CALLS] [${ADD}, {"name": "list_models", "arguments": {}}]`,
      `${ADDED}«1 list_models {}»`,
    ],
    [
      "takes the name from before the object",
      "[TOOL_CALLS]",
      '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}',
      '«0 get_weather {"city":"Paris"}»',
    ],
    [
      "takes the name from a function tag",
      "<function=",
      '<function=get_weather>{"city": "Paris"}</function>ok',
      '«0 get_weather {"city":"Paris"}»ok',
    ],
    ["reads JSON at the start without a tag", "", ` ${ADD}`, ADDED],
    ["reads `parameters` for `arguments`", "{", ADD.replace("arguments", "parameters"), ADDED],
    [
      "reads arguments quoted as text",
      "",
      '{"name":"add","arguments":"{\\"a\\":1}"}',
      '«0 add {"a":1}»',
    ],
    ["reads the OpenAI shape", "", `{"type":"function","function":${ADD}}`, ADDED],
    ["reads a list without a tag", "[", `[${ADD},${ADD}]`, `${ADDED}«1 add {"b":4,"a":9}»`],
    ["reads calls separated by semicolons", "", `${ADD}; ${ADD}`, `${ADDED}«1 add {"b":4,"a":9}»`],
    [
      "reads braces inside strings",
      "",
      '{"name":"add","arguments":{"a":"}\\"{"}}',
      '«0 add {"a":"}\\"{"}»',
    ],
    ["ignores JSON later in an answer without tag", "", `Sum: ${ADD}`, `Sum: ${ADD}`],
    ["leaves JSON that isn't a call", "", '{"city": "Paris"} is it', '{"city": "Paris"} is it'],
    ["leaves a list that isn't calls", "", "[1, 2] it is", "[1, 2] it is"],
    [
      "leaves an unknown tool",
      "<tool_call>",
      '<tool_call>{"name":"rm"}</tool_call>',
      '<tool_call>{"name":"rm"}</tool_call>',
    ],
    [
      "leaves a tag with prose",
      "<tool_call>",
      "<tool_call>hello</tool_call>",
      "<tool_call>hello</tool_call>",
    ],
    [
      "finds a call after a tag that was none",
      "<tool_call>",
      `<tool_call>no</tool_call><tool_call>${ADD}</tool_call>`,
      `<tool_call>no</tool_call>${ADDED}`,
    ],
    [
      "leaves an unfinished call",
      "<tool_call>",
      'a <tool_call>{"name": "add", ',
      'a <tool_call>{"name": "add", ',
    ],
    [
      "leaves arguments that aren't an object",
      "",
      '{"name":"add","arguments":[1]}',
      '{"name":"add","arguments":[1]}',
    ],
    ["leaves broken JSON", "<tool_call>", "<tool_call>{name: add}!", "<tool_call>{name: add}!"],
    ["keeps a bracket that no list opened", "<tool_call>", `<tool_call>${ADD}] x`, `${ADDED}] x`],
    ["drops a cut closing tag", "<tool_call>", `<tool_call>${ADD}</tool`, ADDED],
    [
      "keeps punctuation behind a call",
      "<tool_call>",
      `<tool_call>${ADD}</tool_call>, and`,
      `${ADDED}, and`,
    ],
  ] as const
) {
  Deno.test(`ToolCallParser ${name}`, () => assert.equal(read(tag, text), expected));
}

Deno.test("ToolCallParser keeps the key order of the arguments", () => {
  const parser = new ToolCallParser({ open: "", close: "" }, TOOLS);
  const [piece] = parser.push('{"name":"add","arguments":{"z":1,"a":2,"m":3}}');
  assert.ok(piece?.kind === "tool_call");
  assert.deepEqual(Object.keys(piece.call.arguments), ["z", "a", "m"]);
});

Deno.test("ToolCallParser releases a call that grows past its limit", () => {
  const parser = new ToolCallParser({ open: "<t>", close: "" }, TOOLS);
  assert.deepEqual(parser.push('<t>{"name":"add","arguments":{"a":"'), []);
  const [piece] = parser.push("x".repeat(TOOL_CALL_CHARS_MAX));
  assert.ok(piece?.kind === "content" && piece.text.startsWith("<t>"));
});

Deno.test("ToolCallParser releases a tag that no object follows", () => {
  const text = "<t>" + "x".repeat(TOOL_CALL_PREFIX_CHARS_MAX + 1);
  const parser = new ToolCallParser({ open: "<t>", close: "" }, TOOLS);
  const shown = parser.push(text).map((piece) => piece.kind === "content" ? piece.text : "").join(
    "",
  );
  assert.equal(shown, text);
});
