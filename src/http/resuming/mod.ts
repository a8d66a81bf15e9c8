/**
 * Answers that clients come back for: by their id and a byte, on any node; and the same request that is sent again. How one is
 * made and read at once is in `wire/live_answer.ts`.
 *
 * @module
 */
export { followedAnswer, Resuming, type Revival } from "./resuming.ts";
