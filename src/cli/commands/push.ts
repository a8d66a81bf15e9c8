import type { Command } from "commander";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { showTransfer } from "../terminal/mod.ts";
import { addClientOptions, addExamples } from "../options.ts";

export function definePush(command: Command, context: CliContext): void {
  command.argument("<MODEL>", "Name of the model, with the registry's host or namespace")
    .option("--insecure", "Talk plain HTTP to the registry");
  addClientOptions(command);
  addExamples(command, "odist push registry.example:5000/library/my-tiny --insecure");
  command.action(async (model: string, options: ClientOptions & { insecure?: boolean }) => {
    const body = { model, insecure: options.insecure ?? false };
    const lines = clientFor(context, options).stream("/api/push", body);
    await showTransfer(context, lines, { json: options.json ?? false, picture: "keep" });
    if (!options.json) {
      context.terminal.out.write(`\nYou can find your model at:\n\n\t${model}\n`);
    }
  });
}
