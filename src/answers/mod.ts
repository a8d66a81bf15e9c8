/**
 * Answers a request: prompt, plan, tokens to text, and going on elsewhere when a slot is lost. It never chooses a node. Start reading in
 * `inference.ts`.
 *
 * @module
 */
export { Inference } from "./inference.ts";
export { Vocabularies } from "./vocabularies.ts";
