import type { Command } from "commander";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/mod.ts";

export function defineDrain(command: Command, context: CliContext): void {
  command.description("Send no new requests to a node; running answers go on");
  define(command, context, "drain");
}

export function defineUndrain(command: Command, context: CliContext): void {
  command.description("Send requests to a drained node again");
  define(command, context, "undrain");
}

function define(command: Command, context: CliContext, verb: "drain" | "undrain"): void {
  command.argument("<NODE>", "Name of the node, its id, or the beginning of it");
  addClientOptions(command);
  addExamples(command, `odist ${verb} garage`);
  command.action(async (node: string, options: ClientOptions) => {
    const path = `/api/cluster/members/${encodeURIComponent(node)}/${verb}`;
    await clientFor(context, options).ask("POST", path);
    if (options.json) printJson(context, { [`${verb}ed`]: node });
    else context.terminal.out.write(`${verb}ed '${node}'\n`);
  });
}
