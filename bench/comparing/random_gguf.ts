/**
 * Writes a GGUF with random weights in the shape of SmolLM2-135M, for machines that can't have the real one. Speed
 * depends on shapes and formats alone; the text it generates means nothing.
 *
 * @module
 */
import { Random } from "../../src/base/mod.ts";

const SHAPE = {
  layers: 30,
  embedding: 576,
  feedForward: 1536,
  heads: 9,
  keyValueHeads: 3,
  headLength: 64,
  vocabulary: 49_152,
  contextTokens: 8_192,
};

const ALIGNMENT_BYTES = 32;
/** Q4_0: 32 weights in a half-precision scale and 16 bytes of two weights each. */
const BLOCK = { weights: 32, bytes: 18, scale: 0x2060 } as const;
const TENSOR_TYPE = { f32: 0, q4_0: 2 } as const;
const VALUE_TYPE = { uint32: 4, int32: 5, float32: 6, string: 8, array: 9 } as const;

interface Tensor {
  readonly name: string;
  /** Fastest dimension first, as GGUF stores it. */
  readonly dimensions: readonly number[];
  readonly type: keyof typeof TENSOR_TYPE;
}

/** Writes the file; the same bytes every time. */
export async function writeRandomGguf(path: string): Promise<void> {
  const tensors = listTensors();
  const unfinished = `${path}.unfinished`;
  using file = await Deno.open(unfinished, { create: true, write: true, truncate: true });
  const writer = file.writable.getWriter();
  await writer.write(header(tensors));
  const random = new Random(135);
  for (const tensor of tensors) await writer.write(randomWeights(tensor, random));
  await writer.close();
  await Deno.rename(unfinished, path);
}

function listTensors(): Tensor[] {
  const { embedding, feedForward, heads, keyValueHeads, headLength, vocabulary, layers } = SHAPE;
  const matrix = (name: string, columns: number, rows: number): Tensor => ({
    name: `${name}.weight`,
    dimensions: [columns, rows],
    type: "q4_0",
  });
  const norm = (name: string): Tensor => ({
    name: `${name}.weight`,
    dimensions: [embedding],
    type: "f32",
  });
  const layer = (index: number): Tensor[] => {
    const at = `blk.${index}`;
    return [
      norm(`${at}.attn_norm`),
      matrix(`${at}.attn_q`, embedding, heads * headLength),
      matrix(`${at}.attn_k`, embedding, keyValueHeads * headLength),
      matrix(`${at}.attn_v`, embedding, keyValueHeads * headLength),
      matrix(`${at}.attn_output`, heads * headLength, embedding),
      norm(`${at}.ffn_norm`),
      matrix(`${at}.ffn_gate`, embedding, feedForward),
      matrix(`${at}.ffn_up`, embedding, feedForward),
      matrix(`${at}.ffn_down`, feedForward, embedding),
    ];
  };
  const blocks = Array.from({ length: layers }, (_, index) => layer(index)).flat();
  return [matrix("token_embd", embedding, vocabulary), ...blocks, norm("output_norm")];
}

function tensorBytes({ dimensions, type }: Tensor): number {
  const weights = dimensions.reduce((product, dimension) => product * dimension, 1);
  return type === "f32" ? weights * 4 : weights / BLOCK.weights * BLOCK.bytes;
}

function randomWeights(tensor: Tensor, random: Random): Uint8Array {
  const bytes = new Uint8Array(aligned(tensorBytes(tensor)));
  if (tensor.type === "f32") {
    new Float32Array(bytes.buffer).fill(1);
    return bytes;
  }
  const words = new Uint32Array(bytes.buffer);
  for (let index = 0; index < words.length; index++) words[index] = random.uint32();
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < tensorBytes(tensor); at += BLOCK.bytes) {
    view.setUint16(at, BLOCK.scale, true);
  }
  return bytes;
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}

function header(tensors: readonly Tensor[]): Uint8Array {
  const out = new GgufBytes();
  const { tokens, types, merges } = vocabulary();
  out.ascii("GGUF").uint32(3).uint64(tensors.length).uint64(17);
  out.pair("general.architecture", "llama").pair("general.name", "random 135M");
  out.pair("general.file_type", 2).pair("general.alignment", ALIGNMENT_BYTES);
  out.pair("llama.block_count", SHAPE.layers).pair("llama.context_length", SHAPE.contextTokens);
  out.pair("llama.embedding_length", SHAPE.embedding);
  out.pair("llama.feed_forward_length", SHAPE.feedForward);
  out.pair("llama.attention.head_count", SHAPE.heads);
  out.pair("llama.attention.head_count_kv", SHAPE.keyValueHeads);
  out.key("llama.attention.layer_norm_rms_epsilon", VALUE_TYPE.float32).float32(1e-5);
  out.pair("tokenizer.ggml.model", "gpt2").pair("tokenizer.ggml.pre", "smollm");
  out.strings("tokenizer.ggml.tokens", tokens).strings("tokenizer.ggml.merges", merges);
  out.key("tokenizer.ggml.token_type", VALUE_TYPE.array).uint32(VALUE_TYPE.int32);
  out.uint64(types.length);
  for (const type of types) out.uint32(type);
  out.pair("tokenizer.ggml.eos_token_id", 0);
  let offset = 0;
  for (const tensor of tensors) {
    out.string(tensor.name).uint32(tensor.dimensions.length);
    for (const dimension of tensor.dimensions) out.uint64(dimension);
    out.uint32(TENSOR_TYPE[tensor.type]).uint64(offset);
    offset += aligned(tensorBytes(tensor));
  }
  return out.padded();
}

/** A byte-level vocabulary: the bytes, pairs of small letters, and words that no text holds. */
function vocabulary(): { tokens: string[]; types: number[]; merges: string[] } {
  const letters = [..."abcdefghijklmnopqrstuvwxyz"];
  const pairs = ["Ġ", ...letters].flatMap((first) => letters.map((second) => [first, second]));
  const tokens = ["<|endoftext|>", ...byteLetters(), ...pairs.map((pair) => pair.join(""))];
  while (tokens.length < SHAPE.vocabulary) tokens.push(`unused${tokens.length}`);
  const [normal, control] = [1, 3];
  const types = tokens.map((_, index) => index === 0 ? control : normal);
  return { tokens, types, merges: pairs.map((pair) => pair.join(" ")) };
}

/** The 256 letters that stand for bytes in a byte-level vocabulary: printable ones for themselves, others from U+0100. */
function byteLetters(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
    return String.fromCharCode(printable ? byte : next++);
  });
}

/** Builds the little-endian head of a GGUF file. */
class GgufBytes {
  readonly #parts: Uint8Array[] = [];

  uint32(value: number): this {
    this.#parts.push(new Uint8Array(Uint32Array.of(value).buffer));
    return this;
  }
  uint64(value: number): this {
    this.#parts.push(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
    return this;
  }
  float32(value: number): this {
    this.#parts.push(new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }
  ascii(text: string): this {
    this.#parts.push(new TextEncoder().encode(text));
    return this;
  }
  string(text: string): this {
    return this.uint64(new TextEncoder().encode(text).length).ascii(text);
  }
  key(name: string, type: number): this {
    return this.string(name).uint32(type);
  }
  pair(name: string, value: string | number): this {
    return typeof value === "string"
      ? this.key(name, VALUE_TYPE.string).string(value)
      : this.key(name, VALUE_TYPE.uint32).uint32(value);
  }
  strings(name: string, values: readonly string[]): this {
    this.key(name, VALUE_TYPE.array).uint32(VALUE_TYPE.string).uint64(values.length);
    for (const value of values) this.string(value);
    return this;
  }
  padded(): Uint8Array {
    const bytes = this.#parts.reduce((total, part) => total + part.length, 0);
    const padded = new Uint8Array(aligned(bytes));
    let at = 0;
    for (const part of this.#parts) {
      padded.set(part, at);
      at += part.length;
    }
    return padded;
  }
}
