import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type AnswerFormat,
  type AnswerPiece,
  AnswerStream,
  literalsOf,
} from "../../core/generation/mod.ts";
import { FAMILIES } from "../families/table.ts";

const TOOLS = [{ name: "add", parameters: { properties: { a: { type: "integer" } } } }];
const FRAGMENTS = [
  "add",
  '{"name": "add", "arguments": {"a": 1}}',
  '{"a": 1}',
  "<function=add>",
  "<parameter=a>1</parameter>",
  "</function>",
  "<arg_key>a</arg_key>",
  "<arg_value>1</arg_value>",
  "add(a=1)",
  "call:add{a:1}",
  "to=functions.add",
  "all",
  "```",
  "[",
  "]",
  "(",
  "{",
  "}",
  "<",
  "|",
  ">",
  "\n",
  " ",
  "é🙂",
  "word",
];

function read(format: AnswerFormat, parts: readonly string[], withTools = true): AnswerPiece[] {
  const { thinking, segments, calls, noise = [] } = format;
  const stream = new AnswerStream({
    stops: [],
    ...(segments === undefined ? {} : { segments }),
    ...(thinking === undefined ? {} : { thinking: { tags: thinking, startsInside: false } }),
    tools: { calls: withTools ? calls : [], noise, callable: TOOLS },
  });
  const encoder = new TextEncoder();
  const pieces = parts.flatMap((part, token) =>
    stream.step({ kind: "tokens", tokens: [{ token, bytes: encoder.encode(part) }] })
  );
  return [...pieces, ...stream.finish("end")];
}

/** Neighbours joined. */
function joined(pieces: readonly AnswerPiece[]): string {
  let last = "";
  return pieces.map((piece) => {
    const mark = piece.kind === last ? "" : `[${piece.kind}]`;
    last = piece.kind;
    return mark + (piece.kind === "tool_call" ? JSON.stringify(piece.call) : piece.text);
  }).join("");
}

for (const { id, answer } of FAMILIES) {
  const PARTS = fc.array(fc.constantFrom(...FRAGMENTS, ...literalsOf(answer)), { maxLength: 12 });

  Deno.test(`${id}: an answer of any text is the same wherever it is cut`, () => {
    fc.assert(
      fc.property(PARTS, (parts) => {
        const text = parts.join("");
        assert.equal(joined(read(answer, [...text])), joined(read(answer, [text])));
      }),
      { numRuns: 150, seed: 11 },
    );
  });

  Deno.test(`${id}: text without a call comes out whole`, () => {
    const literals = literalsOf(answer);
    const harmless = fc.array(
      fc.constantFrom(
        "word ",
        "add ",
        "{x} ",
        "[1] ",
        "a < b ",
        ...literals.map((text) => text.slice(0, -1)),
      ),
      { maxLength: 12 },
    ).map((parts) => parts.join("")).filter((text) =>
      literals.every((mark) => !text.includes(mark))
    );
    fc.assert(
      fc.property(harmless, (text) => {
        const pieces = read(answer, [...text]);
        const shown = pieces.map((piece) => piece.kind === "content" ? piece.text : "?").join("");
        assert.equal(shown, text);
      }),
      { numRuns: 100, seed: 12 },
    );
  });
}
