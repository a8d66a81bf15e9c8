/** Bytes that a value has room for before anything must grow. */
const ROOM_BYTES = 16 * 1024;
/** What a longer value has made grow is not kept beyond this. */
const KEPT_BYTES_MAX = 1024 * 1024;
/** Longer texts go to the runtime, which is quicker there. */
const OWN_TEXT_CHARS_MAX = 64;

/** Major types and simple values (RFC 8949, 3.1 and 3.3). */
const [UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP] = [0x00, 0x20, 0x40, 0x60, 0x80, 0xa0];
const [FALSE, TRUE, NULL, UNDEFINED, DOUBLE] = [0xf4, 0xf5, 0xf6, 0xf7, 0xfb];

/**
 * Writes values as CBOR, strict as `cborg` reads it. That library's own encoder sorts the fields of every object by what they
 * look like encoded, which nobody here asks for: of what a request costs a node that asks another one it took a twentieth.
 */
export class CborWriter {
  readonly #encodeOther: (value: unknown) => Uint8Array;
  readonly #encoder = new TextEncoder();
  #bytes = new Uint8Array(ROOM_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** `encodeOther`: for what is not plain, which is rare. */
  constructor(encodeOther: (value: unknown) => Uint8Array) {
    this.#encodeOther = encodeOther;
  }

  /** Bytes of their own. @throws RangeError for a value that holds itself; what `encodeOther` throws. */
  encode(value: unknown): Uint8Array {
    this.#length = 0;
    this.#write(value);
    const encoded = this.#bytes.slice(0, this.#length);
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#resize(ROOM_BYTES);
    return encoded;
  }

  #write(value: unknown): void {
    switch (typeof value) {
      case "string":
        return this.#text(value);
      case "number":
        return this.#number(value);
      case "boolean":
        return this.#byte(value ? TRUE : FALSE);
      case "undefined":
        return this.#byte(UNDEFINED);
      case "object":
        return value === null ? this.#byte(NULL) : this.#object(value);
      default:
        return this.#raw(this.#encodeOther(value));
    }
  }

  #object(value: object): void {
    if (Array.isArray(value)) {
      this.#head(ARRAY, value.length);
      for (const one of value) this.#write(one);
    } else if (value instanceof Uint8Array) {
      this.#head(BYTES, value.length);
      this.#raw(value);
    } else if (isPlain(value)) {
      const fields = value as Readonly<Record<string, unknown>>;
      const names = Object.keys(fields);
      this.#head(MAP, names.length);
      for (const name of names) {
        this.#text(name);
        this.#write(fields[name]);
      }
    } else this.#raw(this.#encodeOther(value));
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value)) {
      this.#reserve(9);
      this.#bytes[this.#length] = DOUBLE;
      this.#view.setFloat64(this.#length + 1, value);
      this.#length += 9;
    } else if (value >= 0) this.#head(UNSIGNED, value);
    else this.#head(NEGATIVE, -1 - value);
  }

  #text(text: string): void {
    const { length } = text;
    if (length <= OWN_TEXT_CHARS_MAX && this.#ascii(text)) return;
    // No character takes more than three bytes for each of its units.
    const bytesMax = 3 * length;
    this.#reserve(bytesMax + 9);
    // The head's length is known once the text is there; it is moved up behind it.
    const at = this.#length + 9;
    const { written } = this.#encoder.encodeInto(text, this.#bytes.subarray(at, at + bytesMax));
    this.#head(TEXT, written);
    this.#bytes.copyWithin(this.#length, at, at + written);
    this.#length += written;
  }

  /** Most texts are short and of ASCII, and not worth a call of the runtime; false for others, and nothing was written. */
  #ascii(text: string): boolean {
    const before = this.#length;
    const { length } = text;
    this.#head(TEXT, length);
    this.#reserve(length);
    const [bytes, at] = [this.#bytes, this.#length];
    for (let index = 0; index < length; index++) {
      const unit = text.charCodeAt(index);
      if (unit > 0x7f) {
        this.#length = before;
        return false;
      }
      bytes[at + index] = unit;
    }
    this.#length = at + length;
    return true;
  }

  /** What follows, and how much of it or which number, in as few bytes as can be. */
  #head(major: number, count: number): void {
    this.#reserve(9);
    const at = this.#length;
    if (count < 24) {
      this.#bytes[at] = major | count;
      this.#length = at + 1;
    } else if (count < 0x100) {
      this.#bytes[at] = major | 24;
      this.#bytes[at + 1] = count;
      this.#length = at + 2;
    } else if (count < 0x1_0000) {
      this.#bytes[at] = major | 25;
      this.#view.setUint16(at + 1, count);
      this.#length = at + 3;
    } else if (count < 0x1_0000_0000) {
      this.#bytes[at] = major | 26;
      this.#view.setUint32(at + 1, count);
      this.#length = at + 5;
    } else {
      this.#bytes[at] = major | 27;
      this.#view.setUint32(at + 1, Math.floor(count / 0x1_0000_0000));
      this.#view.setUint32(at + 5, count >>> 0);
      this.#length = at + 9;
    }
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  #raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(byteCount: number): void {
    const needed = this.#length + byteCount;
    // Doubling, so that what is long is not copied for each of its pieces.
    if (needed > this.#bytes.length) this.#resize(Math.max(needed, 2 * this.#bytes.length));
  }

  #resize(byteCount: number): void {
    const before = this.#bytes;
    this.#bytes = new Uint8Array(byteCount);
    this.#view = new DataView(this.#bytes.buffer);
    this.#bytes.set(before.subarray(0, Math.min(this.#length, byteCount)));
  }
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
