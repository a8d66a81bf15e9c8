import type { Command } from "commander";
import { RequestError } from "../../base/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/print.ts";

/** It names every key and token hash of the cluster. */
const FILE_MODE = 0o600;

export function defineSnapshot(command: Command, context: CliContext): void {
  command.description("Keep what the cluster agreed on, for the day on which all nodes are lost");
  addExamples(command, "odist snapshot save cluster.snapshot");
  defineSave(command.command("save"), context);
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
