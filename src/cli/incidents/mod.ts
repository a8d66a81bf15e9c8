/**
 * The commands for the time after something went wrong. Each file is loaded when its command is used.
 *
 * @module
 */
import type { CommandRow } from "../command_row.ts";

/** In the order of the help. */
export const INCIDENT_COMMANDS: readonly CommandRow[] = [
  {
    name: "incident",
    summary: "Save what the nodes decided, and step through it again",
    load: () => import("./incident.ts"),
  },
  {
    name: "support",
    summary: "Write what a report of a fault needs to a file",
    load: () => import("./support.ts"),
  },
];
