/** Random points of an answer at which another runner goes on with it, and whether it says the same bits. */
import assert from "node:assert/strict";
import type { Random } from "../../src/base/mod.ts";
import { schemaToGrammar } from "../../src/core/grammar/mod.ts";
import type { LoadedModel } from "../../src/ports/mod.ts";
import type { AnswerToken, SequenceRequest } from "../../src/protocol/mod.ts";
import { askTiny, GREEDY, type ReadAnswer, readAnswer } from "../integration/engine_harness.ts";

const ANSWER_TOKENS_DEFAULT = 80;

const SUBJECTS = ["a lighthouse", "a broken clock", "two rivers", "the last train", "a stray cat"];
/** Long enough for a batch that would be computed in tiles, and of another length each time. */
function messageOf(random: Random): string {
  const parts = Array.from({ length: random.between(4, 12) }, () => {
    const subject = SUBJECTS[random.below(SUBJECTS.length)];
    return `Mention ${subject} and the number ${random.below(10_000)}, without repeating yourself.`;
  });
  return `Write a short story. ${parts.join(" ")}`;
}

function jsonGrammar(): string {
  const result = schemaToGrammar({
    type: "object",
    properties: { title: { type: "string" }, words: { type: "array", items: { type: "string" } } },
    required: ["title", "words"],
  });
  assert.equal(result.kind, "grammar");
  return result.kind === "grammar" ? result.gbnf : "";
}

/** What is changed of a greedy request. */
export const POINT_KINDS: Readonly<Record<string, Partial<SequenceRequest>>> = {
  greedy: {},
  "at temperature 0.8": { sampler: { ...GREEDY, temperature: 0.8, seed: 42 } },
  "under a JSON schema": {
    sampler: { ...GREEDY, temperature: 0.8, seed: 7 },
    grammar: jsonGrammar(),
  },
};

/** Where answers are computed, and by how many at once. */
export interface PointWish {
  /** Tells answers as a whole. */
  readonly first: LoadedModel;
  /** Goes on with them. */
  readonly second: LoadedModel;
  /** Sequences that either computes at once. */
  readonly slots: number;
  /** Points of one answer. */
  readonly pointsPerAnswer: number;
  /** Of a whole answer. @default 80 */
  readonly answerTokens?: number;
  /** Of what goes on at a point. */
  readonly goesOnTokens: number;
  readonly changes: Partial<SequenceRequest>;
  readonly random: Random;
}

/** One point: where the answer was gone on with, beside how many others, and what each of the two said. */
export interface ComparedPoint {
  readonly at: number;
  readonly beside: number;
  readonly wanted: unknown;
  readonly got: unknown;
}

interface Point {
  readonly request: SequenceRequest;
  readonly whole: ReadAnswer;
  readonly at: number;
}

/**
 * Without end. All answers of a round are told at once, as many as there are slots; each is gone on with alone or beside
 * others, in any order, so that its batches and what its slot held before are other ones each time.
 */
export async function* comparedPoints(wish: PointWish): AsyncGenerator<ComparedPoint, never> {
  const { first, slots, random, answerTokens = ANSWER_TOKENS_DEFAULT } = wish;
  for (;;) {
    const requests = Array.from({ length: slots }, () =>
      askTiny(messageOf(random), {
        ...{ topLogprobs: 3, predictTokensMax: answerTokens },
        ...wish.changes,
      }));
    const points = await Promise.all(requests.map(async (request) => {
      const whole = await readAnswer(first, request);
      return Array.from({ length: wish.pointsPerAnswer }, (): Point => {
        return { request, whole, at: random.below(whole.tokens.length) };
      });
    }));
    let left = shuffled(points.flat(), random);
    while (left.length > 0) {
      const count = random.below(3) === 0 ? 1 : random.between(1, slots);
      const group = groupOf(left, count, { isMixed: random.below(8) === 0 });
      left = left.filter((point) => !group.includes(point));
      yield* await Promise.all(group.map((point) => compared(point, wish, group.length - 1)));
    }
  }
}

/**
 * The next ones. Mostly each of another answer: two of one would take the slot of a third, all of which is computed again then,
 * and that takes most of the time. `isMixed`: any, so that this happens, too.
 */
function groupOf(
  left: readonly Point[],
  count: number,
  { isMixed }: { readonly isMixed: boolean },
): readonly Point[] {
  if (isMixed) return left.slice(0, count);
  const firsts = new Map(left.toReversed().map((point) => [point.whole, point]));
  return left.filter((point) => firsts.get(point.whole) === point).slice(0, count);
}

async function compared(
  { request, whole, at }: Point,
  { second, goesOnTokens, answerTokens = ANSWER_TOKENS_DEFAULT }: PointWish,
  beside: number,
): Promise<ComparedPoint> {
  const rest = await readAnswer(second, {
    ...request,
    prompt: { kind: "tokens", tokens: whole.promptTokens },
    emittedTokens: whole.tokens.slice(0, at).map(({ token }) => token),
    predictTokensMax: Math.min(at + goesOnTokens, answerTokens),
  });
  const wanted = factsOf(whole.tokens.slice(at, at + goesOnTokens));
  return { at, beside, wanted, got: factsOf(rest.tokens) };
}

/** Tokens and the log probabilities of three alternatives each, which show every bit of a difference. */
const factsOf = (tokens: readonly AnswerToken[]) =>
  tokens.map(({ token, logprob, topLogprobs }) => ({
    ...{ token, logprob },
    top: topLogprobs?.map((other) => [other.token, other.logprob]),
  }));

function shuffled<T>(all: readonly T[], random: Random): T[] {
  const left = [...all];
  return Array.from(all, () => left.splice(random.below(left.length), 1)).flat();
}
