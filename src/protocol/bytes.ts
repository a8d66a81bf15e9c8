/** What a decoder returns: untrusted bytes never throw, they are described. */
export type Decoded<T> =
  | { readonly kind: "decoded"; readonly value: T }
  | { readonly kind: "malformed"; readonly reason: string };

const TEXT_ENCODER = new TextEncoder();
// Fatal and BOM-keeping, so that two different byte strings never decode to one text.
const TEXT_DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Below this many characters a loop is faster than the way out to the runtime's encoder; one byte holds the length. */
const SHORT_TEXT = 64;

/** The text of bytes below 128, or undefined when there are others. */
function readAscii(bytes: Uint8Array): string | undefined {
  let text = "";
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 128;
    if (byte >= 128) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}

/** Appends fixed and variable-length fields to a growing buffer; the writer side of {@link ByteReader}. */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  /** `capacity`: first allocation in bytes; the buffer doubles when full. */
  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  uint8(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  /** Little-endian. */
  uint32(value: number): this {
    this.#reserve(4);
    const at = this.#length;
    this.#bytes[at] = value;
    this.#bytes[at + 1] = value >>> 8;
    this.#bytes[at + 2] = value >>> 16;
    this.#bytes[at + 3] = value >>> 24;
    this.#length += 4;
    return this;
  }

  /** Integer in [0, 2^53), seven bits a byte, lowest first: one byte below 128, at most eight. */
  varint(value: number): this {
    this.#reserve(8);
    let rest = value;
    while (rest >= 128) {
      // Arithmetic instead of shifts: JavaScript's shifts cut at 32 bits.
      this.#bytes[this.#length++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
    return this;
  }

  /** Bytes without a length before them. */
  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** A length and the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  /** A length and UTF-8. */
  text(text: string): this {
    if (text.length >= SHORT_TEXT) return this.bytes(TEXT_ENCODER.encode(text));
    this.#reserve(1 + text.length);
    const start = this.#length;
    const bytes = this.#bytes;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code >= 128) return this.bytes(TEXT_ENCODER.encode(text));
      bytes[start + 1 + at] = code;
    }
    bytes[start] = text.length;
    this.#length = start + 1 + text.length;
    return this;
  }

  /** Sixteen hex digits as eight bytes: the form of a node id. */
  hex64(digits: string): this {
    return this.uint32(parseInt(digits.slice(0, 8), 16)).uint32(parseInt(digits.slice(8, 16), 16));
  }

  /** A copy of what was written. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length) as Uint8Array<ArrayBuffer>;
  }

  /** Starts over in the same memory; what {@link finish} gave before stays as it is. */
  reset(): this {
    this.#length = 0;
    return this;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/**
 * Reads fields out of untrusted bytes. The first thing that is wrong latches {@link fault}; from then on every read
 * returns a zero or empty value, so that a decoder checks once at its end instead of after each field. Nothing throws,
 * and nothing is allocated beyond the bytes at hand.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #fault: string | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** What was wrong first, or undefined. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Bytes not read yet; 0 after a fault, so that loops over it end. */
  get remaining(): number {
    return this.#fault === undefined ? this.#bytes.length - this.#at : 0;
  }

  /** Records what is wrong; only the first one is kept. */
  fail(reason: string): void {
    this.#fault ??= `${reason} at byte ${this.#at}`;
  }

  uint8(): number {
    if (!this.#has(1)) return 0;
    return this.#bytes[this.#at++] ?? 0;
  }

  uint32(): number {
    if (!this.#has(4)) return 0;
    const bytes = this.#bytes;
    const at = this.#at;
    this.#at += 4;
    const high = ((bytes[at + 3] ?? 0) << 24) | ((bytes[at + 2] ?? 0) << 16);
    return (high | ((bytes[at + 1] ?? 0) << 8) | (bytes[at] ?? 0)) >>> 0;
  }

  /** Integer in [0, `limit`], `limit` < 2^53; refuses longer forms of the same number. */
  varint(limit: number = Number.MAX_SAFE_INTEGER): number {
    // Most are small, and this is the path of every commit.
    const first = this.uint8();
    if (first < 128) {
      if (first > limit) this.fail("integer out of range");
      return this.#fault === undefined ? first : 0;
    }
    let value = first & 127;
    let scale = 128;
    for (let count = 1; count < 8; count++) {
      const byte = this.uint8();
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (byte === 0) this.fail("overlong integer");
        if (value > limit) this.fail("integer out of range");
        return this.#fault === undefined ? value : 0;
      }
      scale *= 128;
    }
    this.fail("integer too long");
    return 0;
  }

  /** A view of the next `count` bytes, not a copy. */
  raw(count: number): Uint8Array {
    if (!this.#has(count)) return new Uint8Array(0);
    const view = this.#bytes.subarray(this.#at, this.#at + count);
    this.#at += count;
    return view;
  }

  /** A length in [0, `bytesMax`] and a copy of that many bytes. */
  bytes(bytesMax: number): Uint8Array<ArrayBuffer> {
    return this.raw(this.varint(bytesMax)).slice() as Uint8Array<ArrayBuffer>;
  }

  /** A length in [0, `bytesMax`] and a view of that many bytes, not a copy. */
  view(bytesMax: number): Uint8Array {
    return this.raw(this.varint(bytesMax));
  }

  /** A length in [0, `bytesMax`] and valid UTF-8. */
  text(bytesMax: number): string {
    const bytes = this.raw(this.varint(bytesMax));
    if (this.#fault !== undefined) return "";
    const ascii = bytes.length < SHORT_TEXT ? readAscii(bytes) : undefined;
    if (ascii !== undefined) return ascii;
    try {
      return TEXT_DECODER.decode(bytes);
    } catch {
      this.fail("invalid UTF-8"); // The one way a decoder learns of it is an exception.
      return "";
    }
  }

  /** Eight bytes as sixteen lower-case hex digits. */
  hex64(): string {
    const high = this.uint32();
    const low = this.uint32();
    return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
  }

  /** Ends a decode: the value if all was well and every byte was read. */
  finish<T>(value: T): Decoded<T> {
    if (this.#fault === undefined && this.#at !== this.#bytes.length) this.fail("trailing bytes");
    return this.#fault === undefined
      ? { kind: "decoded", value }
      : { kind: "malformed", reason: this.#fault };
  }

  #has(count: number): boolean {
    if (this.#fault !== undefined) return false;
    if (this.#at + count <= this.#bytes.length) return true;
    this.fail("truncated");
    return false;
  }
}
