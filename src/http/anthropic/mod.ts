/**
 * Anthropic's Messages API: its requests, answers and errors. Start with `anthropic.ts`.
 *
 * @module
 */
export {
  answerAnthropic,
  anthropicFamily,
  listAnthropicModels,
  showAnthropicModel,
  wantsAnthropic,
} from "./anthropic.ts";
