import type { Command } from "commander";
import { type CliContext, clientFor, type ClientOptions, configFor } from "../context.ts";
import {
  addClientOptions,
  addConfigOptions,
  addExamples,
  addJsonOption,
  configFlagsOf,
} from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import { readWhole, writeWhole } from "../whole_file.ts";

export function define(command: Command, context: CliContext): void {
  command.description("Keep what the cluster agreed on, for the day on which all nodes are lost");
  addExamples(
    command,
    "odist snapshot save cluster.snapshot",
    "odist snapshot restore cluster.snapshot --data ~/.odist",
  );
  defineSave(command.command("save"), context);
  defineRestore(command.command("restore"), context);
}

function defineSave(command: Command, context: CliContext): void {
  const summary = "Write the cluster's catalogue to a file; no model's weights are in it";
  command.summary(summary).description(summary);
  command.argument("<FILE>", "File to write; it must not be there yet");
  addClientOptions(command);
  command.action(async (path: string, options: ClientOptions) => {
    const bytes = await clientFor(context, options).download("/api/cluster/snapshot");
    const size = await writeWhole(path, bytes);
    if (options.json) printJson(context, { file: path, bytes: size });
    else context.terminal.out.write(`saved ${size} bytes to ${path}\n`);
  });
}

interface RestoreOptions {
  readonly config?: string;
  readonly json?: boolean;
}

function defineRestore(command: Command, context: CliContext): void {
  const summary =
    "Let the next start on an empty data folder found a cluster with a saved catalogue";
  command.summary(summary).description(summary);
  command.argument("<FILE>", "File that `odist snapshot save` wrote");
  addConfigOptions(command, (name) => name === "dataFolder");
  addJsonOption(command);
  command.action(async (path: string, options: RestoreOptions) => {
    const loaded = configFor(context, { flags: configFlagsOf(command), path: options.config });
    const { dataFolder } = loaded.config.storage;
    const bytes = await readWhole(path);
    // Loaded only here: saving talks to a node over HTTP and needs none of its code.
    const { restoreSnapshot } = await import("../../node/mod.ts");
    const restored = await restoreSnapshot(dataFolder, bytes);
    if (options.json) return printJson(context, { data: dataFolder, ...restored });
    context.terminal.out.write(
      `restored ${restored.models} models and ${restored.settings} settings into ${dataFolder}\n` +
        `Start the new cluster with: odist serve --data ${dataFolder}\n`,
    );
  });
}
