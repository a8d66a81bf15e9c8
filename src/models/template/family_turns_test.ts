import assert from "node:assert/strict";
import fc from "fast-check";
import { type AnswerPiece, AnswerStream } from "../../core/generation/mod.ts";
import { readingOf } from "../../answers/reading.ts";
import type { ChatMessage, Tool } from "../../protocol/mod.ts";
import { type Family, familyOfTemplate } from "../families/mod.ts";
import { FAMILIES } from "../families/table.ts";
import { familyRow } from "../../../tests/families/family_row.ts";
import { SHAPES } from "../../../tests/families/shapes.ts";
import { compileTemplate, type PromptRenderer } from "./mod.ts";

const DATE = new Date(2026, 2, 1);
const TOOLS: readonly Tool[] = ["get_weather", "add"].map((name) => ({
  type: "function",
  function: {
    name,
    description: `Does ${name}.`,
    parameters: {
      type: "object",
      required: ["s"],
      properties: {
        s: { type: "string" },
        n: { type: "integer" },
        b: { type: "boolean" },
        l: { type: "array" },
        o: { type: "object" },
      },
    },
  },
}));
const USER: ChatMessage = { role: "user", content: "Question?" };

/** One answer as a reader has it. */
interface Said {
  readonly thinking: string;
  readonly content: string;
  readonly calls: readonly { readonly name: string; readonly arguments: Record<string, unknown> }[];
}

const WORDS = fc.array(
  fc.constantFrom(
    "Let",
    "me",
    "see",
    "2 < 3",
    "{x}",
    "[1]",
    "naïve",
    "🙂",
    "`code`",
    "a\n\nb",
    "'q'",
  ),
  { minLength: 1, maxLength: 6 },
).map((words) => `Well ${words.join(" ")} done`);
const TEXTS = fc.constantFrom(
  "Paris",
  "",
  "12",
  "true",
  'say "hi"',
  "it's",
  "a\nb",
  "C:\\dir",
  "{brace}",
  "[x]",
  "1 < 2 > 0",
  "žluťoučký 🦊",
  "k=v, w",
  "call(1)",
);
const ARGUMENTS = fc.record({
  s: TEXTS,
  n: fc.integer({ min: -999, max: 999 }),
  b: fc.boolean(),
  l: fc.constantFrom([], [1, "two", null], [[true]]),
  o: fc.constantFrom({}, { a: 1, b: { c: "d" } }),
}, { requiredKeys: ["s"], noNullPrototype: true });
const CALLS = fc.array(
  fc.record({ name: fc.constantFrom("get_weather", "add"), arguments: ARGUMENTS }, {
    noNullPrototype: true,
  }),
  { maxLength: 3 },
);

function saidBy(family: Family): fc.Arbitrary<Said> {
  const thinks = family.answer.thinking !== undefined &&
      family.template.includes(family.answer.thinking.close) || family.thinks === true;
  const isBare = family.answer.segments === undefined &&
    family.answer.calls.every(({ open }) => open === "" || !family.template.includes(open));
  return fc.record({
    thinking: thinks ? fc.option(WORDS, { nil: "" }) : fc.constant(""),
    content: fc.option(WORDS, { nil: "" }),
    calls: CALLS,
  }, { noNullPrototype: true }).filter(({ content, calls }) => content !== "" || calls.length > 0)
    // Without a tag a call is only found where the answer begins with it.
    .map((said) => isBare && said.calls.length > 0 ? { ...said, content: "" } : said);
}

function messageOf({ thinking, content, calls }: Said): ChatMessage {
  return {
    role: "assistant",
    content,
    ...(thinking === "" ? {} : { thinking }),
    ...(calls.length === 0 ? {} : { toolCalls: calls }),
  };
}

function sharedStart(a: string, b: string): string {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return a.slice(0, length);
}

function sharedEnd(a: string, b: string): string {
  let length = 0;
  while (length < a.length && a.at(-1 - length) === b.at(-1 - length)) length++;
  return a.slice(a.length - length);
}

/** What the model would have to write, and the prompt it would write it behind. */
function writtenBy(renderer: PromptRenderer, said: Said): { prompt: string; answer: string } {
  const render = (...turns: ChatMessage[]) =>
    renderer.render({ messages: turns, tools: TOOLS, think: true, date: DATE }).text;
  const next: ChatMessage = { role: "user", content: "Next." };
  const whole = render(USER, messageOf(said), next);
  const plain = ["Xa", "Yb"].map((content) => render(USER, { role: "assistant", content }, next));
  const [first = "", second = ""] = plain;
  const prompt = render(USER);
  const start = whole.startsWith(prompt) && (said.thinking !== "" || !prompt.endsWith("<think>\n"))
    ? prompt
    : sharedStart(first, second);
  // Two tags may share their last characters.
  const end = sharedEnd(whole, sharedEnd(first, second)).replace(/^[^<]{1,2}(?=<)/, "");
  return { prompt: start, answer: whole.slice(start.length, -end.length) };
}

function read(renderer: PromptRenderer, text: { prompt: string; answer: string }, cut: number) {
  const { open = "\0" } = renderer.thinkingTags ?? {};
  const startsInsideThinking = text.prompt.trimEnd().endsWith(open.trim());
  const { stream: options } = readingOf({
    template: { traits: renderer },
    resolved: { stop: [] },
    prompt: { text: text.prompt, startsInsideThinking },
    think: true,
    tools: TOOLS,
  }, false);
  const stream = new AnswerStream(options);
  const bytes = new TextEncoder().encode(text.answer);
  const pieces: AnswerPiece[] = [];
  for (let at = 0; at < bytes.length; at += cut) {
    const tokens = [{ token: at, bytes: bytes.slice(at, at + cut) }];
    pieces.push(...stream.step({ kind: "tokens", tokens }));
  }
  pieces.push(...stream.finish("end"));
  return pieces;
}

function saidIn(pieces: readonly AnswerPiece[]): Said {
  const textOf = (kind: "thinking" | "content") =>
    pieces.map((piece) => piece.kind === kind ? piece.text : "").join("").trim();
  return {
    thinking: textOf("thinking"),
    content: textOf("content"),
    calls: pieces.flatMap((piece) => {
      if (piece.kind !== "tool_call") return [];
      const { name, arguments: args } = piece.call;
      return [{ name, arguments: args }];
    }),
  };
}

for (const family of FAMILIES) {
  Deno.test(`${family.id}: what is rendered is read again, wherever it is cut`, () => {
    const renderer = compileTemplate({ renderer: family.id });
    fc.assert(
      fc.property(saidBy(family), (said) => {
        const text = writtenBy(renderer, said);
        const whole = read(renderer, text, text.answer.length * 4);
        assert.deepEqual(saidIn(whole), said, JSON.stringify(text));
        const bytewise = read(renderer, text, 1);
        assert.deepEqual(saidIn(bytewise), said, JSON.stringify(text));
      }),
      { numRuns: 40, seed: 7 },
    );
  });
}

for (const family of FAMILIES) {
  Deno.test(`${family.id}: its own template shows every shape of conversation whole`, () => {
    const renderer = compileTemplate({ renderer: family.id });
    for (const { name, input, shows } of SHAPES) {
      const { text } = renderer.render({ ...input, date: DATE });
      assert.deepEqual(shows.filter((part) => !text.includes(part)), [], name);
    }
    const { cells } = familyRow(family);
    assert.deepEqual(Object.entries(cells).filter(([, cell]) => cell === "FAILS"), []);
  });
}

Deno.test("an answer that was begun is the end of every family's prompt, with its thinking over", () => {
  const messages: ChatMessage[] = [USER, { role: "assistant", content: "Well, the" }];
  for (const { id, answer } of FAMILIES) {
    const renderer = compileTemplate({ renderer: id });
    for (const think of [undefined, true, false]) {
      const thinking = think === undefined ? {} : { think };
      const input = { messages, date: DATE, isChat: true, ...thinking };
      const { text, startsInsideThinking } = renderer.render(input);
      assert.ok(text.endsWith("Well, the"), `${id}: ${text}`);
      const { open = "\0", close = "\0" } = answer.thinking ?? {};
      const isOver = text.lastIndexOf(open) <= text.lastIndexOf(close);
      assert.ok(isOver && !startsInsideThinking, `${id}: ${text}`);
    }
  }
});

/** Their own templates tell of calls in another family's words, or lack what only their makers' have. */
const UNRECOGNISED = ["mistral-v1", "phi", "smollm3"];

Deno.test("a template of a family is read as that family writes its calls", () => {
  const others = FAMILIES.filter(({ template, answer }) => {
    const found = familyOfTemplate(template)?.answer;
    return JSON.stringify([found?.calls, found?.segments]) !==
      JSON.stringify([answer.calls, answer.segments]);
  });
  assert.deepEqual(others.map(({ id }) => id), UNRECOGNISED);
});

Deno.test("each RENDERER and PARSER name means one family", () => {
  const names = FAMILIES.flatMap(({ id, names }) => [id, ...names.filter((name) => name !== id)]);
  assert.equal(new Set(names).size, names.length);
});
