/**
 * OpenAI's API: its requests, answers and errors. Start with `openai.ts`.
 *
 * @module
 */
export { openAiFailureAnswer, openAiFamily } from "./openai.ts";
export { choiceOfMode, parseArguments, parseEffort } from "./openai_requests.ts";
