/**
 * A conversation on a terminal: reading lines, slash commands, showing an answer as it comes. It never asks a node but through the
 * client. Start reading in `repl.ts`.
 *
 * @module
 */
export { showAnswer } from "./answer_view.ts";
export { seeImages } from "./image_paths.ts";
export { converse } from "./repl.ts";
export { requestFields, type RunSettings } from "./settings.ts";
