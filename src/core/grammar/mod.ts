/**
 * Turns JSON Schemas into grammars of llama.cpp (GBNF), so that a model can only write what is valid. Never judges texts;
 * it only writes rules, within named limits. Start with `schema_to_grammar.ts`.
 *
 * @module
 */
export { callGrammar, type CallGrammarOptions } from "./call_grammar.ts";
export type { Schema } from "./schema.ts";
export { type GrammarResult, jsonGrammar, schemaToGrammar } from "./schema_to_grammar.ts";
