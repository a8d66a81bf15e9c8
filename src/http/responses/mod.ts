/**
 * OpenAI's Responses API: its requests, the items of a conversation, the events of a stream, and answers that are kept.
 * Start with `responses.ts`.
 *
 * @module
 */
export { responsesFamily } from "./responses.ts";
