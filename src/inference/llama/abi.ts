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

/** `struct mtmd_context_params` with libmtmd's defaults. */
export const MTMD_PARAMS = new Struct([
  ["useGpu", "bool", 1],
  ["device", "pointer", 0],
  ["printTimings", "bool", 1],
  ["threads", "i32", 4],
  ["imageMarker", "pointer", 0],
  ["mediaMarker", "pointer"],
  ["flashAttention", "i32", -1],
  ["warmUp", "bool", 1],
  ["imageTokensMin", "i32", -1],
  ["imageTokensMax", "i32", -1],
  ["evalCallback", "pointer", 0],
  ["evalCallbackValue", "pointer", 0],
  ["batchTokensMax", "i32", 1024],
  ["progressCallback", "pointer", 0],
  ["progressValue", "pointer", 0],
]);

/** `struct mtmd_input_text`; never passed by value. */
export const INPUT_TEXT = new Struct([
  ["text", "pointer"],
  ["length", "usize"],
  ["addSpecial", "bool"],
  ["parseSpecial", "bool"],
]);

/** `enum mtmd_input_chunk_type`. */
export const CHUNK_TYPES = { text: 0, image: 1 } as const;

/** `struct mtmd_helper_init_opt`, of videos alone. */
const INIT_OPTIONS: Deno.NativeStructType = { struct: [{ struct: ["f32", "pointer", "i64"] }] };

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

/**
 * What is called of libllama. Names ending in `_later` run on another thread, so that pipes are served meanwhile: of
 * those at most one may be under way, and nothing else may touch the context until it is done.
 */
export const LLAMA_SYMBOLS = {
  llama_version: { parameters: [], result: "pointer" },
  llama_print_system_info: { parameters: [], result: "pointer" },
  llama_backend_init: { parameters: [], result: "void" },
  llama_model_default_params: { parameters: [], result: MODEL_PARAMS.nativeType },
  llama_context_default_params: { parameters: [], result: CONTEXT_PARAMS.nativeType },
  llama_batch_get_one: { parameters: ["pointer", "i32"], result: BATCH.nativeType },
  llama_model_load_later: {
    name: "llama_model_load_from_file",
    parameters: ["buffer", MODEL_PARAMS.nativeType],
    result: "pointer",
    nonblocking: true,
  },
  llama_init_later: {
    name: "llama_init_from_model",
    parameters: ["pointer", CONTEXT_PARAMS.nativeType],
    result: "pointer",
    nonblocking: true,
  },
  llama_model_quantize_default_params: {
    parameters: [],
    result: QUANTIZE_PARAMS.nativeType,
  },
  llama_model_quantize: { parameters: ["buffer", "buffer", "buffer"], result: "u32" },
  llama_free: { parameters: ["pointer"], result: "void" },
  llama_model_free: { parameters: ["pointer"], result: "void" },
  llama_set_n_threads: { parameters: ["pointer", "i32", "i32"], result: "void" },
  llama_adapter_lora_init: { parameters: ["pointer", "buffer"], result: "pointer" },
  llama_set_adapters_lora: {
    parameters: ["pointer", "buffer", "usize", "buffer"],
    result: "i32",
  },
  llama_model_n_ctx_train: { parameters: ["pointer"], result: "i32" },
  llama_model_n_embd_out: { parameters: ["pointer"], result: "i32" },
  llama_model_n_embd_inp: { parameters: ["pointer"], result: "i32" },
  llama_set_causal_attn: { parameters: ["pointer", "bool"], result: "void" },
  llama_model_n_layer: { parameters: ["pointer"], result: "i32" },
  llama_model_n_embd: { parameters: ["pointer"], result: "i32" },
  llama_model_n_swa: { parameters: ["pointer"], result: "i32" },
  llama_model_size: { parameters: ["pointer"], result: "u64" },
  llama_model_has_encoder: { parameters: ["pointer"], result: "bool" },
  llama_model_has_decoder: { parameters: ["pointer"], result: "bool" },
  llama_model_get_vocab: { parameters: ["pointer"], result: "pointer" },
  llama_n_ctx_seq: { parameters: ["pointer"], result: "u32" },
  llama_pooling_type: { parameters: ["pointer"], result: "i32" },
  llama_get_memory: { parameters: ["pointer"], result: "pointer" },
  llama_memory_seq_rm: { parameters: ["pointer", "i32", "i32", "i32"], result: "bool" },
  llama_memory_seq_cp: { parameters: ["pointer", "i32", "i32", "i32", "i32"], result: "void" },
  llama_memory_seq_add: { parameters: ["pointer", "i32", "i32", "i32", "i32"], result: "void" },
  llama_memory_seq_pos_min: { parameters: ["pointer", "i32"], result: "i32" },
  llama_memory_seq_pos_max: { parameters: ["pointer", "i32"], result: "i32" },
  llama_memory_clear: { parameters: ["pointer", "bool"], result: "void" },
  llama_state_seq_get_size: { parameters: ["pointer", "i32"], result: "usize" },
  llama_state_seq_get_data_later: {
    name: "llama_state_seq_get_data",
    parameters: ["pointer", "buffer", "usize", "i32"],
    result: "usize",
    nonblocking: true,
  },
  llama_state_seq_set_data_later: {
    name: "llama_state_seq_set_data",
    parameters: ["pointer", "buffer", "usize", "i32"],
    result: "usize",
    nonblocking: true,
  },
  llama_memory_can_shift: { parameters: ["pointer"], result: "bool" },
  llama_decode: { parameters: ["pointer", BATCH.nativeType], result: "i32" },
  llama_decode_later: {
    name: "llama_decode",
    parameters: ["pointer", BATCH.nativeType],
    result: "i32",
    nonblocking: true,
  },
  llama_encode_later: {
    name: "llama_encode",
    parameters: ["pointer", BATCH.nativeType],
    result: "i32",
    nonblocking: true,
  },
  llama_synchronize_later: {
    name: "llama_synchronize",
    parameters: ["pointer"],
    result: "void",
    nonblocking: true,
  },
  llama_get_logits_ith: { parameters: ["pointer", "i32"], result: "pointer" },
  llama_get_embeddings_seq: { parameters: ["pointer", "i32"], result: "pointer" },
  llama_get_embeddings_ith: { parameters: ["pointer", "i32"], result: "pointer" },
  llama_vocab_n_tokens: { parameters: ["pointer"], result: "i32" },
  llama_vocab_bos: { parameters: ["pointer"], result: "i32" },
  llama_vocab_eos: { parameters: ["pointer"], result: "i32" },
  llama_vocab_sep: { parameters: ["pointer"], result: "i32" },
  llama_vocab_is_eog: { parameters: ["pointer", "i32"], result: "bool" },
  llama_vocab_get_text: { parameters: ["pointer", "i32"], result: "pointer" },
  llama_vocab_get_add_bos: { parameters: ["pointer"], result: "bool" },
  llama_vocab_get_add_eos: { parameters: ["pointer"], result: "bool" },
  llama_vocab_get_add_sep: { parameters: ["pointer"], result: "bool" },
  llama_tokenize: {
    parameters: ["pointer", "buffer", "i32", "buffer", "i32", "bool", "bool"],
    result: "i32",
  },
  llama_token_to_piece: {
    parameters: ["pointer", "i32", "buffer", "i32", "i32", "bool"],
    result: "i32",
  },
  llama_sampler_init_grammar: { parameters: ["pointer", "buffer", "buffer"], result: "pointer" },
  llama_sampler_chain_init: { parameters: ["u8"], result: "pointer" },
  llama_sampler_chain_add: { parameters: ["pointer", "pointer"], result: "void" },
  llama_sampler_chain_remove: { parameters: ["pointer", "i32"], result: "pointer" },
  llama_sampler_init_penalties: {
    parameters: ["i32", "i32", "f32", "f32", "f32"],
    result: "pointer",
  },
  llama_sampler_init_greedy: { parameters: [], result: "pointer" },
  llama_sampler_init_top_k: { parameters: ["i32"], result: "pointer" },
  llama_sampler_init_typical: { parameters: ["f32", "usize"], result: "pointer" },
  llama_sampler_init_top_p: { parameters: ["f32", "usize"], result: "pointer" },
  llama_sampler_init_min_p: { parameters: ["f32", "usize"], result: "pointer" },
  llama_sampler_init_temp: { parameters: ["f32"], result: "pointer" },
  llama_sampler_init_dist: { parameters: ["u32"], result: "pointer" },
  llama_sampler_sample: { parameters: ["pointer", "pointer", "i32"], result: "i32" },
  llama_sampler_apply: { parameters: ["pointer", "buffer"], result: "void" },
  llama_sampler_accept: { parameters: ["pointer", "i32"], result: "void" },
  llama_sampler_free: { parameters: ["pointer"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

/** What is called of libggml and libggml-base. */
export const GGML_SYMBOLS = {
  ggml_backend_load_all_from_path: { parameters: ["buffer"], result: "void" },
  ggml_backend_dev_count: { parameters: [], result: "usize" },
  ggml_backend_dev_get: { parameters: ["usize"], result: "pointer" },
  ggml_backend_register: { parameters: ["pointer"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

/** Questions about devices, and the log, live in libggml-base. */
export const GGML_BASE_SYMBOLS = {
  ggml_backend_reg_dev_count: { parameters: ["pointer"], result: "usize" },
  ggml_backend_reg_dev_get: { parameters: ["pointer", "usize"], result: "pointer" },
  ggml_backend_dev_backend_reg: { parameters: ["pointer"], result: "pointer" },
  ggml_backend_dev_type: { parameters: ["pointer"], result: "i32" },
  ggml_backend_dev_name: { parameters: ["pointer"], result: "pointer" },
  ggml_backend_dev_description: { parameters: ["pointer"], result: "pointer" },
  ggml_backend_dev_memory: { parameters: ["pointer", "buffer", "buffer"], result: "void" },
  ggml_log_set: { parameters: ["pointer", "pointer"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

/** What is called of libggml-rpc. Both of the nonblocking calls may take for ever. */
export const RPC_SYMBOLS = {
  ggml_backend_rpc_reg: { parameters: [], result: "pointer" },
  ggml_backend_rpc_add_server: { parameters: ["buffer"], result: "pointer", nonblocking: true },
  ggml_backend_rpc_start_server: {
    parameters: ["buffer", "buffer", "usize", "usize", "buffer"],
    result: "void",
    nonblocking: true,
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** What is called of libmtmd. Names ending in `_later` run on another thread. */
export const MTMD_SYMBOLS = {
  mtmd_context_params_default: { parameters: [], result: MTMD_PARAMS.nativeType },
  mtmd_log_set: { parameters: ["function", "pointer"], result: "void" },
  mtmd_init_later: {
    name: "mtmd_init_from_file",
    parameters: ["buffer", "pointer", MTMD_PARAMS.nativeType],
    result: "pointer",
    nonblocking: true,
  },
  /** The build's own: C++ alone tells it otherwise. Bytes of the device that the parameters name, and of the machine's memory. */
  odist_mtmd_memory_later: {
    name: "odist_mtmd_memory",
    parameters: ["buffer", MTMD_PARAMS.nativeType, "buffer", "buffer"],
    result: "bool",
    nonblocking: true,
  },
  mtmd_free: { parameters: ["pointer"], result: "void" },
  mtmd_support_vision: { parameters: ["pointer"], result: "bool" },
  mtmd_get_marker: { parameters: ["pointer"], result: "pointer" },
  mtmd_decode_use_mrope: { parameters: ["pointer"], result: "bool" },
  mtmd_decode_use_non_causal: { parameters: ["pointer", "pointer"], result: "bool" },
  mtmd_helper_init_opt_default: { parameters: [], result: INIT_OPTIONS },
  mtmd_helper_bitmap_init_from_buf_later: {
    name: "mtmd_helper_bitmap_init_from_buf",
    parameters: ["pointer", "buffer", "usize", "bool", INIT_OPTIONS],
    // The image, and a video.
    result: { struct: ["pointer", "pointer"] },
    nonblocking: true,
  },
  /** Of three bytes a pixel, which it copies. */
  mtmd_bitmap_init: { parameters: ["u32", "u32", "buffer"], result: "pointer" },
  mtmd_bitmap_free: { parameters: ["pointer"], result: "void" },
  mtmd_input_chunks_init: { parameters: [], result: "pointer" },
  mtmd_input_chunks_size: { parameters: ["pointer"], result: "usize" },
  mtmd_input_chunks_get: { parameters: ["pointer", "usize"], result: "pointer" },
  mtmd_input_chunks_free: { parameters: ["pointer"], result: "void" },
  mtmd_input_chunk_get_type: { parameters: ["pointer"], result: "i32" },
  mtmd_input_chunk_get_n_tokens: { parameters: ["pointer"], result: "usize" },
  mtmd_input_chunk_get_n_pos: { parameters: ["pointer"], result: "i32" },
  mtmd_input_chunk_get_tokens_image: { parameters: ["pointer"], result: "pointer" },
  mtmd_image_tokens_get_decoder_pos: {
    parameters: ["pointer", "i32", "usize"],
    // The position in time, from the left, from the top, and one of none of them.
    result: { struct: ["u32", "u32", "u32", "u32"] },
  },
  mtmd_input_chunk_get_tokens_text: { parameters: ["pointer", "buffer"], result: "pointer" },
  mtmd_tokenize_later: {
    name: "mtmd_tokenize",
    parameters: ["pointer", "pointer", "buffer", "buffer", "usize"],
    result: "i32",
    nonblocking: true,
  },
  mtmd_encode_chunk_later: {
    name: "mtmd_encode_chunk",
    parameters: ["pointer", "pointer"],
    result: "i32",
    nonblocking: true,
  },
  mtmd_get_output_embd: { parameters: ["pointer"], result: "pointer" },
} as const satisfies Deno.ForeignLibraryInterface;
