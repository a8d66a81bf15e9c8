import type { Command } from "commander";
import { join } from "node:path";
import { RequestError, UnavailableError } from "../../base/mod.ts";
import { holdWritesTo } from "../../confinement/mod.ts";
import { type Config, formatHost } from "../../config/mod.ts";
import type { RunningNode } from "../../node/mod.ts";
import { type CliContext, configFor } from "../context.ts";
import { ExitRequest } from "../exit_request.ts";
import { addConfigOptions, addExamples, configFlagsOf } from "../options.ts";

const EXIT_INTERRUPTED = 130;
/** As sysexits.h has it for "try again": whoever looks after the process starts it once more. */
const EXIT_AGAIN = 75;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

export function define(command: Command, context: CliContext): void {
  command.description("Start a node on this machine, until Ctrl-C or SIGTERM");
  addConfigOptions(command, (_, spec) => spec.slice !== "cli");
  addExamples(command, "odist serve", "odist serve --host 0.0.0.0:11434 --slots 4");
  command.action(async (options: { readonly config?: string }) => {
    const loaded = configFor(context, { flags: configFlagsOf(command), path: options.config });
    const { err } = context.terminal;
    for (const warning of loaded.warnings) err.write(`Warning: ${warning}\n`);
    if (loaded.config.http.host.scheme === "odist") {
      throw new RequestError(
        "invalid_config",
        `--host must be where HTTP is served: current value is "${
          formatHost(loaded.config.http.host)
        }", which is for commands`,
      );
    }
    await serve(context, loaded.config);
  });
}

async function serve(context: CliContext, config: Config): Promise<void> {
  holdWrites(context, config);
  // Loaded only here: no other command needs a node, and this one must not wait for anything else.
  const { startNode } = await import("../../node/mod.ts");
  const { embeddedModelPath, pageFolder, runnerCommand, templateWorkerCommand, version } = context;
  // Joining may take long, and whoever waits for it may think better of it.
  const givenUp = new AbortController();
  let stop = () => Promise.resolve(givenUp.abort());
  const stopListening = listenForSignals(() => stop());
  try {
    // A node opens no library: only runners do, which start with a permission of their own.
    await Deno.permissions.revoke({ name: "ffi" });
    const parts = {
      embeddedModelPath,
      pageFolder,
      runnerCommand,
      templateWorkerCommand,
      version,
      signal: givenUp.signal,
    };
    const node = await startNode(config, parts).catch((error) => {
      throw explain(error, config);
    });
    stop = () => node.stop();
    // Told to stop when it had joined and did not serve yet: nobody looked any more whether the join was given up.
    if (givenUp.signal.aborted) void node.stop();
    announce(context, node);
    if (await node.finished === "again") {
      context.terminal.err.write(
        "This node goes on as the only voter of a new cluster with its next start: odist serve\n",
      );
      throw new ExitRequest(EXIT_AGAIN);
    }
  } finally {
    stopListening();
  }
}

/** A node writes below its own folders alone, where a process can be held to that. */
function holdWrites({ ownCommand, terminal }: CliContext, { storage }: Config): void {
  const { dataFolder, modelsFolder } = storage;
  const isWithin = modelsFolder.startsWith(join(dataFolder, "/"));
  const folders = isWithin ? [dataFolder] : [dataFolder, modelsFolder];
  const failure = holdWritesTo(folders, ownCommand);
  // Neither has Windows a way to replace a process, nor is there one inside a compiled file: SECURITY.md says so.
  if (failure === undefined || Deno.build.standalone || Deno.build.os === "windows") return;
  terminal.err.write(`Warning: this node may write to any folder of this user: ${failure}\n`);
}

function announce(
  context: CliContext,
  node: Pick<RunningNode, "address" | "openScopes" | "firstKey">,
): void {
  const { out, err } = context.terminal;
  const { address } = node;
  const shown = (hostname: string) =>
    formatHost({ scheme: "http", hostname, port: address.port, path: "" });
  const reachable = address.hostname === "0.0.0.0" || address.hostname === "::"
    ? "127.0.0.1"
    : address.hostname;
  // In one piece: whoever waits for the first line may use the second at once.
  out.write(
    `Listening on http://${shown(address.hostname)}\n` +
      `curl http://${shown(reachable)}/api/generate ` +
      `-d '{"model":"tiny","prompt":"Why is the sky blue?"}'\n`,
  );
  if (LOOPBACK.test(address.hostname)) return;
  const open = node.openScopes();
  if (open.length > 0) err.write(`${openWarning(shown(address.hostname), open)}\n`);
  void node.firstKey.then((key) => {
    if (key !== undefined) err.write(`${firstKeyText(key)}\n`);
  });
}

function openWarning(address: string, open: readonly string[]): string {
  const everyone = `Warning: everyone on a private network who can reach ${address}`;
  return open.includes("admin")
    ? `${everyone} can use, change and delete the models of this node and rule its cluster (--open all)`
    : `${everyone} can use the models of this node, until \`odist key create\` makes a key (or with --open none)`;
}

function firstKeyText(key: string): string {
  return "Whatever changes something from another machine needs a key. This one may do everything, and is not shown again " +
    `(odist key list, odist key revoke):\nODIST_KEY=${key}`;
}

/** The first signal stops the node gracefully, a second Ctrl-C at once. Returns how to stop listening. */
function listenForSignals(stop: () => Promise<void>): () => void {
  let interrupts = 0;
  const onInterrupt = () => {
    interrupts++;
    if (interrupts > 1) Deno.exit(EXIT_INTERRUPTED);
    void stop();
  };
  const onTerminate = () => void stop();
  const hasTerminate = Deno.build.os !== "windows";
  Deno.addSignalListener("SIGINT", onInterrupt);
  if (hasTerminate) Deno.addSignalListener("SIGTERM", onTerminate);
  return () => {
    Deno.removeSignalListener("SIGINT", onInterrupt);
    if (hasTerminate) Deno.removeSignalListener("SIGTERM", onTerminate);
  };
}

/** What the user can do about an address that can't be listened on; other errors say it themselves. */
function explain(error: unknown, config: Config): unknown {
  const { host } = config.http;
  const address = `${host.hostname}:${host.port}`;
  const say = (text: string) => new UnavailableError("address_unusable", text, { cause: error });
  if (error instanceof Deno.errors.AddrInUse) {
    return say(
      `Cannot listen on ${address}: another program uses port ${host.port}. ` +
        `Stop it (is a node or Ollama running?), or choose another: odist serve --host ${host.hostname}:${
          host.port + 1
        }`,
    );
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return say(`Cannot listen on ${address}: this machine has no address ${host.hostname}`);
  }
  if (error instanceof Deno.errors.PermissionDenied && host.port > 0 && host.port < 1024) {
    return say(`Cannot listen on ${address}: ports below 1024 need more rights on this machine`);
  }
  // A name that can't be resolved has no error class of its own.
  if (error instanceof Error && error.message.includes("failed to lookup address")) {
    return say(`Cannot listen on ${address}: no address is known for the name ${host.hostname}`);
  }
  return error;
}
