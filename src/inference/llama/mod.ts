/**
 * llama.cpp's libraries: the layouts of their structs, what is called of them, and how they are opened and checked. Never
 * imported by the node process, which must survive llama.cpp. Start with `llama.ts`.
 *
 * @module
 */
export {
  BATCH,
  CHUNK_TYPES,
  CONTEXT_PARAMS,
  FILE_TYPES,
  FLASH_ATTENTION,
  INPUT_TEXT,
  KV_CACHE_TYPES,
  LOAD_MODES,
  MODEL_PARAMS,
  MTMD_PARAMS,
  POOLING,
  QUANTIZE_PARAMS,
  TOKEN_ARRAY,
  TOKEN_BYTES,
} from "./abi.ts";
export { type Llama, openLlama } from "./llama.ts";
export {
  measurePlacement,
  type Placement,
  placeModel,
  placeOf,
  type ProjectorShare,
} from "./placement.ts";
export { printNatives } from "./print_natives.ts";
export { type Mtmd, openMtmd, openRpc } from "./own_libraries.ts";
export { addressOf, asBytes, cText, readText } from "./struct.ts";
