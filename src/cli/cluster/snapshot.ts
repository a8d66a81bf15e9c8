import type { Command } from "commander";
import { errorMessage, printableText, RequestError } from "../../base/mod.ts";
import { type CliContext, clientFor, type ClientOptions, configFor } from "../context.ts";
import {
  addClientOptions,
  addConfigOptions,
  addExamples,
  addJsonOption,
  configFlagsOf,
} from "../options.ts";
import { printJson } from "../terminal/mod.ts";

/** It names every key and token hash of the cluster. */
const FILE_MODE = 0o600;

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
    const bytes = await readSnapshot(path);
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

async function readSnapshot(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (cause) {
    throw new RequestError(
      "bad_usage",
      `Cannot read ${path}: ${printableText(errorMessage(cause))}`,
      { cause },
    );
  }
}

/** Nothing is left behind under the name unless all of it is on disk. */
async function writeWhole(path: string, bytes: ReadableStream<Uint8Array>): Promise<number> {
  const partial = `${path}.partial`;
  if (await exists(path)) {
    await bytes.cancel();
    throw new RequestError("bad_usage", `Cannot write ${path}: there is such a file already`);
  }
  try {
    using file = await Deno.open(partial, {
      write: true,
      create: true,
      truncate: true,
      mode: FILE_MODE,
    });
    let size = 0;
    for await (const chunk of bytes) {
      for (let rest = chunk; rest.length > 0;) rest = rest.subarray(await file.write(rest));
      size += chunk.length;
    }
    await file.sync();
    await Deno.rename(partial, path);
    return size;
  } catch (error) {
    await Deno.remove(partial).catch(() => {}); // It may not even have been made.
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
