import type { Command } from "commander";
import { formatBytes, formatRelativeTime, formatTable } from "../../base/mod.ts";
import {
  type JsonObject,
  modelsNamed,
  numberOf,
  objectsOf,
  shardsText,
  shortId,
  textOf,
} from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/mod.ts";

/** "Forever" is sent as an expiry centuries away. */
const FOREVER_MS = 100 * 365 * 24 * 60 * 60 * 1_000;

export function define(command: Command, context: CliContext): void {
  command.argument("[PREFIX]", "Only names that begin so");
  addClientOptions(command);
  addExamples(command, "odist ps");
  command.action(async (prefix: string | undefined, options: ClientOptions) => {
    const answer = await clientFor(context, options).ask("GET", "/api/ps");
    const models = modelsNamed(answer, prefix);
    if (options.json) return printJson(context, { ...answer, models });
    // One node alone needs no column for its name.
    const hasNodes = models.some((model) => textOf(model, "node") !== undefined);
    const tellsExact = models.some((model) => typeof model.exact === "boolean");
    const anySpeculates = models.some((model) => model.speculates === true);
    const rows = models.map((model) => [
      textOf(model, "name") ?? "",
      shortId(model),
      formatBytes(numberOf(model, "size") ?? 0),
      formatProcessor(model),
      String(numberOf(model, "context_length") ?? ""),
      formatUntil(textOf(model, "expires_at"), context.nowMs()),
      ...(tellsExact ? [formatExact(model)] : []),
      ...(anySpeculates ? [model.speculates === true ? "yes" : "no"] : []),
      ...(hasNodes ? [formatNodes(model)] : []),
    ]);
    const head = ["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"];
    if (tellsExact) head.push("EXACT");
    if (anySpeculates) head.push("SPECULATES");
    if (hasNodes) head.push("NODE");
    context.terminal.out.write(`${formatTable([head, ...rows]).join("\n")}\n`);
  });
}

/** How the model's memory is split: `100% CPU`, `48%/52% CPU/GPU`. */
export function formatProcessor(model: JsonObject): string {
  const bytes = numberOf(model, "size") ?? 0;
  const gpuBytes = numberOf(model, "size_vram") ?? 0;
  if (gpuBytes === 0) return "100% CPU";
  if (gpuBytes === bytes) return "100% GPU";
  if (gpuBytes > bytes || bytes === 0) return "Unknown";
  const cpuPercent = Math.round((bytes - gpuBytes) / bytes * 100);
  return `${cpuPercent}%/${100 - cpuPercent}% CPU/GPU`;
}

/** How answers are made exact: `short`; `no` where they are not, and `?` where nobody said. */
function formatExact(model: JsonObject): string {
  if (typeof model.exact !== "boolean") return "?";
  return model.exact ? textOf(model, "exact_policy") ?? "yes" : "no";
}

/** The node, or of a model that several compute all of them with their layers: `attic 0-15, cellar 16-29`. */
function formatNodes(model: JsonObject): string {
  const shards = objectsOf(model, "shards");
  if (shards.length === 0) return textOf(model, "node") ?? "";
  return shardsText(shards);
}

/** When the model goes if nobody asks it anything. */
export function formatUntil(expiresAt: string | undefined, nowMs: number): string {
  const atMs = Date.parse(expiresAt ?? "");
  // Times further away than dates can say are not numbers.
  if (Number.isNaN(atMs) || atMs - nowMs > FOREVER_MS) return "Forever";
  return atMs <= nowMs ? "Stopping..." : formatRelativeTime({ atMs, nowMs });
}
