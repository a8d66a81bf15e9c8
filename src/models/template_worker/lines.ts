/** Cuts a byte stream into lines, however the bytes were chunked. Holds one incomplete line at most. */
export class LineReader {
  readonly #charsMax: number;
  readonly #decoder = new TextDecoder();
  #parts: string[] = [];
  #chars = 0;

  /** A line longer than `charsMax` UTF-16 units is refused. */
  constructor(charsMax: number) {
    this.#charsMax = charsMax;
  }

  /**
   * The lines that `chunk` completes, in order.
   *
   * @throws RangeError for a line that is too long; the stream is useless from then on.
   */
  push(chunk: Uint8Array): string[] {
    const pieces = this.#decoder.decode(chunk, { stream: true }).split("\n");
    const lines: string[] = [];
    for (const [index, piece] of pieces.entries()) {
      this.#parts.push(piece);
      this.#chars += piece.length;
      if (this.#chars > this.#charsMax) {
        throw new RangeError(`a line must have at most ${this.#charsMax} characters`);
      }
      if (index === pieces.length - 1) break;
      lines.push(this.#parts.join(""));
      this.#parts = [];
      this.#chars = 0;
    }
    return lines;
  }
}
