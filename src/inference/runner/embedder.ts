import { RequestError } from "../../base/mod.ts";
import { Batch } from "./batch.ts";
import { POOLING } from "../llama/mod.ts";
import { tokenizeEnds } from "./long_text.ts";
import type { RunnerModel } from "./model.ts";

/** The vectors of one request. */
export interface Embedded {
  /** In the order of the inputs, L2-normalised; of one figure where a query was to be answered. */
  readonly vectors: readonly Float32Array[];
  readonly promptTokens: number;
}

/** What is asked for. */
export interface EmbedOrder {
  readonly id: number;
  readonly inputs: readonly string[];
  readonly onLongInput: "truncate" | "refuse";
  /** Wanted is how well each input answers it. */
  readonly query?: string;
}

/** Computes vectors or ranks, many short inputs per batch. Requests run one after the other. */
export class Embedder {
  readonly #model: RunnerModel;
  readonly #batch: Batch;
  /** Ids under way that nobody has cancelled. */
  readonly #asked = new Set<number>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(model: RunnerModel) {
    this.#model = model;
    this.#batch = new Batch(model.batchTokens);
  }

  /**
   * A request that is cancelled has the vectors of the batches until then: nobody waits for them.
   *
   * @throws RequestError `prompt_too_long` for an input over the limit unless it may be cut; `unsupported_capability` for
   *   vectors of a model that ranks, or the reverse.
   */
  async embed({ id, inputs, onLongInput, query }: EmbedOrder): Promise<Embedded> {
    this.#checkKind(query !== undefined);
    const head = query === undefined ? [] : this.#headOf(query);
    const tokens = inputs.map((input) => this.#fit(input, { onLongInput, head }));
    this.#asked.add(id);
    // The context is one: its batches must not overlap. A failure belongs to its own caller alone.
    const run = this.#last.then(() => this.#run(tokens, () => !this.#asked.has(id)));
    this.#last = run.catch(() => {});
    try {
      return await run;
    } finally {
      this.#asked.delete(id);
    }
  }

  /** Ends a request before its next batch; unknown ids have finished already. */
  cancel(id: number): void {
    this.#asked.delete(id);
  }

  /** A model that ranks has one figure where others have a vector. */
  #checkKind(isRank: boolean): void {
    const { context, llama: { call } } = this.#model;
    const ranks = call.llama_pooling_type(context) === POOLING.rank;
    if (ranks === isRank) return;
    const text = ranks
      ? "this model ranks documents by a query and has no embeddings: use /api/rerank"
      : "this model does not support rerank: it has no head that ranks documents";
    throw new RequestError("unsupported_capability", text);
  }

  /** Half of an input at most, so that something of each document is read. */
  #headOf(query: string): readonly number[] {
    const { vocabulary } = this.#model;
    const tokens = [...vocabulary.tokenize(query, true), ...vocabulary.between()];
    const limit = this.#inputTokensMax() >> 1;
    if (tokens.length <= limit) return tokens;
    const text = `The query has ${tokens.length} tokens, at most ${limit} are possible`;
    throw new RequestError("prompt_too_long", text);
  }

  #inputTokensMax(): number {
    const { facts, batchTokens } = this.#model;
    return Math.min(facts.contextTokens, batchTokens);
  }

  #fit(
    input: string,
    options: Pick<EmbedOrder, "onLongInput"> & { readonly head: readonly number[] },
  ): readonly number[] {
    const { vocabulary } = this.#model;
    const { head } = options;
    const limit = this.#inputTokensMax() - head.length;
    const tokens = tokenizeEnds(
      input,
      { first: limit, last: 0 },
      (text) =>
        head.length === 0 ? vocabulary.tokenize(text, true) : vocabulary.tokenizeSecond(text),
    );
    const own = this.#cut(tokens, limit, options.onLongInput);
    const all = head.length === 0 ? own : [...head, ...own];
    return all.length === 0 ? [vocabulary.firstToken()] : all;
  }

  #cut(
    tokens: readonly number[],
    limit: number,
    onLongInput: EmbedOrder["onLongInput"],
  ): readonly number[] {
    const { vocabulary } = this.#model;
    if (tokens.length <= limit) return tokens;
    if (onLongInput === "refuse") {
      throw new RequestError(
        "prompt_too_long",
        `The input has at least ${tokens.length} tokens, at most ${limit} are possible`,
      );
    }
    const cut = tokens.slice(0, limit);
    // Models that were trained with a closing token read their vector off it.
    const closing = tokens.at(-1);
    if (closing !== undefined && vocabulary.closesTexts()) cut[limit - 1] = closing;
    return cut;
  }

  async #run(
    inputs: readonly (readonly number[])[],
    isCancelled: () => boolean,
  ): Promise<Embedded> {
    const vectors: Float32Array[] = [];
    let at = 0;
    while (at < inputs.length && !isCancelled()) {
      const end = this.#fill(inputs, at);
      vectors.push(...(await this.#compute(inputs.slice(at, end))));
      at = end;
    }
    return { vectors, promptTokens: inputs.reduce((sum, { length }) => sum + length, 0) };
  }

  /** Puts as many inputs into the batch as fit, one sequence each; returns where the next batch begins. */
  #fill(inputs: readonly (readonly number[])[], start: number): number {
    const { sequences, batchTokens } = this.#model;
    this.#batch.clear();
    let end = start;
    for (const tokens of inputs.slice(start, start + sequences)) {
      if (this.#batch.count + tokens.length > batchTokens) break;
      tokens.forEach((token, position) =>
        this.#batch.add(token, { position, sequence: end - start, wantsOutput: true })
      );
      end++;
    }
    return end;
  }

  async #compute(inputs: readonly (readonly number[])[]): Promise<Float32Array[]> {
    const { context, memory, llama: { call } } = this.#model;
    const code = memory === null
      ? await call.llama_encode_later(context, this.#batch.struct)
      : await call.llama_decode_later(context, this.#batch.struct);
    if (code !== 0) throw new Error(`llama.cpp cannot compute an embedding batch (code ${code})`);
    await call.llama_synchronize_later(context);
    let count = 0;
    const vectors = inputs.map((tokens, sequence) => {
      count += tokens.length;
      return this.#read({ sequence, lastIndex: count - 1 });
    });
    if (memory !== null) call.llama_memory_clear(memory, false);
    return vectors;
  }

  #read(place: { sequence: number; lastIndex: number }): Float32Array {
    const { context, facts, llama: { call } } = this.#model;
    const pooling = call.llama_pooling_type(context);
    // Models without pooling of their own are read at their last token, which has seen all others.
    const pointer = pooling === POOLING.none
      ? call.llama_get_embeddings_ith(context, place.lastIndex)
      : call.llama_get_embeddings_seq(context, place.sequence);
    if (pointer === null) throw new Error("llama.cpp has no vector for an embedded input");
    // A model that ranks has a figure for each of its classes, and the first says how well it fits.
    const length = pooling === POOLING.rank ? 1 : facts.embeddingLength;
    const bytes = length * Float32Array.BYTES_PER_ELEMENT;
    if (pooling === POOLING.rank) {
      return new Float32Array(Deno.UnsafePointerView.getArrayBuffer(pointer, bytes)).slice();
    }
    return normalize(new Float32Array(Deno.UnsafePointerView.getArrayBuffer(pointer, bytes)));
  }
}

/** A copy of length 1; a vector of zeros stays as it is. */
function normalize(vector: Float32Array): Float32Array {
  let sum = 0;
  for (const value of vector) sum += value * value;
  const scale = sum > 0 ? 1 / Math.sqrt(sum) : 0;
  return vector.map((value) => value * scale);
}
