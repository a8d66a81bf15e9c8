/**
 * What simulated runners answer: a function of the prompt, the grammar and the position alone, as with a real model under a
 * fixed seed. So whatever was lost, repeated or mixed up on the way shows in the text.
 *
 * @module
 */
import { mixSeed, Random } from "../../../src/base/mod.ts";
import type { AnswerWish } from "../../../src/core/answers/mod.ts";
import { type AnswerPiece, AnswerStream } from "../../../src/core/generation/mod.ts";
import type { AnswerToken, Prompt, SequenceRequest } from "../../../src/protocol/mod.ts";
import { GREEDY } from "../../harness/greedy.ts";

/** Prompts with it are answered with thinking first, unless a grammar binds the answer. */
export const THINKS = "[think]";
/** A stop string that some answers run into. */
export const STOP = "§§";
/** Tokens that a simulated runner's window holds. */
export const CONTEXT_TOKENS = 64;

const LETTERS = [..."abcdefghij žťů 🦊—"];
const TAGS = { open: "<think>", close: "</think>" };
const encoder = new TextEncoder();

/** A prompt's tokens: a letter each. */
export function promptTokensOf(prompt: Prompt): readonly number[] {
  if (prompt.kind === "tokens") return prompt.tokens;
  return [...prompt.text].map((letter) => letter.codePointAt(0) ?? 0);
}

/** All that a runner would answer; a token is a byte of it. */
export function scriptOf(
  promptTokens: readonly number[],
  grammar: string | null,
): readonly AnswerToken[] {
  const prompt = String.fromCodePoint(...promptTokens);
  const seed = promptTokens.reduce((mixed, token) => mixSeed(mixed, token), grammar?.length ?? 0);
  const random = new Random(seed);
  const words = (letters: number) =>
    Array.from({ length: letters }, () => random.pick(LETTERS) ?? "").join("");
  const thinks = grammar === null && prompt.includes(THINKS);
  // Cut by a stop string, or ending with what might have become one.
  const stops = random.pick(["", "", `${STOP} never shown`, STOP.slice(0, 1)]) ?? "";
  const text = thinks
    ? `${TAGS.open}${words(8)}${TAGS.close}free ${words(4)}`
    : words(random.between(1, 24)) + stops;
  return [...encoder.encode(text)].map((byte) => ({ token: byte, bytes: Uint8Array.of(byte) }));
}

/** How one of the simulated requests is to be answered. */
export function drawWish(random: Random, name: string): AnswerWish {
  const thinks = random.chance(1, 3);
  const isLong = random.chance(1, 5);
  const text = `${name}${thinks ? THINKS : ""}${isLong ? ".".repeat(CONTEXT_TOKENS) : ""}`;
  return {
    sequence: {
      prompt: { kind: "text", text, addSpecial: true },
      sampler: GREEDY,
      predictTokensMax: 1_000,
      keepTokens: 4,
      onLongPrompt: "refuse",
      onFullContext: "stop",
      grammar: null,
      topLogprobs: -1,
    },
    stream: {
      stops: [STOP],
      ...(thinks
        ? { thinking: { tags: TAGS, startsInside: false }, atContent: "pause" as const }
        : {}),
    },
    ...(thinks ? { grammarAtContent: "root ::= [a-z]" } : {}),
    isShortenable: random.chance(4, 5),
  };
}

/** What a long prompt is made into. */
export function shorten(
  prompt: Prompt,
): Pick<SequenceRequest, "prompt" | "onLongPrompt"> {
  const text = prompt.kind === "text" ? prompt.text.replaceAll(".", "") : "";
  return { prompt: { kind: "text", text, addSpecial: true }, onLongPrompt: "refuse" };
}

/** The text a reader gets, kind by kind. */
export interface ShownText {
  readonly content: string;
  readonly thinking: string;
}

export function withPieces(shown: ShownText, pieces: readonly AnswerPiece[]): ShownText {
  let { content, thinking } = shown;
  for (const piece of pieces) {
    if (piece.kind === "content") content += piece.text;
    if (piece.kind === "thinking") thinking += piece.text;
  }
  return { content, thinking };
}

/** What the reader of an undisturbed answer gets; undefined when its prompt is too long. */
export function expectedText(wish: AnswerWish): ShownText | undefined {
  const stream = new AnswerStream(wish.stream);
  let { prompt, grammar } = wish.sequence;
  if (promptTokensOf(prompt).length > CONTEXT_TOKENS) {
    if (!wish.isShortenable) return undefined;
    prompt = shorten(prompt).prompt;
  }
  let shown: ShownText = { content: "", thinking: "" };
  for (;;) {
    for (const token of scriptOf(promptTokensOf(prompt), grammar)) {
      shown = withPieces(shown, stream.step({ kind: "tokens", tokens: [token] }));
      if (stream.end !== undefined) break;
    }
    shown = withPieces(shown, stream.finish("end"));
    if (stream.end !== "paused") return shown;
    const thinking = stream.resumeAtContent();
    if (prompt.kind === "text") prompt = { ...prompt, text: prompt.text + thinking };
    grammar = wish.grammarAtContent ?? null;
  }
}
