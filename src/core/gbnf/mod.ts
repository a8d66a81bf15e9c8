/**
 * Writes rules in GBNF, llama.cpp's language of grammars: within limits, texts by the pattern they match, numbers by their
 * bounds and steps. Knows no schemas. Start with `grammar_builder.ts`.
 *
 * @module
 */
export { boundedPattern, type Lengths, lengthsOf } from "./bounded_pattern.ts";
export { bothPatterns } from "./both_patterns.ts";
export { complement, plainCharactersExcept } from "./char_set.ts";
export { decimalOf, decimalsBetween } from "./decimals.ts";
export { FORMATS } from "./formats.ts";
export { GrammarBuilder, join, literal } from "./grammar_builder.ts";
export { multiplesRule } from "./multiples.ts";
export { parsePattern, type PatternNode } from "./pattern_parser.ts";
export { LimitRefusal, SchemaRefusal } from "./refusal.ts";
export { textWithout } from "./text_without.ts";
export { valueChoice } from "./value_choice.ts";
