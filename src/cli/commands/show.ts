import type { Command } from "commander";
import { RequestError } from "../../base/mod.ts";
import { type JsonObject, linesOf, rawTextOf } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson, renderModel } from "../terminal/mod.ts";

/** Parts that can be printed alone, as the API names them. */
const PARTS = ["license", "modelfile", "parameters", "system", "template"] as const;

type ShowOptions =
  & ClientOptions
  & { verbose?: boolean }
  & Partial<
    Record<(typeof PARTS)[number], boolean>
  >;

export function define(command: Command, context: CliContext): void {
  command.argument("<MODEL>", "Name of the model");
  for (const part of PARTS) command.option(`--${part}`, `Print only the ${part}`);
  command.option("-v, --verbose", "Print all metadata and tensors too");
  addClientOptions(command);
  addExamples(command, "odist show tiny", "odist show tiny --modelfile > Modelfile");
  command.action(async (model: string, options: ShowOptions) => {
    const parts = PARTS.filter((part) => options[part]);
    if (parts.length > 1) {
      const flags = parts.map((part) => `--${part}`).join(", ");
      throw new RequestError("bad_usage", `Only one part can be shown at a time: given ${flags}`);
    }
    const verbose = options.verbose ?? false;
    const answer = await clientFor(context, options).ask("POST", "/api/show", { model, verbose });
    if (options.json) return printJson(context, parts[0] ? pick(answer, parts[0]) : answer);
    const text = parts[0] === undefined
      ? renderModel(answer, { verbose }).join("\n")
      : partOf(answer, parts[0], context.terminal.out);
    context.terminal.out.write(text.endsWith("\n") ? text : `${text}\n`);
  });
}

/** In a file it is what the model has, byte for byte. */
function partOf(answer: JsonObject, part: string, out: { readonly isTerminal: boolean }): string {
  // deno-lint-ignore odist-cli/printable
  return (out.isTerminal ? linesOf(answer, part) : rawTextOf(answer, part)) ?? "";
}

function pick(answer: JsonObject, part: string): JsonObject {
  return part in answer ? { [part]: answer[part] } : {};
}
