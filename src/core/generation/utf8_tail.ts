/**
 * Turns bytes into text and holds back a UTF-8 sequence that isn't complete yet: one character may be spread over several
 * tokens. Bytes that can't be UTF-8 become U+FFFD as the WHATWG decoder has it. A byte order mark is kept as text.
 */
export class Utf8Tail {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });

  /** Whole characters only; "" while a character is incomplete. */
  push(bytes: Uint8Array): string {
    return this.#decoder.decode(bytes, { stream: true });
  }

  /** What is left at the end: "" or U+FFFD for a sequence that never got complete. */
  flush(): string {
    return this.#decoder.decode();
  }
}
