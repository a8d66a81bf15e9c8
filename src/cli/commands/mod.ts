/**
 * The commands about one node and its models, one file each: arguments in, calls, printed answers out. They never reach past the
 * node's public API. Each file is loaded when its command is used.
 *
 * @module
 */
import type { CommandRow } from "../command_row.ts";

/** Serving, asking, and what is done with models. */
export const MODEL_COMMANDS: readonly CommandRow[] = [
  { name: "serve", alias: "start", summary: "Start a node", load: () => import("./serve.ts") },
  {
    name: "run",
    summary: "Ask a model, or talk with it",
    equalsFlags: ["--think"],
    load: () => import("./run.ts"),
  },
  {
    name: "launch",
    summary: "Start another program's client against this cluster",
    load: () => import("./launch.ts"),
  },
  { name: "ui", summary: "Open the page of the cluster", load: () => import("./ui.ts") },
  { name: "list", alias: "ls", summary: "List the models", load: () => import("./list.ts") },
  { name: "ps", summary: "List the loaded models", load: () => import("./ps.ts") },
  { name: "show", summary: "Show what a model is", load: () => import("./show.ts") },
  { name: "stop", summary: "Unload a model", load: () => import("./stop.ts") },
  { name: "rm", summary: "Delete models", load: () => import("./rm.ts") },
  { name: "cp", summary: "Give a model a second name", load: () => import("./cp.ts") },
  { name: "create", summary: "Make a model from a Modelfile", load: () => import("./create.ts") },
  { name: "pull", summary: "Download a model", load: () => import("./transfer.ts") },
  { name: "push", summary: "Upload a model", load: () => import("./transfer.ts") },
];
