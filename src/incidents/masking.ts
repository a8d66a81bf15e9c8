import type { AnswerFact, AnswerWish } from "../core/answers/mod.ts";
import { type AnswerToken, isImageToken, type Prompt } from "../protocol/mod.ts";
import type { Step, Stretch } from "./recorder.ts";
import { decisionsOf, makePart, stepPart } from "./replaying/mod.ts";

const encoder = new TextEncoder();

/**
 * An answer without its texts: as many characters and tokens, which say nothing. It ends before the first step whose decision
 * its text made, such as that a stop string had come.
 */
export function withoutTexts(stretch: Stretch): Stretch {
  if (stretch.part !== "answer") return stretch;
  let tokens = 0;
  const said = (token: AnswerToken): AnswerToken => ({
    token: isImageToken(token.token) ? token.token : 1,
    // Each another one: what repeats itself is ended.
    bytes: token.bytes.length === 0 ? token.bytes : encoder.encode(` ${++tokens}`),
  });
  const options = wishWithout(stretch.options as AnswerWish);
  const part = makePart(stretch.part, options);
  const steps: Step[] = [];
  for (const { atMs, input, orders } of stretch.steps) {
    const masked = factWithout(input as AnswerFact, said);
    const decided = decisionsOf(stretch.part, stepPart(part, masked));
    if (decided.join("\n") !== decisionsOf(stretch.part, orders).join("\n")) break;
    steps.push({ atMs, input: masked, orders });
  }
  return { ...stretch, options, steps };
}

function wishWithout({ sequence, isShortenable, grammarAtContent }: AnswerWish): AnswerWish {
  const { images, shownTags: _shownTags, ...rest } = sequence;
  return {
    sequence: {
      ...rest,
      prompt: promptWithout(sequence.prompt),
      grammar: null,
      ...(images && { images: images.map(() => new Uint8Array()) }),
    },
    stream: { stops: [] },
    isShortenable,
    ...(grammarAtContent === undefined ? {} : { grammarAtContent: "" }),
  };
}

function promptWithout(prompt: Prompt): Prompt {
  if (prompt.kind === "tokens") return { ...prompt, tokens: tokensWithout(prompt.tokens) };
  const { tokensBefore } = prompt;
  return {
    ...prompt,
    text: " ".repeat(prompt.text.length),
    ...(tokensBefore && { tokensBefore: tokensWithout(tokensBefore) }),
  };
}

function tokensWithout(tokens: readonly number[]): number[] {
  return tokens.map((token) => isImageToken(token) ? token : 1);
}

function factWithout(fact: AnswerFact, said: (token: AnswerToken) => AnswerToken): AnswerFact {
  switch (fact.kind) {
    case "run_started":
      return { ...fact, promptTokens: tokensWithout(fact.promptTokens) };
    case "tokens_came":
      return { ...fact, tokens: fact.tokens.map(said) };
    case "prompt_shortened": {
      if (fact.shorter === undefined) return fact;
      const { prompt, images, ...rest } = fact.shorter;
      const without = images && { images: images.map(() => new Uint8Array()) };
      return { ...fact, shorter: { ...rest, prompt: promptWithout(prompt), ...without } };
    }
    default:
      return fact;
  }
}
