import type { Command } from "commander";
import { formatTable } from "../../base/mod.ts";
import { describeConfig } from "../../config/mod.ts";
import { type CliContext, configFor } from "../context.ts";
import { addConfigOptions, addExamples, addJsonOption, configFlagsOf } from "../options.ts";
import { printJson } from "../terminal/mod.ts";

export function define(command: Command, context: CliContext): void {
  command.description("Print every setting, its value and where it came from");
  addConfigOptions(command, () => true);
  addJsonOption(command);
  addExamples(command, "odist config", "ODIST_SLOTS=4 odist config --json");
  command.action((options: { readonly config?: string; readonly json?: boolean }) => {
    const loaded = configFor(context, { flags: configFlagsOf(command), path: options.config });
    const rows = describeConfig(loaded);
    const { out, err } = context.terminal;
    if (options.json) return printJson(context, { options: rows, warnings: loaded.warnings });
    const lines = formatTable([
      ["OPTION", "VALUE", "FROM"],
      ...rows.map(({ name, value, origin }) => [name, value === "" ? "-" : value, origin]),
    ]);
    out.write(`${lines.join("\n")}\n`);
    for (const warning of loaded.warnings) err.write(`Warning: ${warning}\n`);
  });
}
