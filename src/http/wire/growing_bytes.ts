/** Bytes that a buffer begins with; most requests fit. */
const FIRST_BYTES = 4 * 1024;

/** Collects bytes in one buffer that is never more than twice as long as what came in. */
export class GrowingBytes {
  #buffer: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(firstBytes = FIRST_BYTES) {
    this.#buffer = new Uint8Array(firstBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** Copies the bytes: a part of a network buffer would keep all of that buffer alive. */
  append(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) this.#grow(length);
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
  }

  /** What came in so far, as a view: valid until the next call of `append`. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length);
  }

  #grow(length: number): void {
    const grown = new Uint8Array(Math.max(length, this.#buffer.length * 2));
    grown.set(this.view());
    this.#buffer = grown;
  }
}
