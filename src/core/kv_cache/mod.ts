/**
 * What of computed prefixes is kept outside the slots that computed them, what has to go, and what is worth fetching from
 * another node. Pure; knows no clock, no file and no llama.cpp. Start with `prefix_shelf.ts`.
 *
 * @module
 */
export { type KeptPrefix, PrefixShelf, sharedTokens } from "./prefix_shelf.ts";
export { computeMsOf, paysToMove } from "./cell_move.ts";
export { namedTokens, sharedBlockTokens, TOKEN_BLOCK, tokenBlocks } from "./token_blocks.ts";
