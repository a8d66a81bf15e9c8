import type { Command } from "commander";
import type { NodeClient } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/mod.ts";

export function defineMember(command: Command, context: CliContext): void {
  command.description("Take members out of the cluster");
  addExamples(command, "odist member remove garage", "odist member revoke 1f00a9c2");
  define(command.command("remove"), context, {
    summary: "Forget a node that is gone; it may join again with a token",
    past: "removed",
    act: (client, path) => client.ask("DELETE", path),
  });
  define(command.command("revoke"), context, {
    summary: "Shut a node out for good, also with a valid token",
    past: "revoked",
    act: (client, path) => client.ask("POST", `${path}/revoke`),
  });
}

function define(command: Command, context: CliContext, verb: {
  readonly summary: string;
  readonly past: string;
  act(client: NodeClient, path: string): Promise<unknown>;
}): void {
  command.summary(verb.summary).description(verb.summary);
  command.argument("<NODE>", "Name of the node, its id, or the beginning of it");
  addClientOptions(command);
  command.action(async (node: string, options: ClientOptions) => {
    const path = `/api/cluster/members/${encodeURIComponent(node)}`;
    await verb.act(clientFor(context, options), path);
    if (options.json) printJson(context, { [verb.past]: node });
    else context.terminal.out.write(`${verb.past} '${node}'\n`);
  });
}
