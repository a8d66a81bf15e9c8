/**
 * Reads the headers of GGUF files: metadata and where tensors lie, never tensor bytes. Any file may be damaged or
 * hostile, so every count and length has a limit, and an error names reason and offset.
 *
 * @module
 */
export { type GgufFacts, ggufFacts, isFactArray } from "./gguf_facts.ts";
export type { GgufSource } from "./gguf_cursor.ts";
export { type Gguf, type GgufTensor, type GgufValue, readGguf } from "./read_gguf.ts";
export { type MergedGguf, mergeGguf } from "./merge_gguf.ts";
export { readModelLayers } from "./model_layers.ts";
