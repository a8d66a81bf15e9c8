/** Lines kept when a trace is asked for; older ones give way, so that an endless run stays bounded. */
const LINES_MAX = 2_000_000;

/** A rolling hash of everything that happened, and the lines themselves when somebody wants to read them. */
export class Trace {
  readonly lines: string[] = [];
  readonly #keepsLines: boolean;
  #high = 0x811c9dc5;
  #low = 0xcbf29ce4;

  constructor(options: { readonly keepsLines: boolean }) {
    this.#keepsLines = options.keepsLines;
  }

  /** Numbers decide the hash; the words are for readers only. */
  add(numbers: readonly number[], words: () => string): void {
    for (const number of numbers) {
      this.#high = Math.imul(this.#high ^ (number | 0), 0x01000193) >>> 0;
      this.#low = Math.imul(this.#low ^ (this.#high >>> 7) ^ (number | 0), 0x85ebca6b) >>> 0;
    }
    if (this.#keepsLines && this.lines.length < LINES_MAX) this.lines.push(words());
  }

  /** 16 hex digits. */
  get hash(): string {
    return [this.#high, this.#low].map((word) => word.toString(16).padStart(8, "0")).join("");
  }
}
