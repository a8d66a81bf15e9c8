import { ggufFile } from "./gguf_file.ts";

const LAYERS = 80;
const EMBEDDING = 8_192;
const KV = 1_024;
const FEED_FORWARD = 28_672;
const VOCABULARY = 128_256;

/** Number in the file and bytes per 256 elements. */
const TYPES = { F32: [0, 1024], Q4_K: [12, 144], Q5_K: [13, 176], Q6_K: [14, 210] } as const;

type TypeName = keyof typeof TYPES;

/** Header of a model of 70 billion parameters as llama.cpp quantizes them to Q4_K_M: no weights, blocks of two sizes. */
export function llama70bHeader(): Uint8Array {
  return ggufFile({
    isHeaderAlone: true,
    metadata: {
      "general.architecture": "llama",
      "general.file_type": 15,
      "llama.context_length": 131_072,
      "llama.embedding_length": EMBEDDING,
      "llama.block_count": LAYERS,
      "llama.attention.head_count": 64,
      "llama.attention.head_count_kv": 8,
      "llama.vocab_size": VOCABULARY,
    },
    tensors: [
      tensor("token_embd.weight", "Q4_K", [EMBEDDING, VOCABULARY]),
      ...Array.from({ length: LAYERS }, (_, block) => blockTensors(block)).flat(),
      tensor("output_norm.weight", "F32", [EMBEDDING]),
      tensor("output.weight", "Q6_K", [EMBEDDING, VOCABULARY]),
    ],
  });
}

function blockTensors(block: number) {
  // The first and the last eighth, and every third between them.
  const isRich = block < LAYERS / 8 || block >= LAYERS * 7 / 8 || (block - LAYERS / 8) % 3 === 2;
  const name = (part: string) => `blk.${block}.${part}.weight`;
  return [
    tensor(name("attn_norm"), "F32", [EMBEDDING]),
    tensor(name("attn_q"), "Q4_K", [EMBEDDING, EMBEDDING]),
    tensor(name("attn_k"), "Q4_K", [EMBEDDING, KV]),
    tensor(name("attn_v"), isRich ? "Q6_K" : "Q5_K", [EMBEDDING, KV]),
    tensor(name("attn_output"), "Q4_K", [EMBEDDING, EMBEDDING]),
    tensor(name("ffn_norm"), "F32", [EMBEDDING]),
    tensor(name("ffn_gate"), "Q4_K", [EMBEDDING, FEED_FORWARD]),
    tensor(name("ffn_up"), "Q4_K", [EMBEDDING, FEED_FORWARD]),
    tensor(name("ffn_down"), isRich ? "Q6_K" : "Q4_K", [FEED_FORWARD, EMBEDDING]),
  ];
}

function tensor(name: string, typeName: TypeName, shape: readonly number[]) {
  const [type, blockBytes] = TYPES[typeName];
  const elements = shape.reduce((product, length) => product * length, 1);
  return { name, shape, type, tensorBytes: elements / 256 * blockBytes };
}
