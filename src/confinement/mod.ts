/**
 * Child processes with only the rights they need: a short list of environment variables, Deno's permissions, and on Linux
 * landlock and seccomp, put on before the program inside starts. Knows nothing of what the process is for. Start with
 * `start_confined.ts`; the reasons are in `docs/decisions/0007_processes_with_few_rights.md`.
 *
 * @module
 */
export { childEnvironment, launchEnvironment } from "./child_environment.ts";
export { killThisProcess } from "./libc.ts";
export { type Entry, extensionOf, type OwnProgram, ownProgram } from "./own_program.ts";
export { holdWritesTo, SERVING_FLAGS } from "./restart_narrowed.ts";
export type { PortRights } from "./landlock.ts";
export { type Rights, startConfined } from "./start_confined.ts";
