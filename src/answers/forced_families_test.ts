import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import { Random } from "../base/mod.ts";
import { type AnswerPiece, AnswerStream, literalsOf } from "../core/generation/mod.ts";
import { GbnfMatcher } from "../core/grammar/gbnf_matcher_test.ts";
import type { ThinkLevel, Tool } from "../protocol/mod.ts";
import { FAMILIES } from "../models/families/table.ts";
import type { Family } from "../models/families/mod.ts";
import { compileTemplate } from "../models/template/mod.ts";
import { forcedCall } from "./forced_call.ts";
import { readingOf, writingOf } from "./reading.ts";

/** Calls that are drawn for each family, and with each set of tools. */
const CALLS = 20;
const DATE = new Date(2026, 2, 1);

function tool(name: string, parameters: Readonly<Record<string, unknown>>): Tool {
  return { type: "function", function: { name, description: `Does ${name}.`, parameters } };
}

const TEXT = { type: "string" };
const PLAIN: readonly Tool[] = [
  tool("get_weather", {
    type: "object",
    properties: {
      city: TEXT,
      days: { type: "integer", minimum: 1, maximum: 9 },
      unit: { type: "string", enum: ["celsius", "fahrenheit"] },
      note: { anyOf: [TEXT, { type: "null" }] },
      wind: { type: "boolean" },
      ratio: { type: "number" },
    },
    required: ["city", "days"],
  }),
  tool("set_route", {
    type: "object",
    properties: {
      stops: { type: "array", items: { $ref: "#/$defs/stop" }, minItems: 1, maxItems: 3 },
      anything: {},
      kind: { const: "road" },
    },
    required: ["stops"],
    additionalProperties: false,
    $defs: {
      stop: {
        type: "object",
        properties: { at: TEXT, minutes: { type: "integer" } },
        required: ["at"],
      },
    },
  }),
  tool("list-models", { type: "object", properties: {} }),
  tool("needs_unnamed", { type: "object", properties: { a: TEXT }, required: ["a", "b"] }),
];
/** What only JSON can hold: names with blanks, and what is said of the object as a whole. */
const ODD: readonly Tool[] = [
  tool("odd_key", { type: "object", properties: { "a key": TEXT }, required: ["a key"] }),
  tool("either", {
    type: "object",
    properties: { a: TEXT, b: { type: "integer" } },
    anyOf: [{ required: ["a"] }, { required: ["b"] }],
  }),
  tool("angled", { type: "object", properties: { tag: { enum: ["</b>"], type: "string" } } }),
  tool("record", { type: "object", additionalProperties: { type: "integer" }, minProperties: 1 }),
];

/** What is asked, and how the answer to it is read and written. */
function turnOf(family: Family, tools: readonly Tool[], think: ThinkLevel | undefined) {
  const renderer = compileTemplate({ renderer: family.id });
  const messages = [{ role: "user", content: "Question?" }];
  const thinking = think === undefined ? {} : { think };
  const prompt = renderer.render({ messages, tools, date: DATE, isChat: true, ...thinking });
  const parts = { template: { traits: renderer }, resolved: { stop: [] }, prompt, think };
  const forced = forcedCall(tools, "required", writingOf(parts));
  assert.ok(forced !== undefined);
  // Thinking that is no part of the answer's own is over before the grammar begins.
  const atContent = { ...parts, prompt: { ...prompt, startsInsideThinking: false }, forced, tools };
  return { forced, options: readingOf(atContent, false).stream };
}

function read(options: ConstructorParameters<typeof AnswerStream>[0], parts: readonly string[]) {
  const stream = new AnswerStream(options);
  const encoder = new TextEncoder();
  const pieces: AnswerPiece[] = parts.flatMap((part, token) =>
    stream.step({ kind: "tokens", tokens: [{ token, bytes: encoder.encode(part) }] })
  );
  return [...pieces, ...stream.finish("end")];
}

function textOf(pieces: readonly AnswerPiece[], kind: "content" | "thinking"): string {
  return pieces.map((piece) => piece.kind === kind ? piece.text : "").join("");
}

/** Every text that the grammar allows is one call of one of the tools with arguments that its schema allows. */
function assertCalls(
  family: Family,
  tools: readonly Tool[],
  think: ThinkLevel | undefined,
): boolean {
  const { forced, options } = turnOf(family, tools, think);
  const matcher = new GbnfMatcher(forced.grammar);
  const random = new Random(7);
  const validators = new Map(
    tools.map((one) =>
      [one.function.name, new Ajv2020({ strict: false }).compile(one.function.parameters)] as const
    ),
  );
  for (let round = 0; round < CALLS; round++) {
    const text = matcher.sample((count) => random.below(count));
    const pieces = read(options, [text]);
    const calls = pieces.filter((piece) => piece.kind === "tool_call").map(({ call }) => call);
    const [call] = calls;
    assert.ok(calls.length === 1 && call !== undefined, `${text}\n${JSON.stringify(pieces)}`);
    assert.equal(textOf(pieces, "content").trim(), "", text);
    const isValid = validators.get(call.name);
    assert.ok(isValid?.(call.arguments), `${text}\n${JSON.stringify([call, isValid?.errors])}`);
    const cut = read(options, [...text]).filter((piece) => piece.kind === "tool_call");
    assert.deepEqual(cut.map((piece) => piece.call), [call], `cut: ${text}`);
  }
  return forced.isOwn;
}

for (const family of FAMILIES) {
  Deno.test(`${family.id}: a call that is asked for comes in the family's own way, and only so`, () => {
    for (const think of [true, false]) {
      assert.equal(assertCalls(family, PLAIN, think), true);
    }
    const isJson = family.calls.call.arguments === "json";
    for (const odd of ODD) {
      assert.equal(assertCalls(family, [odd], undefined), isJson, odd.function.name);
    }
  });
}

/** A call of `get_weather` in Paris, from where a call may begin: as the family's prompts show an earlier one. */
function shownCall(family: Family, isCall: (text: string) => boolean): string | undefined {
  const renderer = compileTemplate({ renderer: family.id });
  const id = "functions.get_weather:0";
  const { text } = renderer.render({
    messages: [
      { role: "user", content: "Question?" },
      {
        role: "assistant",
        content: "",
        toolCalls: [{ id, name: "get_weather", arguments: { city: "Paris", days: 2 } }],
      },
      { role: "tool", content: "OVER", toolName: "get_weather", toolCallId: id },
    ],
    tools: PLAIN,
    date: DATE,
  });
  const from = text.lastIndexOf("Question?");
  const shown = text.slice(from, text.indexOf("OVER", from));
  const name = shown.indexOf("get_weather");
  const city = shown.indexOf("Paris") + 1;
  for (let start = name; start >= 0; start--) {
    for (let end = city; end <= shown.length; end++) {
      if (isCall(shown.slice(start, end))) return shown.slice(start, end);
    }
  }
  return undefined;
}

/** What ends something in one family or another, and what looks as if it were no text. */
const ENDS = [
  ...new Set(FAMILIES.flatMap(({ answer }) => literalsOf(answer))),
  "</parameter>",
  "</param>",
]
  .concat(["<parameter=days>", "<arg_key>", "</arg_value>", "</invoke>", '<|"|>', "<escape>"]);
const HARMLESS = [
  "12",
  "null",
  "true",
  "a < b > c",
  "C:\\dir",
  "it's {x} [1]",
  "two\n\nlines",
  "žluť 🦊",
];

for (const family of FAMILIES) {
  Deno.test(`${family.id}: a call that is asked for is one that its prompts would show, whatever its texts hold`, () => {
    const { forced, options } = turnOf(family, PLAIN, false);
    const matcher = new GbnfMatcher(forced.grammar);
    const call = shownCall(family, (text) => matcher.accepts(text));
    assert.ok(call !== undefined, forced.grammar.slice(0, 300));
    const { arguments: args } = family.calls.call;
    if (args === "json" || args.mark === "json") return;
    for (const value of [...HARMLESS, ...ENDS.map((end) => `a${end}b`)]) {
      const text: string = call.replace("Paris", () => value);
      const isAllowed = matcher.accepts(text);
      assert.ok(isAllowed || !HARMLESS.includes(value), value);
      if (!isAllowed) continue;
      const cities = read(options, [text]).flatMap((piece) =>
        piece.kind === "tool_call" ? [piece.call.arguments["city"]] : []
      );
      assert.deepEqual(cities, [value], text);
    }
  });
}
