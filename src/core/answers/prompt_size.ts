import type { Prompt } from "../../protocol/mod.ts";

/** Characters of a prompt that make one token, about: English prose has four, and others come out as more work. */
export const CHARS_PER_TOKEN = 4;

/** Tokens that `prompt` will come to, without a vocabulary. */
export function estimatePromptTokens(prompt: Prompt): number {
  if (prompt.kind === "tokens") return prompt.tokens.length;
  return (prompt.tokensBefore?.length ?? 0) + Math.ceil(prompt.text.length / CHARS_PER_TOKEN);
}
