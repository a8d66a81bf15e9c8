import { DRAFT_TOKENS_MAX, type DraftCosts } from "./draft_costs.ts";

/** Tokens that must have been said in a row for what followed them to be expected again. */
const GRAM_TOKENS = 3;
/** Tokens that are remembered, of a prompt and its answer: the newest. Bounds the memory, and what a long prompt takes at once. */
const REMEMBERED_TOKENS_MAX = 65_536;
/** Weight of the newest guess: that an answer copies no more shows after one or two tokens. */
const NEWEST = 1 / 6;
/**
 * What is left of the weight of a guess with each newer one, beside one wrong guess that always counts: a few lucky guesses are no
 * copy, and an answer that copies from the start is known after a dozen tokens.
 */
const REMEMBERED = 23 / 24;

/**
 * Guesses how an answer goes on: as it, or its prompt, went on where the last tokens were said before. It guesses all the time, and
 * so knows how often it was right before a draft costs anything.
 */
export class Drafter {
  #tokens: number[];
  /** By a hash of {@link GRAM_TOKENS} tokens, where what follows them begins, the last time. */
  #followers = new Map<number, number>();
  /** Where the next token is expected from; undefined = these tokens are new. */
  #source: number | undefined;
  #newestRate = 0;
  #right = 0;
  #guesses = 0;
  /** Right guesses in a row. */
  #streak = 0;

  /** `tokens`: the prompt and what there is of the answer. */
  constructor(tokens: readonly number[]) {
    this.#tokens = tokens.slice(-REMEMBERED_TOKENS_MAX);
    this.#index();
    this.#source = this.#find();
  }

  /**
   * How often guesses are right, 0..1: those of the last few dozen, or where all were right for longer, these; and the newest,
   * whichever is less.
   */
  get rate(): number {
    const lately = this.#right / (this.#guesses + 1);
    const inRow = this.#streak / (this.#streak + 1);
    return Math.min(this.#newestRate, Math.max(lately, inRow));
  }

  /** The answer has gone on by a token. */
  take(token: number): void {
    const source = this.#source;
    const isRight = source !== undefined && this.#tokens[source] === token;
    if (source !== undefined) this.#count(isRight ? 1 : 0);
    this.#note(this.#tokens.length);
    this.#tokens.push(token);
    this.#source = isRight ? source + 1 : this.#find();
    if (this.#tokens.length >= 2 * REMEMBERED_TOKENS_MAX) this.#forget();
  }

  /** What to compute ahead of the answer; nothing where it doesn't pay. At most `tokensMax` tokens. */
  draft(costs: Pick<DraftCosts, "draftTokens">, tokensMax: number): readonly number[] {
    const source = this.#source;
    if (source === undefined) return [];
    const count = costs.draftTokens(this.rate, Math.min(tokensMax, DRAFT_TOKENS_MAX));
    const draft: number[] = [];
    for (let at = source; at < source + count; at++) {
      // Behind the last token the draft itself goes on: what repeats itself is shorter than a draft.
      draft.push(this.#tokens[at] ?? draft[at - this.#tokens.length] ?? 0);
    }
    return draft;
  }

  #count(right: 0 | 1): void {
    this.#newestRate += (right - this.#newestRate) * NEWEST;
    this.#right = this.#right * REMEMBERED + right;
    this.#guesses = this.#guesses * REMEMBERED + 1;
    this.#streak = right === 1 ? this.#streak + 1 : 0;
  }

  #index(): void {
    for (let end = GRAM_TOKENS; end < this.#tokens.length; end++) this.#note(end);
  }

  /** Tokens at `end` follow those before it. */
  #note(end: number): void {
    if (end >= GRAM_TOKENS) this.#followers.set(this.#hashBefore(end), end);
  }

  /** Where the last tokens were said before; what merely has their hash doesn't count. */
  #find(): number | undefined {
    const end = this.#tokens.length;
    const at = end < GRAM_TOKENS ? undefined : this.#followers.get(this.#hashBefore(end));
    if (at === undefined) return undefined;
    for (let back = 1; back <= GRAM_TOKENS; back++) {
      if (this.#tokens[at - back] !== this.#tokens[end - back]) return undefined;
    }
    return at;
  }

  #hashBefore(end: number): number {
    let hash = 0;
    for (let at = end - GRAM_TOKENS; at < end; at++) {
      hash = Math.imul(hash, 0x9e37_79b1) + (this.#tokens[at] ?? 0) | 0;
    }
    return hash;
  }

  #forget(): void {
    this.#tokens = this.#tokens.slice(-REMEMBERED_TOKENS_MAX);
    this.#followers = new Map();
    this.#index();
    this.#source = this.#find();
  }
}
