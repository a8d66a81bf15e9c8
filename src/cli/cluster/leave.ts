import type { Command } from "commander";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/mod.ts";

export function define(command: Command, context: CliContext): void {
  command.description("Take the asked node out of its cluster for good, and stop it");
  command.option("--force", "Leave even if models are lost that no other node holds");
  addClientOptions(command);
  addExamples(command, "odist leave");
  command.action(async (options: ClientOptions & { readonly force?: boolean }) => {
    const client = clientFor(context, options);
    await client.ask("POST", "/api/cluster/leave", { force: options.force === true });
    if (options.json) printJson(context, { left: client.url });
    else context.terminal.out.write(`the node at ${client.url} has left its cluster and stops\n`);
  });
}
