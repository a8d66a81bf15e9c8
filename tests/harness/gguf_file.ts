/**
 * Writes small GGUF files for tests, correct or wrong in one place.
 *
 * @module
 */

/** A metadata entry: text, an unsigned 32-bit number, a flag, a list of texts or numbers, or 32-bit floats or integers (one by itself is no list). */
export type GgufEntry =
  | string
  | number
  | boolean
  | readonly string[]
  | readonly number[]
  | Float32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>;

/** What {@link ggufFile} writes. */
export interface GgufContent {
  readonly metadata: Readonly<Record<string, GgufEntry>>;
  /** `type` is the number in the file: 0 = F32, 1 = F16, 8 = Q8_0. */
  readonly tensors?: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly type: number;
    readonly tensorBytes: number;
    /** Value of each byte, 0..255. Default: the tensor's position. */
    readonly fill?: number;
    /** All of its bytes instead. */
    readonly bytes?: Uint8Array;
  }[];
  readonly version?: number;
  /** Leaves tensor bytes out, as when only the header was fetched. Default false. */
  readonly isHeaderAlone?: boolean;
}

/** Metadata of a complete, if senseless, llama model. */
export const LLAMA_METADATA: Readonly<Record<string, GgufEntry>> = {
  "general.architecture": "llama",
  "general.file_type": 1,
  "llama.context_length": 2048,
  "llama.embedding_length": 64,
  "llama.block_count": 2,
  "llama.attention.head_count": 4,
  "llama.vocab_size": 3,
  "tokenizer.ggml.tokens": ["a", "b", "c"],
};

/** Bytes of a GGUF file of version 3, tensors filled with one value each. */
export function ggufFile(content: GgufContent): Uint8Array {
  const writer = new Writer();
  const tensors = content.tensors ?? [];
  writer.uint32(0x46554747);
  writer.uint32(content.version ?? 3);
  writer.uint64(tensors.length);
  writer.uint64(Object.keys(content.metadata).length);
  for (const [key, value] of Object.entries(content.metadata)) {
    writer.text(key);
    writer.entry(value);
  }
  let offset = 0;
  for (const tensor of tensors) {
    writer.text(tensor.name);
    writer.uint32(tensor.shape.length);
    for (const length of tensor.shape) writer.uint64(length);
    writer.uint32(tensor.type);
    writer.uint64(offset);
    offset += Math.ceil(tensor.tensorBytes / 32) * 32;
  }
  writer.align(32);
  if (content.isHeaderAlone === true) return writer.bytes();
  for (const [index, tensor] of tensors.entries()) {
    if (tensor.bytes === undefined) writer.fill(tensor.tensorBytes, tensor.fill ?? index);
    else writer.raw(tensor.bytes);
    if (index < tensors.length - 1) writer.align(32);
  }
  return writer.bytes();
}

/** A llama model with one small tensor and the given extra metadata. */
export function llamaFile(extra: Readonly<Record<string, GgufEntry>> = {}): Uint8Array {
  return ggufFile({
    metadata: { ...LLAMA_METADATA, ...extra },
    tensors: [{ name: "token_embd.weight", shape: [64, 3], type: 1, tensorBytes: 64 * 3 * 2 }],
  });
}

/** `enum gguf_type` of 32-bit floats and of signed integers. */
const FLOAT = 6;
const INTEGER = 5;

class Writer {
  readonly #bytes: number[] = [];

  uint32(value: number): void {
    const view = new DataView(new ArrayBuffer(4));
    view.setUint32(0, value, true);
    this.#bytes.push(...new Uint8Array(view.buffer));
  }

  uint64(value: number): void {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, BigInt(value), true);
    this.#bytes.push(...new Uint8Array(view.buffer));
  }

  text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.uint64(bytes.length);
    this.#bytes.push(...bytes);
  }

  entry(value: GgufEntry): void {
    if (value instanceof Float32Array || value instanceof Int32Array) {
      const isList = value.length !== 1;
      if (isList) this.uint32(9);
      this.uint32(value instanceof Float32Array ? FLOAT : INTEGER);
      if (isList) this.uint64(value.length);
      this.raw(new Uint8Array(value.buffer));
    } else if (Array.isArray(value)) {
      this.uint32(9);
      this.uint32(typeof value[0] === "string" ? 8 : 4);
      this.uint64(value.length);
      for (const item of value) typeof item === "string" ? this.text(item) : this.uint32(item);
    } else if (typeof value === "string") {
      this.uint32(8);
      this.text(value);
    } else if (typeof value === "boolean") {
      this.uint32(7);
      this.#bytes.push(value ? 1 : 0);
    } else {
      this.uint32(4);
      this.uint32(Number(value));
    }
  }

  align(alignment: number): void {
    while (this.#bytes.length % alignment !== 0) this.#bytes.push(0);
  }

  fill(count: number, value: number): void {
    for (let index = 0; index < count; index++) this.#bytes.push(value);
  }

  raw(bytes: Uint8Array): void {
    for (const byte of bytes) this.#bytes.push(byte);
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.#bytes);
  }
}
