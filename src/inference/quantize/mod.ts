/**
 * Rewrites a GGUF with fewer bits per weight, in a process of its own. It never serves. Start reading in `quantizer.ts`.
 *
 * @module
 */
export { quantizeFile } from "./quantize_file.ts";
export { createQuantizer } from "./quantizer.ts";
