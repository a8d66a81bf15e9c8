import type { Command } from "commander";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/mod.ts";

export function define(command: Command, context: CliContext): void {
  command.argument("<SOURCE>", "Name of an existing model")
    .argument("<DESTINATION>", "Its second name");
  addClientOptions(command);
  addExamples(command, "odist cp tiny my-tiny");
  command.action(async (source: string, destination: string, options: ClientOptions) => {
    await clientFor(context, options).ask("POST", "/api/copy", { source, destination });
    if (options.json) printJson(context, { source, destination });
    else context.terminal.out.write(`copied '${source}' to '${destination}'\n`);
  });
}
