import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { addExamples, addJsonOption } from "../options.ts";
import { printJson } from "../terminal/mod.ts";

export function define(command: Command, context: CliContext): void {
  addJsonOption(command);
  addExamples(command, "odist version --json");
  command.action((options: { readonly json?: boolean }) => {
    const { version } = context;
    if (options.json) {
      printJson(context, { version, deno: Deno.version.deno, target: Deno.build.target });
    } else context.terminal.out.write(`odist version ${version}\n`);
  });
}
