/**
 * What a model's slots have computed, kept beside them and outside of the runner. Which of it, `core/kv_cache` decides. Start with
 * `kept_cells.ts`.
 *
 * @module
 */
export { type CellsOfSlot, KeptCells, tokensLost } from "./kept_cells.ts";
export type { CellsVoice } from "./travelling_cells.ts";
