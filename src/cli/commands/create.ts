import { homedir } from "node:os";
import { resolve } from "node:path";
import type { Command } from "commander";
import { errorMessage, printableText, RequestError } from "../../base/mod.ts";
import { type Modelfile, parseModelfile, settingsOf } from "../../models/modelfile/mod.ts";
import type { JsonObject, NodeClient } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { findPartFiles, findSource, uploadFiles } from "../create/mod.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { type ProgressLine, ProgressView, showTransfer } from "../terminal/mod.ts";

interface CreateOptions extends ClientOptions {
  readonly file: string;
  readonly quantize?: string;
  readonly draftQuantize?: string;
}

/** Reads the Modelfile from standard input. */
const STDIN = "-";

export function define(command: Command, context: CliContext): void {
  command.argument("<MODEL>", "Name of the new model")
    .option("-f, --file <FILE>", "Modelfile, - for standard input", "Modelfile")
    .option("-q, --quantize <TYPE>", "Quantize the weights, such as Q4_K_M")
    .option("--draft-quantize <TYPE>", "Quantize the draft model");
  addClientOptions(command);
  addExamples(command, "odist create pirate -f Modelfile");
  command.action(async (model: string, options: CreateOptions) => {
    const modelfile = parseModelfile(await readModelfile(context, options.file));
    const { err } = context.terminal;
    for (const name of modelfile.obsoleteParameters) {
      err.write(`Warning: parameter '${name}' has no effect any more\n`);
    }
    const client = clientFor(context, options);
    const body = await gather(context, { client, modelfile, options });
    const lines = client.stream("/api/create", { model, ...body });
    await showTransfer(context, lines, { json: options.json ?? false, picture: "keep" });
  });
}

async function readModelfile(context: CliContext, file: string): Promise<string> {
  if (file === STDIN) return await context.terminal.input.readText();
  try {
    return decodeModelfile(await Deno.readFile(file));
  } catch (error) {
    const isMissing = error instanceof Deno.errors.NotFound;
    const reason = isMissing
      ? "there is no such file; name one with -f"
      : printableText(errorMessage(error));
    throw new RequestError("bad_usage", `Cannot read the Modelfile ${file}: ${reason}`, {
      cause: error,
    });
  }
}

/** In what its byte order mark says, UTF-16 as editors of Windows write it among them; else in UTF-8. */
function decodeModelfile(bytes: Uint8Array): string {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  return new TextDecoder().decode(bytes);
}

/** The request's fields, after the node was given every file they name. */
async function gather(
  context: CliContext,
  given: {
    readonly client: NodeClient;
    readonly modelfile: Modelfile;
    readonly options: CreateOptions;
  },
): Promise<JsonObject> {
  const { client, modelfile, options } = given;
  const home = context.env.HOME || context.env.USERPROFILE || homedir();
  const place = { modelfile: resolve(options.file === STDIN ? "Modelfile" : options.file), home };
  const source = await findSource(modelfile.from, place);
  const adapters = await findPartFiles("ADAPTER", modelfile.adapters, place);
  const drafts = await findPartFiles("DRAFT", modelfile.drafts, place);
  if (drafts.length > 0) {
    const text = "DRAFT is stored and not used: there is no speculative decoding";
    context.terminal.err.write(`Warning: ${text}\n`);
  }
  const view = options.json ? undefined : new ProgressView(context.terminal);
  const show = (line: ProgressLine) => view?.show(line);
  try {
    show({ status: "gathering model components" });
    const files = source.kind === "files"
      ? { files: await uploadFiles(client, source.files, show) }
      : { from: source.name };
    const adapterFiles = adapters.length === 0
      ? {}
      : { adapters: await uploadFiles(client, adapters, show) };
    const draftFiles = drafts.length === 0
      ? {}
      : { draft_files: await uploadFiles(client, drafts, show) };
    const { quantize, draftQuantize } = options;
    const precisions = {
      ...(quantize === undefined ? {} : { quantize }),
      ...(draftQuantize === undefined ? {} : { draft_quantize: draftQuantize }),
    };
    const parts = { ...files, ...adapterFiles, ...draftFiles };
    return { ...parts, ...precisions, ...settingsOf(modelfile) };
  } finally {
    view?.end("keep");
  }
}
