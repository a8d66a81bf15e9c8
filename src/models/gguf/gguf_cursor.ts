import { RequestError } from "../../base/mod.ts";

/** Where the bytes of a GGUF file come from. */
export interface GgufSource {
  readonly blobBytes: number;
  /** Bytes from `offset` on; fewer than `length` only at the end. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

/** Bytes read ahead. A header of 150,000 tokens is about 5 MB: few reads, little memory. */
const WINDOW_BYTES = 512 * 1024;

/** The file is no GGUF, cut off, or damaged. `offset` is where in the file, in bytes. */
export function ggufError(reason: string, offset: number): RequestError {
  return new RequestError("invalid_gguf", `invalid GGUF file: ${reason} (at byte ${offset})`);
}

/**
 * Walks a file forwards with a window over it. Numbers are read without a promise per number: `ensure` first, then any
 * reads that stay within what was ensured.
 */
export class GgufCursor {
  readonly #source: GgufSource;
  #window: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #windowOffset = 0;
  #position = 0;

  constructor(source: GgufSource) {
    this.#source = source;
  }

  /** Next byte to be read, from the start of the file. */
  get offset(): number {
    return this.#windowOffset + this.#position;
  }

  get #availableBytes(): number {
    return this.#window.length - this.#position;
  }

  /** Whether {@link ensure} may be left out. */
  has(bytes: number): boolean {
    return this.#availableBytes >= bytes;
  }

  /** @throws RequestError `invalid_gguf` when the file ends before `bytes` more. */
  async ensure(bytes: number, what: string): Promise<void> {
    if (this.has(bytes)) return;
    const offset = this.offset;
    if (bytes > this.#source.blobBytes - offset) {
      throw ggufError(`the file ends in ${what}`, this.#source.blobBytes);
    }
    this.#window = await this.#source.read(offset, Math.max(bytes, WINDOW_BYTES));
    this.#view = new DataView(
      this.#window.buffer,
      this.#window.byteOffset,
      this.#window.byteLength,
    );
    this.#windowOffset = offset;
    this.#position = 0;
    // The file may have shrunk since its size was taken.
    if (!this.has(bytes)) throw ggufError(`the file ends in ${what}`, offset + this.#window.length);
  }

  /** Goes `bytes` forwards without reading them. @throws as {@link ensure}. */
  skip(bytes: number, what: string): void {
    if (bytes > this.#source.blobBytes - this.offset) {
      throw ggufError(`the file ends in ${what}`, this.#source.blobBytes);
    }
    if (this.has(bytes)) {
      this.#position += bytes;
      return;
    }
    this.#windowOffset = this.offset + bytes;
    this.#window = new Uint8Array(0);
    this.#position = 0;
  }

  /** The next `bytes`, as `read` reads them. */
  scalar<T>(bytes: number, read: (view: DataView, at: number) => T): T {
    return read(this.#view, this.#advance(bytes));
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /** Rounded above 2^53: such values are counts that a limit refuses, or seeds that are only shown. */
  uint64(): number {
    return Number(this.#view.getBigUint64(this.#advance(8), true));
  }

  /** Text of the next `count` bytes, U+FFFD for what is no UTF-8: vocabularies hold split characters. */
  text(count: number): string {
    const start = this.#advance(count);
    return decoder.decode(this.#window.subarray(start, start + count));
  }

  #advance(bytes: number): number {
    const start = this.#position;
    this.#position += bytes;
    return start;
  }
}

const decoder = new TextDecoder();
