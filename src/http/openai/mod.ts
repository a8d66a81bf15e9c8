/**
 * OpenAI's API: its requests, answers and errors. Start with `openai.ts`.
 *
 * @module
 */
export { openAiFamily } from "./openai.ts";
