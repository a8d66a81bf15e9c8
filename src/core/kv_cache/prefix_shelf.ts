/** Prefixes of a shelf at most: each is compared with every prompt. */
const PREFIXES_MAX = 4_096;

/** The cells of a prefix that was computed once. */
export interface KeptPrefix {
  /** Chosen by who keeps it; unique on a shelf. */
  readonly id: string;
  readonly tokens: Readonly<Int32Array>;
  /** Of its cells, > 0. */
  readonly bytes: number;
  /** What to compute it again would take, in milliseconds. */
  readonly computeMs: number;
}

/**
 * Prefixes within a number of bytes. What saves least time for its bytes goes first, and among equals what was used longest ago:
 * each is worth `computeMs ÷ bytes` above the worth of the last one that had to go when it was used (GreedyDual-Size).
 */
export class PrefixShelf {
  readonly #bytesMax: number;
  readonly #canCut: boolean;
  readonly #kept = new Map<string, { readonly prefix: KeptPrefix; worth: number }>();
  #bytes = 0;
  /** What the last one that had to go was worth. */
  #floor = 0;

  /** `canCut`: whether cells of a prefix serve a shorter one, too. */
  constructor(options: { readonly bytesMax: number; readonly canCut: boolean }) {
    this.#bytesMax = options.bytesMax;
    this.#canCut = options.canCut;
  }

  get bytes(): number {
    return this.#bytes;
  }

  list(): readonly KeptPrefix[] {
    return [...this.#kept.values()].map(({ prefix }) => prefix);
  }

  /** Whether a prefix of so many bytes could be kept at all. */
  hasRoomFor(bytes: number): boolean {
    return bytes <= this.#bytesMax;
  }

  /**
   * Keeps a prefix, in the place of the one with its id; where cells can be cut, those that are its own beginnings go.
   *
   * @returns What is kept no more, the prefix itself where it is worth less than all others.
   */
  add(prefix: KeptPrefix): readonly KeptPrefix[] {
    if (!this.hasRoomFor(prefix.bytes)) return [prefix];
    this.drop(prefix.id);
    const gone = this.list().filter(({ tokens }) =>
      this.#canCut && sharedTokens(tokens, prefix.tokens) === tokens.length
    );
    for (const { id } of gone) this.drop(id);
    this.#kept.set(prefix.id, { prefix, worth: this.#worthOf(prefix) });
    this.#bytes += prefix.bytes;
    while (this.#bytes > this.#bytesMax || this.#kept.size > PREFIXES_MAX) {
      const least = this.#least();
      if (least === undefined) break;
      this.#floor = Math.max(this.#floor, least.worth);
      this.drop(least.prefix.id);
      gone.push(least.prefix);
    }
    return gone;
  }

  /** The prefix that saves a prompt most, and how many of its tokens; a prompt's last token is computed in any case. */
  find(
    prompt: ArrayLike<number>,
  ): { readonly prefix: KeptPrefix; readonly tokens: number } | undefined {
    let best: { readonly prefix: KeptPrefix; readonly tokens: number } | undefined;
    for (const { prefix } of this.#kept.values()) {
      const shared = Math.min(sharedTokens(prefix.tokens, prompt), prompt.length - 1);
      const tokens = this.#canCut || shared === prefix.tokens.length ? shared : 0;
      if (tokens > (best?.tokens ?? 0)) best = { prefix, tokens };
    }
    return best;
  }

  /** Leading tokens of a prompt that a prefix begins with, whether or not it can be cut to them; the last one never counts. */
  matchedTokens(prompt: ArrayLike<number>): number {
    let most = 0;
    for (const { prefix } of this.#kept.values()) {
      most = Math.max(most, sharedTokens(prefix.tokens, prompt));
    }
    return Math.min(most, prompt.length - 1);
  }

  /** It was used. */
  touch(id: string): void {
    const row = this.#kept.get(id);
    if (row !== undefined) row.worth = this.#worthOf(row.prefix);
  }

  drop(id: string): void {
    this.#bytes -= this.#kept.get(id)?.prefix.bytes ?? 0;
    this.#kept.delete(id);
  }

  #worthOf({ computeMs, bytes }: KeptPrefix): number {
    return this.#floor + computeMs / bytes;
  }

  #least() {
    let least: { readonly prefix: KeptPrefix; readonly worth: number } | undefined;
    for (const row of this.#kept.values()) {
      if (least === undefined || row.worth < least.worth) least = row;
    }
    return least;
  }
}

/** How many leading tokens are the same. */
export function sharedTokens(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const limit = Math.min(a.length, b.length);
  let count = 0;
  while (count < limit && a[count] === b[count]) count++;
  return count;
}
