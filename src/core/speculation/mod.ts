/**
 * Which tokens an answer may go on with, by what it was said before, and whether it pays to compute them together. Pure; knows
 * no clock and no llama.cpp. Start with `drafter.ts`.
 *
 * @module
 */
export { DRAFT_TOKENS_MAX, DraftCosts, DRAFTED_ROWS } from "./draft_costs.ts";
export { Drafter } from "./drafter.ts";
