/**
 * The engine port over runner processes: starts one per loaded model, speaks frames over its pipes, and turns its death
 * into an error of every call. Never opens a native library; that is `runner/`, which only `main.ts` loads, in a process
 * of its own. Start with `engine.ts`.
 *
 * @module
 */
export { chooseBackend, openBackendFolder, openDevices } from "./backends/mod.ts";
export { createQuantizer } from "./quantize/mod.ts";
export { ChannelledModel } from "./channel/mod.ts";
export { cacheMemory, createEngine, type EngineOptions } from "./engine.ts";
