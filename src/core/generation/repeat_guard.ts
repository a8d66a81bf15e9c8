/** Repeats in a row of one trimmed chunk that are still allowed (contract 1.4). */
export const REPEATED_CHUNKS_MAX = 30;

/** Notices a model that is stuck: more than {@link REPEATED_CHUNKS_MAX} repeats in a row of the same trimmed token text. */
export class RepeatGuard {
  #last = "";
  #repeats = 0;

  /** `text` is what one token added, "" when it only began a character. True = abort the answer. */
  push(text: string): boolean {
    if (text === "") return false;
    const trimmed = text.trim();
    this.#repeats = trimmed === this.#last ? this.#repeats + 1 : 0;
    this.#last = trimmed;
    return this.#repeats > REPEATED_CHUNKS_MAX;
  }
}
