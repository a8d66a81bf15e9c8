import type { Command } from "commander";
import { formatTable } from "../../base/mod.ts";
import { describeConfig, migrateConfigFile } from "../../config/mod.ts";
import { type CliContext, configFor } from "../context.ts";
import { addConfigOptions, addExamples, addJsonOption, configFlagsOf } from "../options.ts";
import { printJson } from "../terminal/mod.ts";

interface ConfigOptions {
  readonly config?: string;
  readonly json?: boolean;
  readonly migrate?: boolean;
}

export function define(command: Command, context: CliContext): void {
  command.description("Print every setting, its value and where it came from");
  addConfigOptions(command, () => true);
  addJsonOption(command);
  command.option("--migrate", "Write the configuration file in the names of this release");
  addExamples(
    command,
    "odist config",
    "ODIST_SLOTS=4 odist config --json",
    "odist config --migrate",
  );
  command.action((options: ConfigOptions) => {
    if (options.migrate) return migrate(command, context, options);
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

function migrate(command: Command, context: CliContext, options: ConfigOptions): void {
  const { path, changes } = migrateConfigFile({
    flags: configFlagsOf(command),
    env: context.env,
    ...(options.config === undefined ? {} : { path: options.config }),
  });
  if (options.json) return printJson(context, { path, changes });
  const lines = changes.map((change) => `${change}\n`).join("");
  context.terminal.out.write(
    changes.length === 0
      ? `${path}: nothing to change\n`
      : `${lines}${path} is written, ${path}.old is as it was\n`,
  );
}
