/**
 * Makes a model from a recipe: parts, splits, quantization, manifest. It never touches a network. Start reading in
 * `create_model.ts`.
 *
 * @module
 */
export { createModel } from "./create_model.ts";
