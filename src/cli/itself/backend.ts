import { Argument, type Command } from "commander";
import { errorMessage, formatTable, printableText } from "../../base/mod.ts";
import {
  type AddedBackend,
  type Backend,
  BACKENDS,
  filesOfArchive,
  filesOfRegistry,
  filesWanted,
  openBackendFolder,
  type PackageFile,
  packageOf,
} from "../../inference/backends/mod.ts";
import type { NodeClient } from "../client/mod.ts";
import { type CliContext, clientFor, configFor } from "../context.ts";
import { ExitRequest } from "../exit_request.ts";
import {
  addConfigOptions,
  addExamples,
  addJsonOption,
  configFlagsOf,
  summarize,
} from "../options.ts";
import { printJson } from "../terminal/mod.ts";

interface BackendOptions {
  readonly config?: string;
  readonly json?: boolean;
  readonly from?: string;
  readonly key?: string;
}

export function define(command: Command, context: CliContext): void {
  command.description("Add, list and remove the libraries with which models are computed on GPUs");
  addExamples(
    command,
    "odist backend add vulkan",
    "odist backend add cuda --from linux-x64-cuda.tgz",
    "odist backend list",
    "odist backend remove cuda",
  );
  defineList(command.command("list"), context);
  defineAdd(command.command("add"), context);
  defineRemove(command.command("remove"), context);
}

function defineList(command: Command, context: CliContext): void {
  summarize(
    command,
    "List the libraries for GPUs, what they drive here, and why one can't be used",
  );
  addPlaceOptions(command);
  command.action((options: BackendOptions) => {
    const folder = folderOf(command, context, options);
    const rows = BACKENDS.map((backend) => ({ backend, added: folder.find(backend) }));
    if (options.json) {
      const backends = rows.map(({ backend, added }) => ({ backend, ...shapeOf(added) }));
      return printJson(context, { backends });
    }
    const cells = rows.map(({ backend, added }) => [backend, ...cellsOf(added)]);
    context.terminal.out.write(
      `${formatTable([["BACKEND", "STATE", "DEVICES"], ...cells]).join("\n")}\n`,
    );
  });
}

function defineAdd(command: Command, context: CliContext): void {
  summarize(command, "Add libraries; a node uses them from its next start on");
  command.addArgument(backendArgument());
  command.option(
    "--from <FILE|NODE>",
    "The package as a file, or a node that has it (http://host:port); default: the cluster of the node here, then the registry",
  );
  command.option("--key <KEY>", "API key of that node (default: ODIST_KEY)");
  addPlaceOptions(command);
  command.action(async (backend: Backend, options: BackendOptions) => {
    const folder = folderOf(command, context, options);
    const packageName = packageOf(backend);
    const fetched = await Deno.makeTempDir({ prefix: "odist-backend-" });
    const ask = (host?: string) =>
      filesOfNode(clientFor(context, { ...options, ...host && { host } }), packageName);
    const { from } = options;
    try {
      if (from !== undefined) {
        const files = /^(https?|odist):\/\//.test(from) ? ask(from) : filesOfArchive(from);
        return report(context, await folder.add(backend, files), options);
      }
      const added = await folder.add(backend, ask()).catch((error) => {
        const reason = printableText(errorMessage(error));
        context.terminal.err.write(`not from this cluster (${reason}): asking the registry\n`);
        return folder.add(backend, filesOfRegistry(packageName, fetched));
      });
      report(context, added, options);
    } finally {
      await Deno.remove(fetched, { recursive: true });
    }
  });
}

function defineRemove(command: Command, context: CliContext): void {
  summarize(command, "Remove libraries; a running node goes on with those it has opened");
  command.addArgument(backendArgument());
  addPlaceOptions(command);
  command.action(async (backend: Backend, options: BackendOptions) => {
    const was = await folderOf(command, context, options).remove(backend);
    if (options.json) return printJson(context, { removed: was ? backend : null });
    const { out } = context.terminal;
    out.write(was ? `removed '${backend}'\n` : `'${backend}' was not added\n`);
  });
}

/** Other nodes are believed nothing: each file is compared with its SHA-256. */
async function* filesOfNode(client: NodeClient, packageName: string): AsyncGenerator<PackageFile> {
  for (const name of filesWanted(packageName)) {
    const body = await client.download(
      `/api/cluster/backends/${packageName}/${encodeURIComponent(name)}`,
    );
    yield { name, body: body as PackageFile["body"] };
  }
}

function report(context: CliContext, added: AddedBackend, { json }: BackendOptions): void {
  const { out, err } = context.terminal;
  const { backend, state, reason, devices } = added;
  if (json) printJson(context, { backend, ...shapeOf(added) });
  else if (state === "usable") {
    out.write(
      `added '${backend}', which drives ${devices.join(", ")}: restart the node to use it\n`,
    );
  } else {err.write(
      printableText(`'${backend}' is set aside, no node will use it: ${reason}`) + "\n",
    );}
  if (state === "set_aside") throw new ExitRequest(1);
}

function backendArgument(): Argument {
  return new Argument("<BACKEND>", "Whose devices").choices(BACKENDS);
}

function addPlaceOptions(command: Command): void {
  addConfigOptions(command, (name) => name === "dataFolder");
  addJsonOption(command);
}

function folderOf(command: Command, context: CliContext, options: BackendOptions) {
  const { config } = configFor(context, { flags: configFlagsOf(command), path: options.config });
  return openBackendFolder(config.storage.dataFolder, { command: context.runnerCommand, env: {} });
}

function cellsOf(added: AddedBackend | undefined): readonly string[] {
  if (added === undefined) return ["not added", ""];
  const { state, reason, devices } = added;
  return state === "usable"
    ? ["usable", devices.join(", ")]
    : [printableText(`set aside: ${reason}`), ""];
}

function shapeOf(added: AddedBackend | undefined): object {
  if (added === undefined) return { state: "not_added" };
  const { folder, state, reason, devices } = added;
  return { state, folder, devices, ...(reason === "" ? {} : { reason }) };
}
