/**
 * What `create` reads and uploads: the files a Modelfile names. It never makes a model itself. Start reading in `model_files.ts`.
 *
 * @module
 */
export { findPartFiles, findSource } from "./model_files.ts";
export { uploadFiles } from "./upload.ts";
