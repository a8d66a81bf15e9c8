import { type Command, Option } from "commander";
import { findNearest, isEdgeError, printableJson, RequestError } from "../../base/mod.ts";
import {
  isJsonObject,
  type JsonObject,
  type NodeClient,
  objectsOf,
  textOf,
  textsOf,
} from "../client/mod.ts";
import { showTransfer } from "../terminal/mod.ts";
import { type CliContext, clientFor, type ClientOptions, configFor } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { converse, requestFields, type RunSettings, seeImages, showAnswer } from "../repl/mod.ts";

interface RunOptions extends ClientOptions {
  readonly keepalive?: string;
  readonly verbose?: boolean;
  readonly insecure?: boolean;
  readonly nowordwrap?: boolean;
  readonly format?: string;
  readonly think?: string | true;
  readonly hidethinking?: boolean;
  readonly history: boolean;
  readonly truncate?: boolean;
  readonly shard?: boolean;
  readonly dimensions?: string;
}

const THINK_LEVELS = ["true", "false", "low", "medium", "high", "max"];

export function define(command: Command, context: CliContext): void {
  command.argument("<MODEL>", "Name of the model; it is pulled when it is not there")
    .argument("[PROMPT...]", "What to ask; without it a conversation starts")
    .option("--keepalive <DURATION>", "How long the model stays loaded afterwards, such as 5m")
    .option("--verbose", "Print figures after each answer")
    .option("--insecure", "Talk plain HTTP to the registry when pulling")
    .option("--nowordwrap", "Do not break lines at words")
    .option("--format <FORMAT>", "json, or a JSON Schema the answer must follow")
    .addOption(
      new Option("--think [LEVEL]", "Let the model think first, or not; as in --think=high")
        .choices(THINK_LEVELS),
    )
    .option("--shard", "Compute it on several nodes, also where one could hold it")
    .option("--hidethinking", "Do not print what the model thinks")
    .option("--truncate", "Embedding models: cut inputs that are too long")
    .option("--dimensions <N>", "Embedding models: length of the vector");
  command.option("--no-history", "Keep nothing of what is typed for the next time");
  addClientOptions(command);
  addExamples(
    command,
    `odist run tiny`,
    `odist run tiny "Why is the sky blue?"`,
    `odist run tiny "Summarize:" < notes.txt`,
    `odist run llava "What is in ./photo.jpg?"`,
  );
  command.action(async (model: string, words: readonly string[], options: RunOptions) => {
    await run(context, { model, words, options });
  });
}

async function run(
  context: CliContext,
  given: {
    readonly model: string;
    readonly words: readonly string[];
    readonly options: RunOptions;
  },
): Promise<void> {
  const { model, words, options } = given;
  const { input } = context.terminal;
  const client = clientFor(context, options);
  const settings = settingsOf(context, options);
  const piped = input.isTerminal ? "" : await input.readText();
  const prompt = joined(piped, words.join(" "));
  const facts = await findOrPull(context, { client, model, options });
  const capabilities = textsOf(facts, "capabilities");
  if (capabilities.includes("embedding") && !capabilities.includes("completion")) {
    return await printEmbedding(context, client, { model, prompt, options });
  }
  if (prompt === "" && input.isTerminal && !options.json) {
    return await converse(context, { client, model, settings });
  }
  const { terminal, env: { HOME } } = context;
  // What is piped in is somebody's text: it names no files to be read.
  const { text, images } = await seeImages(words.join(" "), {
    ...{ model, client, terminal, facts },
    ...(HOME === undefined ? {} : { home: HOME }),
  });
  const body = {
    model,
    prompt: joined(piped, text),
    ...(images === undefined ? {} : { images }),
    ...requestFields(settings),
    ...(settings.system === undefined ? {} : { system: settings.system }),
  };
  const lines = client.answer("/api/generate", body);
  if (!options.json) return void await showAnswer(context, lines, settings);
  for await (const line of lines) context.terminal.out.write(`${printableJson(line)}\n`);
}

function joined(piped: string, typed: string): string {
  return [piped, typed].filter((text) => text !== "").join(" ");
}

/** What the node knows of the model, after fetching it where it is not there. */
async function findOrPull(
  context: CliContext,
  wanted: {
    readonly client: NodeClient;
    readonly model: string;
    readonly options: RunOptions;
  },
): Promise<JsonObject> {
  const { client, model, options } = wanted;
  try {
    return await client.ask("POST", "/api/show", { model });
  } catch (error) {
    if (!isEdgeError(error) || error.code !== "model_not_found") throw error;
  }
  const body = { model, insecure: options.insecure ?? false };
  try {
    await showTransfer(context, client.stream("/api/pull", body), { picture: "clear" });
  } catch (error) {
    if (!isEdgeError(error)) throw error;
    // A mistyped name ends here too, so that both halves must be said.
    const nearest = await findNearestModel(client, model);
    const hint = nearest === undefined ? "." : `: did you mean '${nearest}'?`;
    const text = `model '${model}' is not there${hint} It can't be pulled either: ${error.message}`;
    throw new RequestError("model_not_found", text, { cause: error });
  }
  return await client.ask("POST", "/api/show", { model });
}

async function findNearestModel(client: NodeClient, model: string): Promise<string | undefined> {
  const answer = await client.ask("GET", "/api/tags");
  const names = objectsOf(answer, "models").map((row) => textOf(row, "name") ?? "");
  return findNearest(model, names.map((name) => name.replace(/:latest$/, "")));
}

async function printEmbedding(
  context: CliContext,
  client: NodeClient,
  asked: {
    readonly model: string;
    readonly prompt: string;
    readonly options: RunOptions;
  },
): Promise<void> {
  const { model, prompt, options } = asked;
  if (prompt === "") {
    throw new RequestError("bad_usage", `"${model}" computes vectors: give it a text to embed`);
  }
  const dimensions = options.dimensions === undefined ? {} : { dimensions: wholeNumber(options) };
  const body = { model, input: prompt, truncate: options.truncate ?? true, ...dimensions };
  const answer = await client.ask("POST", "/api/embed", body);
  const vector = Array.isArray(answer.embeddings) ? answer.embeddings[0] : undefined;
  context.terminal.out.write(`${printableJson(options.json ? answer : vector ?? [])}\n`);
}

function wholeNumber(options: RunOptions): number {
  const value = Number(options.dimensions);
  if (Number.isInteger(value) && value > 0) return value;
  const text =
    `--dimensions must be a whole number above 0: current value is "${options.dimensions}"`;
  throw new RequestError("bad_usage", text);
}

function settingsOf(context: CliContext, options: RunOptions): RunSettings {
  const { history } = configFor(context, {}).config.cli;
  return {
    keepAlive: options.keepalive,
    format: formatOf(options.format),
    think: thinkOf(options.think),
    showThinking: !options.hidethinking,
    verbose: options.verbose ?? false,
    wordWrap: !options.nowordwrap,
    history: options.history && history,
    system: undefined,
    parameters: options.shard ? { shard: true } : {},
  };
}

function formatOf(text: string | undefined): string | JsonObject | undefined {
  if (text === undefined || text === "json") return text;
  try {
    const schema: unknown = JSON.parse(text);
    if (isJsonObject(schema)) return schema;
  } catch {
    // Told below, together with JSON that is no object.
  }
  throw new RequestError(
    "bad_usage",
    `--format must be json or a JSON Schema: current value is "${text}"`,
  );
}

function thinkOf(level: string | true | undefined): boolean | string | undefined {
  if (level === true || level === "true") return true;
  return level === "false" ? false : level;
}
