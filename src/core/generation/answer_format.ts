import { type CallFormat, type SegmentFormat, STRING_MARKS } from "../tool_calls/mod.ts";
import type { ThinkingTags } from "./thinking_parser.ts";

/** How a family's answers are read. */
export interface AnswerFormat {
  readonly thinking?: ThinkingTags;
  readonly segments?: SegmentFormat;
  /** Each looked for in what the ones before it left. */
  readonly calls: readonly CallFormat[];
  /** Markup around content that no reader should see, with the white space behind it. */
  readonly noise?: readonly string[];
}

/** Every literal of a format that a vocabulary may have as a token of its own. */
export function literalsOf(format: AnswerFormat): readonly string[] {
  const { thinking, segments, calls, noise } = format;
  const all = [
    ...(thinking === undefined ? [] : [thinking.open, thinking.close]),
    ...(segments === undefined
      ? []
      : [...segments.opens, segments.headerEnd, ...segments.ends, ...CHANNEL_WORDS]),
    ...calls.flatMap(({ open, close }) => [open, close]),
    ...calls.some(({ syntaxes }) => syntaxes.includes("json")) ? NAME_MARKS : [],
    ...calls.some(({ syntaxes }) => syntaxes.includes("braces")) ? STRING_MARKS : [],
    ...noise ?? [],
  ];
  return [...new Set(all.map((text) => text.trim()).filter((text) => text !== ""))];
}

/** Stand in headers. */
const CHANNEL_WORDS = ["<|channel|>", "<|constrain|>"];
/** Stand between a name and its JSON. */
const NAME_MARKS = [
  "[ARGS]",
  "[CALL_ID]",
  "<｜tool▁sep｜>",
  "<|tool_call_argument_begin|>",
];
