/**
 * What a model's slots have computed, kept beside them. Which of it, `core/kv_cache` decides. Start with `kept_cells.ts`.
 *
 * @module
 */
export { KeptCells, tokensLost } from "./kept_cells.ts";
