import { ggufError } from "./gguf_cursor.ts";

/** What a header may take in memory. The largest known one, of 262,144 tokens with all arrays kept, stays below. */
const HEADER_BYTES_MAX = 64 * 1024 * 1024;
/** Kept arrays leave so much to texts and tensors, without which a file can't be used. */
const ARRAYS_BYTES_MAX = 48 * 1024 * 1024;

/** Bytes of V8's heap, about: an object in a map, a number in a list, a tensor with its shape, a text without its characters. */
const ENTRY_BYTES = 200;
const VALUE_BYTES = 16;
const TENSOR_BYTES = 250;
const TEXT_BYTES = 24;

/** Counts what a header takes in memory while it is read. */
export class HeaderBudget {
  #bytes = 0;
  #arrayBytes = 0;

  /** A metadata entry under `key`, without its value. @throws RequestError `invalid_gguf` past the limit, as all do but {@link array}. */
  entry(key: string, offset: number): void {
    this.#charge(ENTRY_BYTES + textBytes(key), offset);
  }

  text(value: string, offset: number): void {
    this.#charge(textBytes(value), offset);
  }

  tensor(name: string, offset: number): void {
    this.#charge(TENSOR_BYTES + textBytes(name), offset);
  }

  /** Whether a text of `bytes` may be read at all, before it lies in memory. */
  announced(bytes: number, offset: number): void {
    if (this.#bytes + bytes > HEADER_BYTES_MAX) throw tooLarge(offset);
  }

  /** One value of a kept array; false when the array must be let go. */
  array(value: string | number | boolean): boolean {
    const bytes = VALUE_BYTES + (typeof value === "string" ? textBytes(value) : 0);
    if (this.#arrayBytes + bytes > ARRAYS_BYTES_MAX) return false;
    if (this.#bytes + bytes > HEADER_BYTES_MAX) return false;
    this.#arrayBytes += bytes;
    this.#bytes += bytes;
    return true;
  }

  #charge(bytes: number, offset: number): void {
    this.#bytes += bytes;
    if (this.#bytes > HEADER_BYTES_MAX) throw tooLarge(offset);
  }
}

function textBytes(text: string): number {
  // V8 keeps a text in two bytes a character as soon as one of them needs two.
  // deno-lint-ignore no-control-regex
  return TEXT_BYTES + text.length * (/^[\x00-\xff]*$/.test(text) ? 1 : 2);
}

function tooLarge(offset: number) {
  const limit = `${HEADER_BYTES_MAX / 2 ** 20} MiB`;
  return ggufError(`its header takes more than ${limit} in memory`, offset);
}
