import { fileTypeName } from "./gguf_types.ts";
import type { Gguf, GgufArray, GgufValue } from "./read_gguf.ts";

/** What the rest of the node needs to know of a GGUF file. Lengths in tokens or elements; 0 where the file doesn't say. */
export interface GgufFacts {
  readonly kind: "model" | "adapter" | "projector";
  readonly architecture: string;
  readonly parameterCount: number;
  /** Such as `Q4_K_M`; `unknown` when the file doesn't say. */
  readonly quantization: string;
  readonly contextLength: number;
  readonly embeddingLength: number;
  readonly blockCount: number;
  /** Largest of any block, as blocks may differ. */
  readonly kvHeads: number;
  /** Elements of one key plus one value head. */
  readonly keyValueLength: number;
  readonly vocabularyTokens: number;
  /** Bytes of all tensors. */
  readonly weightsBytes: number;
  /** True when the file names a pooling type: the model embeds and doesn't complete (contract 1.6). */
  readonly hasPooling: boolean;
  readonly hasVision: boolean;
  readonly hasAudio: boolean;
  /** The file's own Jinja chat template. */
  readonly chatTemplate: string | undefined;
  /** Which part of a model this file is, `index` from 0; undefined when it is whole. */
  readonly split: { readonly index: number; readonly count: number } | undefined;
}

/** Derives the facts from a header. Values of a wrong type count as absent. */
export function ggufFacts(gguf: Pick<Gguf, "metadata" | "tensors">): GgufFacts {
  const keys = new KeyReader(gguf.metadata);
  const heads = keys.largest("attention.head_count");
  const embeddingLength = keys.number("embedding_length");
  const headLength = heads > 0 ? Math.floor(embeddingLength / heads) : 0;
  const keyLength = keys.number("attention.key_length") || headLength;
  const valueLength = keys.number("attention.value_length") || headLength;
  const kind = keys.kind();
  return {
    kind,
    architecture: keys.architecture,
    parameterCount: sum(gguf.tensors.map((tensor) => tensor.elements)),
    quantization: keys.quantization(),
    contextLength: keys.number("context_length"),
    embeddingLength,
    blockCount: keys.number("block_count"),
    kvHeads: keys.largest("attention.head_count_kv") || heads,
    keyValueLength: keyLength + valueLength,
    vocabularyTokens: keys.number("vocab_size") || keys.arrayCount("tokenizer.ggml.tokens"),
    weightsBytes: sum(gguf.tensors.map((tensor) => tensor.tensorBytes)),
    hasPooling: keys.has("pooling_type"),
    hasVision: kind === "projector"
      ? keys.flag("clip.has_vision_encoder")
      : keys.number("vision.block_count") > 0,
    hasAudio: kind === "projector"
      ? keys.flag("clip.has_audio_encoder")
      : keys.number("audio.block_count") > 0,
    chatTemplate: keys.text("tokenizer.chat_template"),
    split: keys.split(),
  };
}

/** Which arrays {@link ggufFacts} looks into: per-block head counts. */
export function isFactArray(key: string): boolean {
  return key.endsWith(".attention.head_count") || key.endsWith(".attention.head_count_kv");
}

/** Looks keys up by their name after the architecture. */
class KeyReader {
  readonly architecture: string;
  readonly #metadata: ReadonlyMap<string, GgufValue>;

  constructor(metadata: ReadonlyMap<string, GgufValue>) {
    this.#metadata = metadata;
    this.architecture = this.text("general.architecture") ?? "unknown";
  }

  text(key: string): string | undefined {
    const value = this.#metadata.get(key);
    return typeof value === "string" && value !== "" ? value : undefined;
  }

  plainNumber(key: string): number {
    const value = this.#metadata.get(key);
    return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0;
  }

  number(suffix: string): number {
    return this.plainNumber(`${this.architecture}.${suffix}`);
  }

  has(suffix: string): boolean {
    return this.#metadata.has(`${this.architecture}.${suffix}`);
  }

  flag(key: string): boolean {
    return this.#metadata.get(key) === true;
  }

  arrayCount(key: string): number {
    return this.#array(key)?.count ?? 0;
  }

  /** A number, or the largest of an array with one number per block. */
  largest(suffix: string): number {
    const key = `${this.architecture}.${suffix}`;
    let largest = this.plainNumber(key);
    for (const value of this.#array(key)?.values ?? []) {
      if (typeof value === "number") largest = Math.max(largest, value);
    }
    return largest;
  }

  split(): GgufFacts["split"] {
    const count = this.plainNumber("split.count");
    return count > 1 ? { index: this.plainNumber("split.no"), count } : undefined;
  }

  kind(): GgufFacts["kind"] {
    const type = this.text("general.type");
    if (type === "adapter") return "adapter";
    return type === "projector" || type === "mmproj" || this.architecture === "clip"
      ? "projector"
      : "model";
  }

  quantization(): string {
    const value = this.#metadata.get("general.file_type");
    return typeof value === "number" ? fileTypeName(value) : "unknown";
  }

  #array(key: string): GgufArray | undefined {
    const value = this.#metadata.get(key);
    return typeof value === "object" ? value : undefined;
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
