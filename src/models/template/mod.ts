/**
 * Turns conversations into prompts, by Ollama's Go templates or by the chat templates in GGUF files, and says how answers
 * are to be read: tool call tag, thinking tags. Knows neither tokens nor files. Start with `compile_template.ts`.
 *
 * @module
 */
export { KNOWN_TEMPLATES, type KnownTemplate } from "./known_templates.ts";
export { compileTemplate, type TemplateSources } from "./compile_template.ts";
export type {
  PromptInput,
  PromptRenderer,
  RenderedPrompt,
  TemplateCapabilities,
  TemplateTraits,
} from "./prompt_renderer.ts";
