import type { Answer, AnswerChunk } from "../../ports/mod.ts";
import type { DoneChunk } from "../answer_shape.ts";
import type { Exchange } from "../exchange.ts";
import { type Failure, plainJsonAnswer } from "../wire/mod.ts";
import { type ChatCompletion, NO_TOKENS, type TextCompletion } from "./openai_answers.ts";

/** Asks for one answer of several. */
type Ask = (signal: AbortSignal) => Promise<Answer>;

/** A chunk of the answer with this number. */
interface ChoiceChunk {
  readonly index: number;
  readonly chunk: AnswerChunk;
}

/** Several answers that are told as one. */
export interface ChoicesParts {
  readonly exchange: Exchange;
  readonly asks: readonly Ask[];
  /** Of each answer, in the same order, all under one head. */
  readonly shapes: readonly (ChatCompletion | TextCompletion)[];
  /** So many answers in a row have one prompt, which is counted once. */
  readonly answersPerPrompt: number;
  readonly stream: boolean;
}

/** Answers with all choices, their chunks in the order they come. */
export async function answerChoices(parts: ChoicesParts): Promise<Response> {
  const { exchange, asks, shapes } = parts;
  const told = new ToldChoices(parts);
  const chunks = mergedChunks(asks, exchange);
  if (parts.stream) {
    return await exchange.stream(chunks, {
      contentType: "text/event-stream",
      encode: (item) => told.encode(item),
      encodeFailure: (error) => told.encodeFailure(exchange.describe(error)),
    });
  }
  for await (const { index, chunk } of chunks) {
    if (chunk.kind === "text") shapes[index]?.gather(chunk);
    else told.end(index, chunk);
  }
  return plainJsonAnswer(told.whole());
}

/** What was told of each choice, and what it cost. */
class ToldChoices {
  readonly #parts: ChoicesParts;
  readonly #done = new Map<number, DoneChunk>();
  #hasBegun = false;

  constructor(parts: ChoicesParts) {
    this.#parts = parts;
  }

  encode({ index, chunk }: ChoiceChunk): string {
    const { exchange, shapes } = this.#parts;
    if (!this.#hasBegun) exchange.markFirstOutput();
    this.#hasBegun = true;
    const text = shapes[index]?.encode(chunk) ?? "";
    if (chunk.kind === "text") return text;
    this.end(index, chunk);
    const isLast = this.#done.size === shapes.length;
    return isLast ? text + (shapes[0]?.ending(this.#usage()) ?? "") : text;
  }

  encodeFailure(failure: Failure): string {
    return this.#parts.shapes[0]?.encodeFailure(failure) ?? "";
  }

  end(index: number, chunk: DoneChunk): void {
    this.#done.set(index, chunk);
    const promptEvalCount = this.#promptTokens(index, chunk);
    this.#parts.exchange.countTokens({ promptEvalCount, evalCount: chunk.metrics.evalCount });
  }

  whole(): object {
    const answers = this.#parts.shapes.map((shape, index) =>
      shape.whole(this.#done.get(index) ?? EMPTY)
    );
    const choices = answers.flatMap((answer) => answer.choices);
    return { ...answers[0], choices, usage: this.#parts.shapes[0]?.usage(this.#usage()) };
  }

  #usage() {
    let promptEvalCount = 0;
    let evalCount = 0;
    for (const [index, chunk] of this.#done) {
      promptEvalCount += this.#promptTokens(index, chunk);
      evalCount += chunk.metrics.evalCount;
    }
    return { promptEvalCount, evalCount };
  }

  #promptTokens(index: number, { metrics }: DoneChunk): number {
    return index % this.#parts.answersPerPrompt === 0 ? metrics.promptEvalCount : 0;
  }
}

const EMPTY: DoneChunk = { kind: "done", doneReason: "stop", metrics: NO_TOKENS, context: [] };

/**
 * The chunks of all answers as they come. Each is read from when it is asked for: with fewer slots than answers, those that
 * wait would otherwise wait for some that nobody reads.
 */
async function* mergedChunks(
  asks: readonly Ask[],
  exchange: Exchange,
): AsyncGenerator<ChoiceChunk> {
  const left = new AbortController();
  const signal = AbortSignal.any([exchange.signal, left.signal]);
  const answers = asks.map((ask, index) => chunksOf(() => ask(signal), { index, exchange }));
  const next = async (index: number) => ({ index, result: await answers[index]?.next() });
  const waiting = new Map(asks.map((_, index) => [index, next(index)]));
  try {
    while (waiting.size > 0) {
      const { index, result } = await Promise.race(waiting.values());
      if (result === undefined || result.done === true) waiting.delete(index);
      else {
        waiting.set(index, next(index));
        yield { index, chunk: result.value };
      }
    }
  } finally {
    left.abort(new DOMException("Another choice has failed", "AbortError"));
    await Promise.allSettled(waiting.values());
    await Promise.allSettled(answers.map((answer) => answer.return(undefined)));
  }
}

async function* chunksOf(
  ask: () => Promise<Answer>,
  { index, exchange }: { readonly index: number; readonly exchange: Exchange },
): AsyncGenerator<AnswerChunk> {
  const answer = await ask();
  if (index === 0) exchange.noteServing(answer);
  if (answer.kind === "stream") yield* answer.chunks;
  else yield EMPTY;
}
