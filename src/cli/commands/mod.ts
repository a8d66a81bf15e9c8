/**
 * The commands about one node and its models, one file each: arguments in, calls, printed answers out. They never reach past the
 * node's public API. Each file is loaded when its command is used.
 *
 * @module
 */
import type { CommandRow } from "../command_row.ts";

/** Serving, asking, and what is done with models. */
export const MODEL_COMMANDS: readonly CommandRow[] = [
  {
    name: "serve",
    alias: "start",
    summary: "Start a node",
    load: async () => (await import("./serve.ts")).defineServe,
  },
  {
    name: "run",
    summary: "Ask a model, or talk with it",
    equalsFlags: ["--think"],
    load: async () => (await import("./run.ts")).defineRun,
  },
  {
    name: "launch",
    summary: "Start another program's client against this cluster",
    load: async () => (await import("./launch.ts")).defineLaunch,
  },
  {
    name: "list",
    alias: "ls",
    summary: "List the models",
    load: async () => (await import("./list.ts")).defineList,
  },
  {
    name: "ps",
    summary: "List the loaded models",
    load: async () => (await import("./ps.ts")).definePs,
  },
  {
    name: "show",
    summary: "Show what a model is",
    load: async () => (await import("./show.ts")).defineShow,
  },
  {
    name: "stop",
    summary: "Unload a model",
    load: async () => (await import("./stop.ts")).defineStop,
  },
  {
    name: "rm",
    summary: "Delete models",
    load: async () => (await import("./rm.ts")).defineRm,
  },
  {
    name: "cp",
    summary: "Give a model a second name",
    load: async () => (await import("./cp.ts")).defineCp,
  },
  {
    name: "create",
    summary: "Make a model from a Modelfile",
    load: async () => (await import("./create.ts")).defineCreate,
  },
  {
    name: "pull",
    summary: "Download a model",
    load: async () => (await import("./pull.ts")).definePull,
  },
  {
    name: "push",
    summary: "Upload a model",
    load: async () => (await import("./push.ts")).definePush,
  },
];
