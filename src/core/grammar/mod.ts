/**
 * Turns JSON Schemas into grammars of llama.cpp (GBNF), so that a model can only write what is valid. Never judges texts;
 * it only writes rules, within named limits. Start with `schema_to_grammar.ts`.
 *
 * @module
 */
export { ARRAY_ITEMS_MAX } from "./array_rule.ts";
export type { Schema } from "./schema.ts";
export {
  type GrammarResult,
  jsonGrammar,
  SCHEMA_DEPTH_MAX,
  SCHEMA_ENUM_MAX,
  schemaToGrammar,
} from "./schema_to_grammar.ts";
export { STRING_LENGTH_MAX } from "./string_rule.ts";
