import { BATCH, CONTEXT_PARAMS, MODEL_PARAMS, QUANTIZE_PARAMS } from "./layouts.ts";

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
  llama_adapter_lora_init: { parameters: ["pointer", "buffer"], result: "pointer" },
  llama_set_adapters_lora: {
    parameters: ["pointer", "buffer", "usize", "buffer"],
    result: "i32",
  },
  llama_model_n_ctx_train: { parameters: ["pointer"], result: "i32" },
  llama_model_n_embd_out: { parameters: ["pointer"], result: "i32" },
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
} as const satisfies Deno.ForeignLibraryInterface;

/** Device questions live in libggml-base. */
export const GGML_BASE_SYMBOLS = {
  ggml_backend_dev_type: { parameters: ["pointer"], result: "i32" },
  ggml_backend_dev_memory: { parameters: ["pointer", "buffer", "buffer"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;
