import type { Command } from "commander";
import { isEdgeError, RequestError } from "../../base/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/mod.ts";

export function define(command: Command, context: CliContext): void {
  command.argument("<MODEL>", "Name of the model");
  addClientOptions(command);
  addExamples(command, "odist stop tiny");
  command.action(async (model: string, options: ClientOptions) => {
    const client = clientFor(context, options);
    try {
      await client.unload(model);
    } catch (error) {
      if (!isEdgeError(error) || error.code !== "model_not_found") throw error;
      throw new RequestError("model_not_found", `couldn't find model "${model}" to stop`, {
        cause: error,
        command: "odist ps",
      });
    }
    if (options.json) printJson(context, { stopped: model });
  });
}
