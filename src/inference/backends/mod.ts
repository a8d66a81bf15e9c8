/**
 * Which of llama.cpp's libraries drive this machine's devices. Opens none of them: a process of its own does. Start with
 * `probe_natives.ts`.
 *
 * @module
 */
export { openDevices } from "./open_devices.ts";
export { type ProbedNatives, probeNatives } from "./probe_natives.ts";
