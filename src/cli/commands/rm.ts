import type { Command } from "commander";
import { isEdgeError } from "../../base/mod.ts";
import type { NodeClient } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/mod.ts";

export function define(command: Command, context: CliContext): void {
  command.argument("<MODEL...>", "Names of the models");
  addClientOptions(command);
  addExamples(command, "odist rm draft", "odist rm draft:v1 draft:v2");
  command.action(async (models: readonly string[], options: ClientOptions) => {
    const client = clientFor(context, options);
    for (const model of models) {
      await unloadIfLoaded(client, model);
      await client.ask("DELETE", "/api/delete", { model });
      if (!options.json) context.terminal.out.write(`deleted '${model}'\n`);
    }
    if (options.json) printJson(context, { deleted: models });
  });
}

/** A model that can't be unloaded, be it broken or an embedding model, can still be deleted. */
async function unloadIfLoaded(client: NodeClient, model: string): Promise<void> {
  try {
    await client.unload(model);
  } catch (error) {
    if (!isEdgeError(error) || error.code === "node_unreachable") throw error;
  }
}
