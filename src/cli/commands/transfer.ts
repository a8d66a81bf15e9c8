import type { Command } from "commander";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { showTransfer } from "../terminal/mod.ts";

/** `pull` and `push`. */
export function define(command: Command, context: CliContext): void {
  const isPush = command.name() === "push";
  const name = isPush
    ? "Name of the model, with the registry's host or namespace"
    : "Name of the model";
  command.argument("<MODEL>", name).option("--insecure", "Talk plain HTTP to the registry");
  addClientOptions(command);
  addExamples(
    command,
    isPush ? "odist push registry.example:5000/library/my-tiny --insecure" : "odist pull llama3.2",
  );
  command.action(async (model: string, options: ClientOptions & { insecure?: boolean }) => {
    const body = { model, insecure: options.insecure ?? false };
    const lines = clientFor(context, options).stream(`/api/${command.name()}`, body);
    await showTransfer(context, lines, { json: options.json ?? false, picture: "keep" });
    if (isPush && !options.json) {
      context.terminal.out.write(`\nYou can find your model at:\n\n\t${model}\n`);
    }
  });
}
