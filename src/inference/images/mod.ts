/**
 * What a model sees of images, by llama.cpp's libmtmd. Start with `projector.ts`.
 *
 * @module
 */
export { AnswerImages, ImageNumbers, type PromptPart } from "./answer_images.ts";
export { Projector, type ProjectorSettings } from "./projector.ts";
export { measureProjector } from "./projector_memory.ts";
