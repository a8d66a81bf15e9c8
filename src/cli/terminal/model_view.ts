import { formatCount, formatTable, printable } from "../../base/mod.ts";
import {
  type JsonObject,
  linesOf,
  numberOf,
  objectOf,
  objectsOf,
  textOf,
  textsOf,
} from "../client/mod.ts";

/** Entries of a list shown before the rest is counted. */
const LIST_SHOWN_MAX = 3;
/** Lines of a system text or licence shown. */
const TEXT_LINES_SHOWN = 2;

/** What `/api/show` says, in blocks of two-space headings and four-space rows (contract section 5). */
export function renderModel(model: JsonObject, options: { readonly verbose: boolean }): string[] {
  const blocks: (readonly [string, readonly (readonly string[])[]])[] = [
    ["Model", modelRows(model)],
    ["Capabilities", textsOf(model, "capabilities").map((name) => [name])],
    ["Projector", projectorRows(objectOf(model, "projector_info"))],
    ["Parameters", parameterRows(linesOf(model, "parameters") ?? "")],
  ];
  if (options.verbose) {
    blocks.push(["Metadata", metadataRows(objectOf(model, "model_info"))]);
    blocks.push(["Tensors", objectsOf(model, "tensors").map(tensorRow)]);
  }
  blocks.push(["System", textRows(linesOf(model, "system") ?? "")]);
  blocks.push(["License", textRows(linesOf(model, "license") ?? "")]);
  return blocks.filter(([, rows]) => rows.length > 0).flatMap(([title, rows]) => [
    `  ${title}`,
    ...formatTable(rows).map((line) => `    ${line}`),
    "",
  ]);
}

function modelRows(model: JsonObject): string[][] {
  const facts = objectOf(model, "model_info");
  const details = objectOf(model, "details");
  const architecture = textOf(facts, "general.architecture") ?? textOf(details, "family") ?? "";
  const parameters = numberOf(facts, "general.parameter_count");
  return present([
    ["architecture", architecture],
    [
      "parameters",
      parameters === undefined ? textOf(details, "parameter_size") : formatCount(parameters),
    ],
    ["context length", numberOf(facts, `${architecture}.context_length`)],
    ["embedding length", numberOf(facts, `${architecture}.embedding_length`)],
    ["quantization", textOf(details, "quantization_level")],
    ["requires", textOf(model, "requires")],
    ["remote model", textOf(model, "remote_model")],
    ["remote URL", textOf(model, "remote_host")],
  ]);
}

function projectorRows(facts: JsonObject): string[][] {
  const architecture = textOf(facts, "general.architecture");
  if (architecture === undefined) return [];
  const parameters = numberOf(facts, "general.parameter_count");
  return present([
    ["architecture", architecture],
    ["parameters", parameters === undefined ? undefined : formatCount(parameters)],
    ["embedding length", numberOf(facts, `${architecture}.vision.embedding_length`)],
    ["dimensions", numberOf(facts, `${architecture}.vision.projection_dim`)],
  ]);
}

function present(
  rows: readonly (readonly [string, string | number | undefined])[],
): string[][] {
  return rows.filter(([, value]) => value !== undefined && value !== "")
    .map(([name, value]) => [name, String(value)]);
}

function parameterRows(text: string): string[][] {
  return text.split("\n").map((line) => /^(\S+)\s+(.*)$/.exec(line.trim()))
    .filter((match) => match !== null)
    .map(([, name = "", value = ""]) => [name, value]);
}

function metadataRows(facts: JsonObject): string[][] {
  return Object.keys(facts).sort().map((key) => [key, formatFact(facts[key])].map(printable));
}

function formatFact(value: unknown): string {
  if (!Array.isArray(value)) return String(value ?? "");
  const shown = value.slice(0, LIST_SHOWN_MAX).map(String).join(" ");
  const more = value.length - LIST_SHOWN_MAX;
  return more > 0 ? `[${shown} ...+${more} more]` : `[${shown}]`;
}

function tensorRow(tensor: JsonObject): string[] {
  const shape = Array.isArray(tensor.shape) ? printable(tensor.shape.map(String).join(" ")) : "";
  return [textOf(tensor, "name") ?? "", textOf(tensor, "type") ?? "", `[${shape}]`];
}

function textRows(text: string): string[][] {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const shown = lines.slice(0, TEXT_LINES_SHOWN).map((line) => [line]);
  return lines.length > TEXT_LINES_SHOWN ? [...shown, ["..."]] : shown;
}
