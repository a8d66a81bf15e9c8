/**
 * The commands about this program itself: configuration, doctor, libraries, version, completions. They never ask a node to change. Each file is loaded
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
    load: () => import("./config.ts"),
  },
  {
    name: "doctor",
    summary: "Check this machine and say what to do",
    load: () => import("./doctor.ts"),
  },
  {
    name: "backend",
    summary: "Add, list and remove libraries for GPUs",
    load: () => import("./backend.ts"),
  },
  { name: "version", summary: "Print the version", load: () => import("./version.ts") },
  {
    name: "completions",
    summary: "Print a completion script for a shell",
    load: () => import("./completions.ts"),
  },
];

/** What `odist` alone shows on a terminal. */
export const loadOverview = () => import("./overview.ts");
