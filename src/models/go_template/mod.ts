/**
 * Go's text/template language, as far as Ollama's templates use it: lexer, parser, executor, functions, and values that
 * print, compare and marshal as Go's do. Performs no I/O; templates come from strangers, so depth, steps and output are
 * bounded. Start with `executor.ts`; `value.ts` says what a template can hold.
 *
 * @module
 */
export type { GoNode, GoOperand, GoPipeline, GoTemplate } from "./ast.ts";
export { executeGoTemplate, TEMPLATE_OUTPUT_CHARS_MAX } from "./executor.ts";
export { GO_FUNCTION_NAMES, type GoDates } from "./functions.ts";
export { parseGoTemplate, TEMPLATE_CHARS_MAX } from "./parser.ts";
export { type GoField, goFromJson, GoList, GoMap, GoStruct, type GoValue } from "./value.ts";
