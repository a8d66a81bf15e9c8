/**
 * How a part of the core has its state taken down and put back. Start with `state_keeper.ts`.
 *
 * @module
 */
export { keepMap, type StateKeeper } from "./state_keeper.ts";
