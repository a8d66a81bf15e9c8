import { Struct } from "./struct.ts";

/** llama.cpp release these layouts belong to. Another one is refused at start-up. */
export const LLAMA_VERSION = "0.4.0";

/** `struct llama_model_params` with llama.cpp's defaults. */
export const MODEL_PARAMS = new Struct([
  ["devices", "pointer", 0],
  ["tensorBufferOverrides", "pointer", 0],
  ["gpuLayers", "i32", -1],
  ["splitMode", "i32", 1],
  ["loadMode", "i32", -1],
  ["lazyMode", "i32", 1],
  ["mainGpu", "i32", 0],
  ["tensorSplit", "pointer", 0],
  ["progressCallback", "pointer", 0],
  ["progressValue", "pointer", 0],
  ["keyOverrides", "pointer", 0],
  ["vocabularyOnly", "bool", 0],
  ["checkTensors", "bool", 0],
  ["useExtraBuffers", "bool", 1],
  ["noHost", "bool", 0],
  ["noAllocation", "bool", 0],
  ["loadMtp", "bool", 0],
]);

/** `struct llama_context_params` with llama.cpp's defaults. */
export const CONTEXT_PARAMS = new Struct([
  ["contextTokens", "u32", 512],
  ["batchTokens", "u32", 2048],
  ["microBatchTokens", "u32", 512],
  ["sequences", "u32", 1],
  ["recurrentSnapshots", "u32", 0],
  ["outputsMax", "u32", 0],
  ["outputsMaxPerSequence", "u32", 1],
  ["threads", "i32", 4],
  ["threadsBatch", "i32", 4],
  ["contextType", "i32", 0],
  ["ropeScaling", "i32", -1],
  ["pooling", "i32", -1],
  ["attention", "i32", -1],
  ["flashAttention", "i32", -1],
  ["ropeFrequencyBase", "f32", 0],
  ["ropeFrequencyScale", "f32", 0],
  ["yarnExtensionFactor", "f32", -1],
  ["yarnAttentionFactor", "f32", -1],
  ["yarnBetaFast", "f32", -1],
  ["yarnBetaSlow", "f32", -1],
  ["yarnOriginalContext", "u32", 0],
  ["defragThreshold", "f32", -1],
  ["evalCallback", "pointer", 0],
  ["evalCallbackValue", "pointer", 0],
  ["keyType", "i32", 1],
  ["valueType", "i32", 1],
  ["abortCallback", "pointer", 0],
  ["abortCallbackValue", "pointer", 0],
  ["embeddings", "bool", 0],
  ["offloadKqv", "bool", 1],
  ["noPerformance", "bool", 1],
  ["offloadOperations", "bool", 1],
  ["swaFull", "bool", 1],
  ["kvUnified", "bool", 0],
  ["samplers", "pointer", 0],
  ["samplerCount", "usize", 0],
  ["otherContext", "pointer", 0],
]);

/** `struct llama_model_quantize_params` with llama.cpp's defaults. */
export const QUANTIZE_PARAMS = new Struct([
  ["threads", "i32", 0],
  ["fileType", "i32"],
  ["outputType", "i32"],
  ["embeddingType", "i32"],
  ["allowRequantize", "bool", 0],
  ["quantizeOutput", "bool", 1],
  ["onlyCopy", "bool", 0],
  ["pure", "bool", 0],
  ["keepSplit", "bool", 0],
  ["dryRun", "bool", 0],
  ["importanceMatrix", "pointer", 0],
  ["keyOverrides", "pointer", 0],
  ["tensorOverrides", "pointer", 0],
  ["prunedLayers", "pointer", 0],
  ["bufferBytesMax", "usize", 8 * 1024 ** 3],
]);
/** `enum llama_ftype` of what a model file may be brought to. */
export const FILE_TYPES: Readonly<Record<string, number>> = {
  F32: 0,
  F16: 1,
  Q8_0: 7,
  Q4_K_S: 14,
  Q4_K_M: 15,
  BF16: 32,
};

/** `struct llama_batch`; the check compares what `llama_batch_get_one(NULL, 7)` returns. */
export const BATCH = new Struct([
  ["count", "i32", 7],
  ["tokens", "pointer", 0],
  ["embeddings", "pointer", 0],
  ["positions", "pointer", 0],
  ["sequenceCounts", "pointer", 0],
  ["sequences", "pointer", 0],
  ["outputs", "pointer", 0],
]);

/** `struct llama_token_data_array`; never passed by value. */
export const TOKEN_ARRAY = new Struct([
  ["tokens", "pointer"],
  ["count", "usize"],
  ["selected", "i64"],
  ["sorted", "bool"],
]);
/** Bytes of `struct llama_token_data`: id (i32), logit (f32), probability (f32). */
export const TOKEN_BYTES = 12;

/** `enum ggml_type` of the KV cache. */
export const KV_CACHE_TYPES = { f16: 1, q4_0: 2, q8_0: 8 } as const;
/** `enum llama_flash_attn_type`. */
export const FLASH_ATTENTION = { auto: -1, off: 0, on: 1 } as const;
/** `enum llama_load_mode`. */
export const LOAD_MODES = { auto: -1, none: 0, mmap: 1 } as const;
/** `enum llama_pooling_type`. */
export const POOLING = { unspecified: -1, none: 0, mean: 1, cls: 2, last: 3, rank: 4 } as const;
