import { cText, type Llama, readText } from "../llama/mod.ts";

const NO_BYTES = new Uint8Array(0);

/** Text to tokens and back. Safe to use while a batch is being decoded: llama.cpp's vocabulary never changes. */
export class Vocabulary {
  readonly pointer: Deno.PointerValue;
  readonly tokenCount: number;
  readonly #call: Llama["call"];
  // Filled as tokens come up: large vocabularies would cost start-up time that most of their tokens never repay.
  readonly #pieces: (Uint8Array | undefined)[] = [];
  #scratch = new Uint8Array(256);

  constructor(call: Llama["call"], model: Deno.PointerValue) {
    this.#call = call;
    this.pointer = call.llama_model_get_vocab(model);
    this.tokenCount = call.llama_vocab_n_tokens(this.pointer);
  }

  /** Control tokens written out in the text become themselves; `addSpecial` adds what the model wants around a text. */
  tokenize(text: string, addSpecial: boolean): number[] {
    const bytes = cText(text);
    // No token is shorter than a byte, apart from the few that are added.
    let tokens = new Int32Array(bytes.length + 8);
    const run = () =>
      this.#call.llama_tokenize(
        this.pointer,
        bytes,
        bytes.length - 1,
        tokens,
        tokens.length,
        addSpecial,
        true,
      );
    let count = run();
    if (count < 0) {
      tokens = new Int32Array(-count);
      count = run();
    }
    return this.#withoutSecondBos(Array.from(tokens.subarray(0, count)), addSpecial);
  }

  /** What readers see of a token; empty for control tokens, apart from those `shown`. */
  piece(token: number, shown?: ReadonlySet<number>): Uint8Array {
    if (shown?.has(token) === true) return this.#render(token, { showControl: true });
    const known = this.#pieces[token];
    if (known !== undefined) return known;
    const piece = this.#render(token, { showControl: false });
    this.#pieces[token] = piece;
    return piece;
  }

  /** The whole text of tokens, control tokens written out, so that tokenizing it again gives the tokens. */
  detokenize(tokens: readonly number[]): Uint8Array {
    const pieces = tokens.map((token) => this.#render(token, { showControl: true }));
    const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  /** The tokens that are one of these texts each, and nothing else. */
  tokensOf(texts: readonly string[]): ReadonlySet<number> {
    const tokens = texts.map((text) => this.tokenize(text, false));
    return new Set(
      tokens.flatMap(([only, more]) => only === undefined || more !== undefined ? [] : [only]),
    );
  }

  has(token: number): boolean {
    return Number.isInteger(token) && token >= 0 && token < this.tokenCount;
  }

  /** Whether the token ends an answer. */
  isEnd(token: number): boolean {
    return this.#call.llama_vocab_is_eog(this.pointer, token);
  }

  /** A token to start from where there is no prompt. */
  firstToken(): number {
    const bos = this.#call.llama_vocab_bos(this.pointer);
    return bos >= 0 ? bos : Math.max(0, this.#call.llama_vocab_eos(this.pointer));
  }

  /** Whether the model wants a closing token behind each text. */
  closesTexts(): boolean {
    return this.#call.llama_vocab_get_add_eos(this.pointer) ||
      this.#call.llama_vocab_get_add_sep(this.pointer);
  }

  /** What stands between two texts of one input, besides what closes the first. */
  between(): readonly number[] {
    // Where a text is closed by the separator itself, one is enough.
    const isApart = this.#call.llama_vocab_get_add_eos(this.pointer) &&
      this.#call.llama_vocab_get_add_sep(this.pointer);
    const separator = this.#call.llama_vocab_sep(this.pointer);
    return isApart && separator >= 0 ? [separator] : [];
  }

  /** The tokens of a text that follows another in one input. */
  tokenizeSecond(text: string): number[] {
    const tokens = this.tokenize(text, true);
    const bos = this.#call.llama_vocab_bos(this.pointer);
    return bos >= 0 && tokens[0] === bos ? tokens.slice(1) : tokens;
  }

  bosText(): string {
    return this.#text(this.#call.llama_vocab_bos(this.pointer));
  }

  eosText(): string {
    return this.#text(this.#call.llama_vocab_eos(this.pointer));
  }

  #text(token: number): string {
    return token < 0 ? "" : readText(this.#call.llama_vocab_get_text(this.pointer, token));
  }

  /** Templates often write the begin-of-sequence token themselves, and two of them make answers worse. */
  #withoutSecondBos(tokens: number[], addSpecial: boolean): number[] {
    const bos = this.#call.llama_vocab_bos(this.pointer);
    const isDoubled = addSpecial && bos >= 0 && tokens[0] === bos && tokens[1] === bos &&
      this.#call.llama_vocab_get_add_bos(this.pointer);
    return isDoubled ? tokens.slice(1) : tokens;
  }

  #render(token: number, options: { showControl: boolean }): Uint8Array {
    if (!this.has(token)) return NO_BYTES;
    const run = () =>
      this.#call.llama_token_to_piece(
        this.pointer,
        token,
        this.#scratch,
        this.#scratch.length,
        0,
        options.showControl,
      );
    let length = run();
    if (length < 0) {
      this.#scratch = new Uint8Array(-length);
      length = run();
    }
    return length <= 0 ? NO_BYTES : this.#scratch.slice(0, length);
  }
}
