import type { Command } from "commander";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { showTransfer } from "../terminal/mod.ts";
import { addClientOptions, addExamples } from "../options.ts";

export function definePull(command: Command, context: CliContext): void {
  command.argument("<MODEL>", "Name of the model")
    .option("--insecure", "Talk plain HTTP to the registry");
  addClientOptions(command);
  addExamples(command, "odist pull llama3.2");
  command.action(async (model: string, options: ClientOptions & { insecure?: boolean }) => {
    const body = { model, insecure: options.insecure ?? false };
    const lines = clientFor(context, options).stream("/api/pull", body);
    await showTransfer(context, lines, { json: options.json ?? false, picture: "keep" });
  });
}
