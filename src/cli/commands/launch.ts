import { join } from "node:path";
import { type Command, Option } from "commander";
import { printable, RequestError } from "../../base/mod.ts";
import {
  type JsonObject,
  type NodeClient,
  numberOf,
  objectsOf,
  textOf,
  textsOf,
} from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions, configFor } from "../context.ts";
import { ExitRequest } from "../exit_request.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { LAUNCH_CLIENTS, type LaunchClient } from "./launch_clients.ts";

interface LaunchOptions extends ClientOptions {
  readonly model?: string;
  readonly print?: boolean;
}

/** Clients that speak OpenAI's API won't start without a key, whatever it is. */
const NO_KEY = "odist";
/** A shell's own exit code for a program that is not there. */
const EXIT_NOT_FOUND = 127;

export function define(command: Command, context: CliContext): void {
  const names = LAUNCH_CLIENTS.map(({ name }) => name);
  command.argument("<CLIENT>", `One of ${names.join(", ")}`)
    .argument("[ARGS...]", "For the client itself, behind --")
    .addOption(new Option("--model <MODEL>", "Model to use; needed where several have tools"))
    .option("--print", "Print the command line and start nothing");
  addClientOptions(command);
  addExamples(
    command,
    "odist launch claude --model qwen3-coder",
    "odist launch codex --model qwen3-coder -- exec 'say hello'",
    "odist launch opencode --print",
  );
  command.action(async (name: string, args: readonly string[], options: LaunchOptions) => {
    const client = LAUNCH_CLIENTS.find((one) => one.name === name);
    if (client === undefined) {
      const text = `${name} can't be launched: it must be one of ${names.join(", ")}`;
      throw new RequestError("bad_usage", text);
    }
    await launch(context, client, { args, options });
  });
}

async function launch(
  context: CliContext,
  client: LaunchClient,
  given: { readonly args: readonly string[]; readonly options: LaunchOptions },
): Promise<void> {
  const { options } = given;
  const node = clientFor(context, options);
  if (!/^https?:/.test(node.url)) {
    const text = `${client.name} speaks HTTP: name a node with --host http://HOST:PORT`;
    throw new RequestError("bad_usage", text);
  }
  const model = options.model ?? await onlyModelWithTools(node);
  await checkModel(context, client, { node, model, loads: !options.print });
  const key = keyOf(context, options);
  // A key is a secret, and what is printed gets copied.
  const shownKey = key === "" ? NO_KEY : options.print ? "$ODIST_KEY" : key;
  const { env, args } = client.start({ url: node.url, model, key: shownKey });
  const line = [...args, ...given.args];
  if (options.print) {
    const words = Object.entries(env).map(([name, value]) => `${name}=${quoted(value)}`);
    const text = [...words, client.program, ...line.map(quoted)].join(" ");
    context.terminal.out.write(`${printable(text)}\n`);
    return;
  }
  const names = Object.keys(env).join(", ");
  context.terminal.err.write(
    `Starting ${client.program} with ${printable(model)} of ${printable(node.url)}: ` +
      `${[names, ...args.length > 0 ? ["its arguments"] : []].join(" and ")} set for this run, ` +
      "no file changed.\n",
  );
  await start(context, client, { env, args: line });
}

/** @throws RequestError when none or several are there. */
async function onlyModelWithTools(node: NodeClient): Promise<string> {
  const models = objectsOf(await node.ask("GET", "/api/tags"), "models")
    .filter((model) => textsOf(model, "capabilities").includes("tools"))
    .map((model) => textOf(model, "name") ?? "");
  const [only] = models;
  if (only !== undefined && models.length === 1) return only;
  const text = only === undefined
    ? "no model here has tools: pull one, or name one with --model"
    : `several models have tools: name one with --model: ${models.join(", ")}`;
  throw new RequestError("bad_usage", text);
}

/** Warns of what the client will miss. */
async function checkModel(
  context: CliContext,
  client: LaunchClient,
  given: { readonly node: NodeClient; readonly model: string; readonly loads: boolean },
): Promise<void> {
  const { node, model } = given;
  const warn = (text: string) => void context.terminal.err.write(`Warning: ${text}\n`);
  const facts = await node.ask("POST", "/api/show", { model });
  if (!textsOf(facts, "capabilities").includes("tools")) {
    warn(`${printable(model)} has no tools, which ${client.name} lives on`);
  }
  // What is in force is known of a loaded model only, and it will be needed at once.
  if (given.loads) await node.ask("POST", "/api/generate", { model, stream: false });
  const window = await windowOf(node, model, facts);
  const wanted = client.contextTokensWanted;
  if (window === undefined || window >= wanted) return;
  warn(
    `${printable(model)} has a context window of ${window} tokens, and ${client.name} wants ` +
      `${wanted} or more: serve with --context ${wanted}, or give the model PARAMETER num_ctx ${wanted}`,
  );
}

async function windowOf(
  node: NodeClient,
  model: string,
  facts: JsonObject,
): Promise<number | undefined> {
  const names = [model, `${model}:latest`];
  const loaded = objectsOf(await node.ask("GET", "/api/ps"), "models")
    .find((row) => names.includes(textOf(row, "name") ?? ""));
  if (loaded !== undefined) return numberOf(loaded, "context_length");
  const said = /^num_ctx\s+(\d+)/m.exec(textOf(facts, "parameters") ?? "")?.[1];
  return said === undefined ? undefined : Number(said);
}

function keyOf(context: CliContext, options: LaunchOptions): string {
  const flags = {
    ...(options.key === undefined ? {} : { apiKey: options.key }),
    ...(options.keyFile === undefined ? {} : { apiKeyFile: options.keyFile }),
  };
  return configFor(context, { flags }).config.cli.apiKey;
}

/** Ends as the client ends. */
async function start(
  context: CliContext,
  client: LaunchClient,
  given: { readonly env: Readonly<Record<string, string>>; readonly args: readonly string[] },
): Promise<void> {
  const path = await findProgram(client.program, context.env);
  if (path === undefined) {
    context.terminal.err.write(`${client.program} is not installed: ${client.install}\n`);
    throw new ExitRequest(EXIT_NOT_FOUND);
  }
  const child = new Deno.Command(path, {
    args: [...given.args],
    env: { ...given.env },
    stdin: "inherit",
  }).spawn();
  // Ctrl-C is the client's, which may take it for less than its end.
  const ignore = () => {};
  Deno.addSignalListener("SIGINT", ignore);
  try {
    const { code } = await child.status;
    if (code !== 0) throw new ExitRequest(code);
  } finally {
    Deno.removeSignalListener("SIGINT", ignore);
  }
}

async function findProgram(
  program: string,
  env: CliContext["env"],
): Promise<string | undefined> {
  const isWindows = Deno.build.os === "windows";
  const folders = (env.PATH ?? env.Path ?? "").split(isWindows ? ";" : ":");
  const names = isWindows ? [`${program}.exe`, `${program}.cmd`] : [program];
  for (const folder of folders.filter((one) => one !== "")) {
    for (const name of names) {
      const path = join(folder, name);
      // A folder that isn't there or can't be looked into holds nothing for us.
      const found = await Deno.stat(path).catch(() => undefined);
      if (found?.isFile) return path;
    }
  }
  return undefined;
}

/** For a shell; what refers to a variable is left to it. */
function quoted(text: string): string {
  if (text.includes("$ODIST_KEY")) return `"${text.replaceAll(/["\\`]/g, "\\$&")}"`;
  return /^[\w./:@=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
