/**
 * Finds the end of one JSON object in text that grows. Only brackets and strings are followed, because `JSON.parse` judges
 * the rest; each character is looked at once, however the text is cut.
 */
export class JsonObjectScan {
  #at: number;
  #depth = 0;
  #inString = false;
  #escaped = false;

  /** `start` is the index of the opening brace. */
  constructor(start: number) {
    this.#at = start;
  }

  /** `text` must begin with all text of earlier calls. The index after the closing brace, undefined while open. */
  findEnd(text: string): number | undefined {
    for (; this.#at < text.length; this.#at++) {
      if (this.#step(text.charAt(this.#at))) return this.#at + 1;
    }
    return undefined;
  }

  #step(character: string): boolean {
    if (this.#escaped) {
      this.#escaped = false;
    } else if (this.#inString) {
      if (character === "\\") this.#escaped = true;
      if (character === '"') this.#inString = false;
    } else if (character === '"') {
      this.#inString = true;
    } else if (character === "{" || character === "[") {
      this.#depth++;
    } else if (character === "}" || character === "]") {
      this.#depth--;
      return this.#depth === 0;
    }
    return false;
  }
}
