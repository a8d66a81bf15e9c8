/** The value types whose size is fixed, by their GGUF number. */
const SCALAR_BYTES: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};
const TYPE_U32 = 4;
const TYPE_STRING = 8;
const TYPE_ARRAY = 9;
const HEADER_BYTES = 24;
const ALIGNMENT = 32;

/** What a copy of a GGUF is to say differently: `undefined` removes a key. */
export type MetadataEdits = Readonly<Record<string, number | string | undefined>>;

/** A copy of a GGUF (version 3, default alignment) with other metadata and the same tensors. */
export function editMetadata(file: Uint8Array, edits: MetadataEdits): Uint8Array<ArrayBuffer> {
  const reader = new GgufReader(file);
  const { pairs, tensorHeads, tensorBytes } = reader.read();
  const kept = pairs.filter(({ key }) => !(key in edits)).map(({ bytes }) => bytes);
  const added = Object.entries(edits).flatMap(([key, value]) =>
    value === undefined ? [] : [encodePair(key, value)]
  );
  const all = [...kept, ...added];
  const header = file.slice(0, HEADER_BYTES);
  new DataView(header.buffer).setBigUint64(16, BigInt(all.length), true);
  const head = concatenate([header, ...all, tensorHeads]);
  const padding = new Uint8Array(padTo(head.length) - head.length);
  return concatenate([head, padding, tensorBytes]);
}

class GgufReader {
  readonly #file: Uint8Array;
  readonly #view: DataView;
  #offset = HEADER_BYTES;

  constructor(file: Uint8Array) {
    this.#file = file;
    this.#view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  }

  read() {
    const tensorCount = Number(this.#view.getBigUint64(8, true));
    const pairCount = Number(this.#view.getBigUint64(16, true));
    const pairs: { key: string; bytes: Uint8Array }[] = [];
    for (let index = 0; index < pairCount; index++) {
      const start = this.#offset;
      const key = this.#string();
      this.#skipValue(this.#u32());
      pairs.push({ key, bytes: this.#file.subarray(start, this.#offset) });
    }
    const headsStart = this.#offset;
    for (let index = 0; index < tensorCount; index++) {
      this.#string();
      const dimensionCount = this.#u32();
      // Dimensions, then the type and the offset of the data.
      this.#offset += dimensionCount * 8 + 4 + 8;
    }
    return {
      pairs,
      tensorHeads: this.#file.subarray(headsStart, this.#offset),
      tensorBytes: this.#file.subarray(padTo(this.#offset)),
    };
  }

  #u32(): number {
    this.#offset += 4;
    return this.#view.getUint32(this.#offset - 4, true);
  }

  #u64(): number {
    this.#offset += 8;
    return Number(this.#view.getBigUint64(this.#offset - 8, true));
  }

  #string(): string {
    const length = this.#u64();
    this.#offset += length;
    return new TextDecoder().decode(this.#file.subarray(this.#offset - length, this.#offset));
  }

  #skipValue(type: number): void {
    if (type === TYPE_STRING) {
      this.#string();
    } else if (type === TYPE_ARRAY) {
      const itemType = this.#u32();
      const count = this.#u64();
      for (let index = 0; index < count; index++) this.#skipValue(itemType);
    } else {
      this.#offset += SCALAR_BYTES[type] ?? 0;
    }
  }
}

function encodePair(key: string, value: number | string): Uint8Array {
  const type = new Uint8Array(4);
  new DataView(type.buffer).setUint32(0, typeof value === "number" ? TYPE_U32 : TYPE_STRING, true);
  if (typeof value === "string") return concatenate([encodeString(key), type, encodeString(value)]);
  const number = new Uint8Array(4);
  new DataView(number.buffer).setUint32(0, value, true);
  return concatenate([encodeString(key), type, number]);
}

function encodeString(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(bytes.length), true);
  return concatenate([length, bytes]);
}

function padTo(offset: number): number {
  return Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
