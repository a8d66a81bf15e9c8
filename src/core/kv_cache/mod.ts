/**
 * What of computed prefixes is kept outside the slots that computed them, and what has to go. Pure; knows no clock, no file and
 * no llama.cpp. Start with `prefix_shelf.ts`.
 *
 * @module
 */
export { type KeptPrefix, PrefixShelf, sharedTokens } from "./prefix_shelf.ts";
