/**
 * The command that plans where a model's layers would lie on nodes that a file describes. It asks no node and loads no
 * model. Start with `plan.ts`.
 *
 * @module
 */
import type { CommandRow } from "../command_row.ts";

/** In the order of the help. */
export const PLANNING_COMMANDS: readonly CommandRow[] = [
  {
    name: "plan",
    summary: "Plan where a model larger than one machine would go",
    load: () => import("./plan.ts"),
  },
];
