/**
 * Which of llama.cpp's libraries drive this machine's devices: what was added, from where, and what is used. Opens none of
 * them: a process of its own does. Start with `backend_folder.ts`.
 *
 * @module
 */
export {
  type AddedBackend,
  type Backend,
  BACKENDS,
  filesWanted,
  packageOf,
} from "./backend_folder.ts";
export { chooseBackend, openBackendFolder } from "./choose_backend.ts";
export { filesOfArchive, filesOfRegistry, type PackageFile } from "./package_files.ts";
export { openDevices } from "./open_devices.ts";
export { type ProbedNatives, probeNatives } from "./probe_natives.ts";
