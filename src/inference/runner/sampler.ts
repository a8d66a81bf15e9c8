import { invalidRequest, mixSeed, RequestError, StrictUtf8 } from "../../base/mod.ts";
import type { SamplerSettings } from "../../protocol/mod.ts";
import { cText, type Llama, TOKEN_ARRAY, TOKEN_BYTES } from "../llama/mod.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** llama.cpp takes this seed for "draw one yourself". */
const SEED_RANDOM = 0xffff_ffff;

/** Tokens that a grammar takes and that are no text, drawn again and again, before an answer is given up. */
const BARRED_MAX = 16;

/** What sampling reads: an output row of the last decoded batch. */
export interface Outputs {
  readonly context: Deno.PointerValue;
  /** The row's logits, one per token of the vocabulary; valid until the next batch. */
  logits(batchIndex: number): Float32Array;
}

/**
 * Draws the tokens of one answer with llama.cpp's own samplers, in the contract's order: penalties, top_k, typical_p,
 * top_p, min_p, temperature, draw. The draw at answer position i is made by a sampler seeded with (seed, i) alone, so
 * that another runner can go on from any position. Must be freed.
 */
export class Sampler {
  readonly #call: Llama["call"];
  readonly #settings: SamplerSettings;
  readonly #chain: Deno.PointerValue;
  readonly #grammar: Deno.PointerValue;
  readonly #candidates: Candidates;
  readonly #vocabulary: Vocabulary;
  /**
   * The answer so far, where a grammar binds it. llama.cpp's grammars know characters only, and take one that is spelled in
   * too many bytes, which no reader of the answer does.
   */
  readonly #text = new StrictUtf8();
  #position: number;
  /** Where the draw stands in the chain; -1 when greedy. */
  readonly #drawIndex: number;

  /**
   * `contextTokens`: what a look-back of -1 means.
   *
   * @throws RequestError `invalid_format` when llama.cpp can't parse the grammar.
   */
  constructor(
    parts: { call: Llama["call"]; vocabulary: Vocabulary; candidates: Candidates },
    settings: SamplerSettings,
    options: { grammar: string | null; contextTokens: number },
  ) {
    const { call, vocabulary } = parts;
    this.#call = call;
    this.#settings = settings;
    this.#candidates = parts.candidates;
    this.#vocabulary = vocabulary;
    this.#position = 0;
    this.#grammar = options.grammar === null
      ? null
      : openGrammar(call, vocabulary, options.grammar);
    this.#chain = call.llama_sampler_chain_init(1);
    const samplers = openSamplers(call, settings, {
      tokenCount: vocabulary.tokenCount,
      contextTokens: options.contextTokens,
    });
    for (const sampler of samplers) call.llama_sampler_chain_add(this.#chain, sampler);
    this.#drawIndex = settings.temperature > 0 ? samplers.length - 1 : -1;
  }

  /** Lets the penalties see tokens of the prompt, oldest first. */
  acceptPrompt(tokens: readonly number[]): void {
    const { repeatLastTokens } = this.#settings;
    const seen = repeatLastTokens < 0 ? tokens : tokens.slice(-Math.max(repeatLastTokens, 1));
    for (const token of seen) this.#call.llama_sampler_accept(this.#chain, token);
  }

  /**
   * Takes answer tokens that another runner drew, as if they had been drawn here.
   *
   * @throws RequestError `invalid_request` when the grammar doesn't allow them; llama.cpp would abort the process.
   */
  acceptEmitted(tokens: readonly number[]): void {
    for (const token of tokens) {
      if (!this.#isAllowed(token)) {
        throw invalidRequest(
          `Cannot continue: the grammar doesn't allow the answer's token ${this.#position}`,
        );
      }
      this.#accept(token);
    }
  }

  /**
   * Draws the next token from the output of batch index `batchIndex`; undefined where the grammar allows none, which
   * also comes of a model whose sums are not numbers.
   */
  sample(outputs: Outputs, batchIndex: number): number | undefined {
    this.#seedDraw();
    if (this.#grammar === null) {
      // Accepts the token itself.
      const token = this.#call.llama_sampler_sample(this.#chain, outputs.context, batchIndex);
      this.#position++;
      return token;
    }
    const token = this.#sampleGrammatical(outputs.logits(batchIndex));
    if (token !== undefined) this.#accept(token);
    return token;
  }

  free(): void {
    this.#call.llama_sampler_free(this.#chain);
    if (this.#grammar !== null) this.#call.llama_sampler_free(this.#grammar);
  }

  /** Checking one token is far cheaper than the whole vocabulary, and models mostly do what their grammar asks. */
  #sampleGrammatical(logits: Float32Array): number | undefined {
    this.#candidates.fill(logits);
    const first = this.#candidates.select(this.#chain);
    if (this.#isAllowed(first)) return first;
    const barred: number[] = [];
    while (barred.length < BARRED_MAX) {
      this.#seedDraw();
      this.#candidates.fill(logits, barred);
      this.#candidates.apply(this.#grammar);
      const token = this.#candidates.select(this.#chain);
      if (this.#isAllowed(token)) return token;
      // Something is drawn even when everything was ruled out, and llama.cpp aborts when a grammar must take that.
      if (this.#isText(token)) return undefined;
      barred.push(token);
    }
    return undefined;
  }

  #isAllowed(token: number): boolean {
    if (this.#grammar === null) return true;
    return this.#isText(token) && this.#candidates.survives(token, this.#grammar);
  }

  #isText(token: number): boolean {
    return this.#text.fits(this.#vocabulary.piece(token));
  }

  #accept(token: number): void {
    this.#call.llama_sampler_accept(this.#chain, token);
    if (this.#grammar !== null) {
      this.#call.llama_sampler_accept(this.#grammar, token);
      this.#text.take(this.#vocabulary.piece(token));
    }
    this.#position++;
  }

  #seedDraw(): void {
    if (this.#drawIndex < 0) return;
    const call = this.#call;
    const seed = mixSeed(this.#settings.seed, this.#position);
    call.llama_sampler_free(call.llama_sampler_chain_remove(this.#chain, this.#drawIndex));
    call.llama_sampler_chain_add(
      this.#chain,
      call.llama_sampler_init_dist(seed === SEED_RANDOM ? 0 : seed),
    );
  }
}

/** Room for one `llama_token_data` per token of the vocabulary, shared by all answers: only one samples at a time. */
export class Candidates {
  readonly #call: Llama["call"];
  readonly #bytes: ArrayBuffer;
  readonly #ids: Int32Array;
  readonly #logits: Float32Array;
  readonly #array: Uint8Array<ArrayBuffer>;
  readonly #address: bigint;

  constructor(call: Llama["call"], tokenCount: number) {
    this.#call = call;
    this.#bytes = new ArrayBuffer(tokenCount * TOKEN_BYTES);
    this.#ids = new Int32Array(this.#bytes);
    this.#logits = new Float32Array(this.#bytes);
    this.#array = new Uint8Array(new ArrayBuffer(TOKEN_ARRAY.size));
    this.#address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.#ids));
  }

  /** All tokens with their logits; `barred` ones can't be drawn. */
  fill(logits: Float32Array, barred: readonly number[] = []): void {
    const fields = TOKEN_BYTES / 4;
    for (let token = 0; token < logits.length; token++) {
      this.#ids[token * fields] = token;
      this.#logits[token * fields + 1] = logits[token] ?? 0;
    }
    for (const token of barred) this.#logits[token * fields + 1] = -Infinity;
    this.#reset(logits.length);
  }

  apply(sampler: Deno.PointerValue): void {
    this.#call.llama_sampler_apply(sampler, this.#array);
  }

  /** Runs a chain that ends in a draw; the drawn token. */
  select(chain: Deno.PointerValue): number {
    this.apply(chain);
    const index = TOKEN_ARRAY.get(this.#array, "selected");
    const first = (TOKEN_ARRAY.get(this.#array, "tokens") - Number(this.#address)) / TOKEN_BYTES;
    const token = this.#ids[(first + index) * (TOKEN_BYTES / 4)];
    if (token === undefined) throw new RangeError(`The samplers selected candidate ${index}`);
    return token;
  }

  /** Whether a grammar lets `token` come next. Overwrites the candidates. */
  survives(token: number, grammar: Deno.PointerValue): boolean {
    this.#ids[0] = token;
    this.#logits[1] = 1;
    this.#reset(1);
    this.apply(grammar);
    return this.#logits[1] === 1;
  }

  #reset(count: number): void {
    TOKEN_ARRAY.set(this.#array, "tokens", this.#address);
    TOKEN_ARRAY.set(this.#array, "count", count);
    TOKEN_ARRAY.set(this.#array, "selected", -1);
    TOKEN_ARRAY.set(this.#array, "sorted", false);
  }
}

function openGrammar(call: Llama["call"], vocabulary: Vocabulary, text: string): Deno.PointerValue {
  const grammar = call.llama_sampler_init_grammar(vocabulary.pointer, cText(text), cText("root"));
  if (grammar === null) {
    throw new RequestError("invalid_format", "The engine refuses the grammar of this format");
  }
  return grammar;
}

function openSamplers(
  call: Llama["call"],
  settings: SamplerSettings,
  limits: { tokenCount: number; contextTokens: number },
): Deno.PointerValue[] {
  const samplers: Deno.PointerValue[] = [];
  const lookBack = settings.repeatLastTokens < 0 ? limits.contextTokens : settings.repeatLastTokens;
  const isPenalising = settings.repeatPenalty !== 1 || settings.presencePenalty !== 0 ||
    settings.frequencyPenalty !== 0;
  if (lookBack > 0 && isPenalising) {
    samplers.push(call.llama_sampler_init_penalties(
      limits.tokenCount,
      lookBack,
      settings.repeatPenalty,
      settings.frequencyPenalty,
      settings.presencePenalty,
    ));
  }
  if (settings.temperature <= 0) return [...samplers, call.llama_sampler_init_greedy()];
  const { topK, typicalP, topP, minP, temperature } = settings;
  if (topK > 0) samplers.push(call.llama_sampler_init_top_k(topK));
  if (typicalP < 1) samplers.push(call.llama_sampler_init_typical(typicalP, 1n));
  if (topP < 1) samplers.push(call.llama_sampler_init_top_p(topP, 1n));
  if (minP > 0) samplers.push(call.llama_sampler_init_min_p(minP, 1n));
  if (temperature !== 1) samplers.push(call.llama_sampler_init_temp(temperature));
  // Replaced before each draw; it must stay last.
  samplers.push(call.llama_sampler_init_dist(0));
  return samplers;
}
