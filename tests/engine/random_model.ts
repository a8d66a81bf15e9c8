/**
 * Small models with random weights, for architectures that behave unlike `tiny`: they say nothing sensible, but the same
 * nothing each time.
 */
import { Random } from "../../src/base/mod.ts";

/** A metadata value with its GGUF type. */
type Value =
  | { readonly u32: number }
  | { readonly f32: number }
  | { readonly bool: boolean }
  | { readonly text: string }
  | { readonly texts: readonly string[] }
  | { readonly floats: readonly number[] }
  | { readonly integers: readonly number[] };

interface ModelShape {
  readonly metadata: Readonly<Record<string, Value>>;
  readonly tensors: readonly (readonly [name: string, ...shape: number[]])[];
}

const LETTERS = [..."abcdefghijklmnopqrstuvwxyz"];
const WIDTH = 32;

/** Which architectures there are: an encoder, sliding-window attention, a recurrent state. */
export type RandomArchitecture = "bert" | "reranker" | "gemma3" | "mamba";

/** A file that goes with the scope. */
type ScopedFile = AsyncDisposable & { path: string };

/** Writes the model to a temporary file. */
export function randomModel(architecture: RandomArchitecture): Promise<ScopedFile> {
  return writeShape({ bert, reranker, gemma3, mamba }[architecture]());
}

/** Writes a LoRA adapter that bends the attention of `tiny`'s first layer. */
export function randomAdapterOfTiny(): Promise<ScopedFile> {
  return writeShape({
    metadata: {
      "general.architecture": { text: "llama" },
      "general.type": { text: "adapter" },
      "adapter.type": { text: "lora" },
      "adapter.lora.alpha": { f32: 64 },
    },
    tensors: [["blk.0.attn_q.weight.lora_a", 256, 8], ["blk.0.attn_q.weight.lora_b", 8, 256]],
  });
}

async function writeShape(shape: ModelShape): Promise<ScopedFile> {
  const path = await Deno.makeTempFile({ suffix: ".gguf" });
  await Deno.writeFile(path, ggufBytes(shape));
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path) };
}

function bert(): ModelShape {
  const tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  tokens.push(...LETTERS.map((letter) => `\u2581${letter}`), ...LETTERS);
  return {
    metadata: {
      ...architecture("bert", { contextTokens: 128 }),
      "bert.attention.layer_norm_epsilon": { f32: 1e-5 },
      "bert.attention.causal": { bool: false },
      "bert.pooling_type": { u32: 1 },
      "tokenizer.ggml.model": { text: "bert" },
      "tokenizer.ggml.token_type_count": { u32: 2 },
      "tokenizer.ggml.tokens": { texts: tokens },
      "tokenizer.ggml.scores": { floats: tokens.map(() => 0) },
      "tokenizer.ggml.token_type": { integers: tokens.map((_, index) => index < 5 ? 3 : 1) },
      "tokenizer.ggml.unknown_token_id": { u32: 1 },
      "tokenizer.ggml.cls_token_id": { u32: 2 },
      "tokenizer.ggml.bos_token_id": { u32: 2 },
      "tokenizer.ggml.seperator_token_id": { u32: 3 },
      "tokenizer.ggml.padding_token_id": { u32: 0 },
    },
    tensors: [
      ["token_embd.weight", WIDTH, tokens.length],
      ["token_types.weight", WIDTH, 2],
      ["position_embd.weight", WIDTH, 128],
      ["token_embd_norm.weight", WIDTH],
      ["token_embd_norm.bias", WIDTH],
      ...attention(0),
      ["blk.0.attn_output_norm.weight", WIDTH],
      ["blk.0.attn_output_norm.bias", WIDTH],
      ["blk.0.ffn_up.weight", WIDTH, 2 * WIDTH],
      ["blk.0.ffn_down.weight", 2 * WIDTH, WIDTH],
      ["blk.0.layer_output_norm.weight", WIDTH],
      ["blk.0.layer_output_norm.bias", WIDTH],
    ],
  };
}

/** An encoder with a head of one figure: how well a document answers a query. */
function reranker(): ModelShape {
  const { metadata, tensors } = bert();
  return {
    metadata: { ...metadata, "bert.pooling_type": { u32: 4 } },
    tensors: [...tensors, ["cls.weight", WIDTH, WIDTH], ["cls.bias", WIDTH], [
      "cls.output.weight",
      WIDTH,
      1,
    ], ["cls.output.bias", 1]],
  };
}

function gemma3(): ModelShape {
  const { metadata, tokenCount } = sentencePieces();
  return {
    metadata: {
      ...architecture("gemma3", { contextTokens: 1024 }),
      // One layer with a window, one without.
      "gemma3.block_count": { u32: 2 },
      "gemma3.attention.sliding_window_pattern": { u32: 2 },
      "gemma3.attention.layer_norm_rms_epsilon": { f32: 1e-5 },
      "gemma3.attention.sliding_window": { u32: 32 },
      "gemma3.attention.key_length": { u32: WIDTH / 2 },
      "gemma3.attention.value_length": { u32: WIDTH / 2 },
      ...metadata,
    },
    tensors: [
      ["token_embd.weight", WIDTH, tokenCount],
      ["output_norm.weight", WIDTH],
      ...[0, 1].flatMap(gemma3Layer),
    ],
  };
}

function gemma3Layer(layer: number): [name: string, ...shape: number[]][] {
  return [
    ...attention(layer),
    [`blk.${layer}.attn_norm.weight`, WIDTH],
    [`blk.${layer}.post_attention_norm.weight`, WIDTH],
    [`blk.${layer}.attn_k_norm.weight`, WIDTH / 2],
    [`blk.${layer}.attn_q_norm.weight`, WIDTH / 2],
    [`blk.${layer}.ffn_norm.weight`, WIDTH],
    [`blk.${layer}.ffn_gate.weight`, WIDTH, 2 * WIDTH],
    [`blk.${layer}.ffn_up.weight`, WIDTH, 2 * WIDTH],
    [`blk.${layer}.ffn_down.weight`, 2 * WIDTH, WIDTH],
    [`blk.${layer}.post_ffw_norm.weight`, WIDTH],
  ];
}

function mamba(): ModelShape {
  const { metadata, tokenCount } = sentencePieces();
  const inner = 2 * WIDTH;
  return {
    metadata: {
      ...architecture("mamba", { contextTokens: 1024 }),
      "mamba.attention.layer_norm_rms_epsilon": { f32: 1e-5 },
      "mamba.ssm.conv_kernel": { u32: 4 },
      "mamba.ssm.inner_size": { u32: inner },
      "mamba.ssm.state_size": { u32: 16 },
      "mamba.ssm.time_step_rank": { u32: 4 },
      ...metadata,
    },
    tensors: [
      ["token_embd.weight", WIDTH, tokenCount],
      ["output_norm.weight", WIDTH],
      ["blk.0.attn_norm.weight", WIDTH],
      ["blk.0.ssm_in.weight", WIDTH, 2 * inner],
      ["blk.0.ssm_conv1d.weight", 4, inner],
      ["blk.0.ssm_conv1d.bias", inner],
      ["blk.0.ssm_x.weight", inner, 4 + 2 * 16],
      ["blk.0.ssm_dt.weight", 4, inner],
      ["blk.0.ssm_dt.bias", inner],
      ["blk.0.ssm_a", 16, inner],
      ["blk.0.ssm_d", inner],
      ["blk.0.ssm_out.weight", inner, WIDTH],
    ],
  };
}

function architecture(
  name: string,
  options: { contextTokens: number },
): Readonly<Record<string, Value>> {
  return {
    "general.architecture": { text: name },
    [`${name}.context_length`]: { u32: options.contextTokens },
    [`${name}.embedding_length`]: { u32: WIDTH },
    [`${name}.block_count`]: { u32: 1 },
    [`${name}.feed_forward_length`]: { u32: 2 * WIDTH },
    [`${name}.attention.head_count`]: { u32: 2 },
    [`${name}.attention.head_count_kv`]: { u32: 2 },
  };
}

function attention(layer: number): [name: string, ...shape: number[]][] {
  return ["q", "k", "v", "output"].map((
    name,
  ) => [`blk.${layer}.attn_${name}.weight`, WIDTH, WIDTH]);
}

/** A vocabulary of letters and bytes. */
function sentencePieces(): { metadata: Readonly<Record<string, Value>>; tokenCount: number } {
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, "\u2581", ...LETTERS];
  const kinds = tokens.map((_, index) => index === 0 ? 2 : index < 3 ? 3 : index < 259 ? 6 : 1);
  const metadata: Readonly<Record<string, Value>> = {
    "tokenizer.ggml.model": { text: "llama" },
    "tokenizer.ggml.tokens": { texts: tokens },
    "tokenizer.ggml.scores": { floats: tokens.map((_, index) => -index) },
    "tokenizer.ggml.token_type": { integers: kinds },
    "tokenizer.ggml.bos_token_id": { u32: 1 },
    "tokenizer.ggml.eos_token_id": { u32: 2 },
    "tokenizer.ggml.unknown_token_id": { u32: 0 },
  };
  return { metadata, tokenCount: tokens.length };
}

/** GGUF version 3 with tensors of 32-bit floats. */
function ggufBytes({ metadata, tensors }: ModelShape): Uint8Array {
  const writer = new Writer();
  writer.u32(0x46554747);
  writer.u32(3);
  writer.u64(tensors.length);
  writer.u64(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    writer.text(key);
    writer.value(value);
  }
  let offset = 0;
  for (const [name, ...shape] of tensors) {
    writer.text(name);
    writer.u32(shape.length);
    for (const length of shape) writer.u64(length);
    writer.u32(0);
    writer.u64(offset);
    offset += 4 * count(shape);
  }
  writer.align(32);
  const random = new Random(1);
  for (const [name, ...shape] of tensors) {
    // Norms near one, a state that decays and small weights keep the sums finite.
    const middle = name.includes("norm.weight") ? 1 : name.endsWith("ssm_a") ? -1 : 0;
    for (let index = 0; index < count(shape); index++) {
      writer.f32(middle + (random.below(2001) - 1000) / 5000);
    }
  }
  return writer.bytes();
}

/** Elements; every tensor here has a multiple of eight, so that offsets stay aligned. */
function count(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

class Writer {
  readonly #bytes: number[] = [];
  readonly #view = new DataView(new ArrayBuffer(8));

  bytes(): Uint8Array {
    return new Uint8Array(this.#bytes);
  }

  u32(value: number): void {
    this.#view.setUint32(0, value, true);
    this.#take(4);
  }

  f32(value: number): void {
    this.#view.setFloat32(0, value, true);
    this.#take(4);
  }

  u64(value: number): void {
    this.#view.setBigUint64(0, BigInt(value), true);
    this.#take(8);
  }

  text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u64(bytes.length);
    for (const byte of bytes) this.#bytes.push(byte);
  }

  align(bytes: number): void {
    while (this.#bytes.length % bytes !== 0) this.#bytes.push(0);
  }

  value(value: Value): void {
    if ("u32" in value) this.#typed(4, () => this.u32(value.u32));
    else if ("f32" in value) this.#typed(6, () => this.f32(value.f32));
    else if ("bool" in value) this.#typed(7, () => this.#bytes.push(value.bool ? 1 : 0));
    else if ("text" in value) this.#typed(8, () => this.text(value.text));
    else if ("texts" in value) this.#list(8, value.texts, (item) => this.text(item));
    else if ("floats" in value) this.#list(6, value.floats, (item) => this.f32(item));
    else this.#list(5, value.integers, (item) => this.u32(item));
  }

  #typed(type: number, write: () => void): void {
    this.u32(type);
    write();
  }

  #list<Item>(type: number, items: readonly Item[], write: (item: Item) => void): void {
    this.u32(9);
    this.u32(type);
    this.u64(items.length);
    for (const item of items) write(item);
  }

  #take(bytes: number): void {
    for (let index = 0; index < bytes; index++) this.#bytes.push(this.#view.getUint8(index));
  }
}
