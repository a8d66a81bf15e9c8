/**
 * Models that say what a test wrote down, through a real decoder: each token of the answer has one successor. What they know
 * is the order of their own tokens, so they answer any question in any wording; what a template, a tokenizer, a sampler, a
 * grammar and a parser make of it is real.
 *
 * @module
 */
import { ggufFile } from "./gguf_file.ts";

/** A token of an answer. Those in `control` lists are control tokens, as in the vocabularies of model makers. */
export interface SpokenModel {
  /** Jinja. Its last token leads to the first of the answer. */
  readonly template: string;
  /** What the prompt ends with, a token of its own. */
  readonly after: string;
  /** The answer, token by token, no token twice; its end is told by the end token. */
  readonly answer: readonly string[];
  /** Tokens of `answer` and of the prompt that are control tokens. */
  readonly control: readonly string[];
}

/** What models are asked to call. */
export const TOOLS = [{
  type: "function",
  function: {
    name: "get_weather",
    description: "Tells the weather",
    parameters: {
      type: "object",
      properties: { city: { type: "string" }, days: { type: "integer" } },
      required: ["city"],
    },
  },
}];

/** `llama_token_type`. */
const TYPES = { normal: 1, unknown: 2, control: 3, written: 4, byte: 6 } as const;
const END = "</s>";
const BYTES = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
);
/** What a successor's score is above all others. */
const CERTAINTY = 4;
const CONTEXT_TOKENS = 2048;

/** Its file. @throws Error for an answer with a token that stands in it twice. */
export function spokenModel(model: SpokenModel): Uint8Array<ArrayBuffer> {
  const { answer, after, control, template } = model;
  const steps = [after, ...answer, END];
  if (new Set(steps).size < steps.length) throw new Error(`A token stands twice: ${steps}`);
  const own = [...new Set([...control, ...steps.slice(0, -1)])];
  const tokens = ["<unk>", "<s>", END, ...BYTES, "\u2581", ...own];
  const types = tokens.map((token, index) =>
    index === 0
      ? TYPES.unknown
      : index < 3 || control.includes(token)
      ? TYPES.control
      : index < 3 + BYTES.length
      ? TYPES.byte
      : own.includes(token)
      ? TYPES.written
      : TYPES.normal
  );
  const width = Math.ceil(tokens.length / 32) * 32;
  return new Uint8Array(ggufFile({
    metadata: {
      ...metadata(width),
      ...vocabulary(tokens, types),
      "tokenizer.chat_template": template,
    },
    tensors: tensors(tokens, { width, steps: steps.map((token) => tokens.lastIndexOf(token)) }),
  }));
}

function metadata(width: number) {
  return {
    "general.architecture": "llama",
    "general.file_type": 0,
    "llama.context_length": CONTEXT_TOKENS,
    "llama.embedding_length": width,
    "llama.block_count": 1,
    "llama.feed_forward_length": width,
    "llama.attention.head_count": 1,
    "llama.attention.head_count_kv": 1,
    "llama.attention.layer_norm_rms_epsilon": new Float32Array([1e-5]),
    "llama.rope.dimension_count": width,
  };
}

function vocabulary(tokens: readonly string[], types: readonly number[]) {
  return {
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.scores": new Float32Array(tokens.length),
    "tokenizer.ggml.token_type": new Int32Array(types),
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
    "tokenizer.ggml.unknown_token_id": 0,
    "tokenizer.ggml.add_space_prefix": false,
  };
}

/** Each token is a direction of its own, which neither attention nor the layer behind it changes. */
function tensors(
  tokens: readonly string[],
  of: { readonly width: number; readonly steps: readonly number[] },
) {
  const { width, steps } = of;
  const embedding = new Float32Array(width * tokens.length);
  tokens.forEach((_, token) => embedding[token * width + token] = 1);
  const output = new Float32Array(width * tokens.length);
  steps.slice(1).forEach((token, index) => {
    output[token * width + (steps[index] ?? 0)] = CERTAINTY;
  });
  const ones = new Float32Array(width).fill(1);
  const nothing = new Float32Array(width * width);
  const square = (name: string) => tensor(`blk.0.${name}.weight`, [width, width], nothing);
  return [
    tensor("token_embd.weight", [width, tokens.length], embedding),
    tensor("output.weight", [width, tokens.length], output),
    ...["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"].map((name) =>
      tensor(`${name}.weight`, [width], ones)
    ),
    ...["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"].map(square),
  ];
}

function tensor(name: string, shape: readonly number[], values: Float32Array<ArrayBuffer>) {
  const bytes = new Uint8Array(values.buffer);
  return { name, shape, type: 0, tensorBytes: bytes.length, bytes };
}
