/**
 * Modelfiles as texts, and the options that models and requests have in common. It never looks at a model. Start reading in
 * `modelfile.ts`.
 *
 * @module
 */
export {
  isOfType,
  MODEL_OPTIONS,
  modelOptionField,
  type ModelOptionType,
  optionsOf,
  parseParameters,
  type StoredParameters,
} from "./model_options.ts";
export { type LineRule, readLineRules } from "./line_rules.ts";
export { formatModelfile, type Modelfile, parseModelfile, settingsOf } from "./modelfile.ts";
