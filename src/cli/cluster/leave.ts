import type { Command } from "commander";
import { printable } from "../../base/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/mod.ts";

export function define(command: Command, context: CliContext): void {
  command.description("Take the asked node out of its cluster for good, and stop it");
  command.option(
    "--force",
    "Leave in any case, even if models are lost that no other node holds or nobody can be told",
  );
  addClientOptions(command);
  addExamples(command, "odist leave");
  command.action(async (options: ClientOptions & { readonly force?: boolean }) => {
    const client = clientFor(context, options);
    const { untold } = await client.ask("POST", "/api/cluster/leave", {
      force: options.force === true,
    });
    if (options.json) return printJson(context, { left: client.url, untold });
    const { out, err } = context.terminal;
    out.write(`the node at ${client.url} has left its cluster and stops\n`);
    if (untold === undefined) return;
    err.write(
      `the others were not told (${
        printable(String(untold))
      }): if there are any, run odist member remove there\n`,
    );
  });
}
