import assert from "node:assert/strict";
import { ThinkingParser } from "./thinking_parser.ts";

const TAGS = { open: "<think>", close: "</think>" };

function split(text: string, startsInside = false): string {
  const parser = new ThinkingParser(TAGS, { startsInside });
  // One character at a time is the hardest way to be cut.
  const pieces = [...text].flatMap((character) => parser.push(character));
  pieces.push(...parser.flush());
  const of = (kind: string) => pieces.filter((p) => p.kind === kind).map((p) => p.text).join("");
  return `${of("thinking")}|${of("content")}`;
}

for (
  const [name, text, startsInside, expected] of [
    ["splits thinking from content", "<think>a b</think>c", false, "a b|c"],
    ["drops white space next to the tags", "\n<think>\n a\n\n</think>\n\n c ", false, "a|c "],
    ["keeps white space inside thinking", "<think>a\n\nb</think>c", false, "a\n\nb|c"],
    ["starts inside when the prompt opened the tag", "a</think>c", true, "a|c"],
    [
      "leaves an answer without tag alone",
      "  no <think>x</think>",
      false,
      "|  no <think>x</think>",
    ],
    ["gives out a partial opening tag at the end", "<thi", false, "|<thi"],
    ["gives out a partial closing tag at the end", "<think>a</thi", false, "a</thi|"],
    [
      "keeps text that only looks like a closing tag",
      "<think>a</thing></think>c",
      false,
      "a</thing>|c",
    ],
    ["accepts empty thinking", "<think>\n\n</think>\n\nc", false, "|c"],
    [
      "leaves a second pair in the content",
      "<think>a</think>b<think>c</think>",
      false,
      "a|b<think>c</think>",
    ],
  ] as const
) {
  Deno.test(`ThinkingParser ${name}`, () => assert.equal(split(text, startsInside), expected));
}
