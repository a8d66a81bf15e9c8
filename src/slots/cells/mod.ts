/**
 * What models have computed of prompts, moved between nodes. Start with `cell_moves.ts`.
 *
 * @module
 */
export { CellMoves } from "./cell_moves.ts";
