/**
 * The commands about this program itself: configuration, doctor, version, completions. They never change a node. Each file is loaded
 * when its command is used.
 *
 * @module
 */
import type { CommandRow } from "../command_row.ts";

/** In the order of the help. */
export const PROGRAM_COMMANDS: readonly CommandRow[] = [
  {
    name: "config",
    summary: "Print every setting and where it came from",
    load: async () => (await import("./config.ts")).defineConfig,
  },
  {
    name: "doctor",
    summary: "Check this machine and say what to do",
    load: async () => (await import("./doctor.ts")).defineDoctor,
  },
  {
    name: "version",
    summary: "Print the version",
    load: async () => (await import("./version.ts")).defineVersion,
  },
  {
    name: "completions",
    summary: "Print a completion script for a shell",
    load: async () => (await import("./completions.ts")).defineCompletions,
  },
];
