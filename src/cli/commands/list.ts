import type { Command } from "commander";
import { formatBytes, formatRelativeTime, formatTable } from "../../base/mod.ts";
import { modelsNamed, numberOf, shortId, textOf } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { printJson } from "../terminal/mod.ts";

export function define(command: Command, context: CliContext): void {
  command.argument("[PREFIX]", "Only names that begin so");
  addClientOptions(command);
  addExamples(command, "odist list", "odist list llama --json");
  command.action(async (prefix: string | undefined, options: ClientOptions) => {
    const answer = await clientFor(context, options).ask("GET", "/api/tags");
    const models = modelsNamed(answer, prefix);
    if (options.json) return printJson(context, { ...answer, models });
    // One of the cluster needs no column to say so.
    const hasLocal = models.some((model) => model["local"] === true);
    const rows = models.map((model) => [
      textOf(model, "name") ?? "",
      shortId(model),
      // A model that lives elsewhere has no size here.
      textOf(model, "remote_model") ? "-" : formatBytes(numberOf(model, "size") ?? 0),
      formatTime(textOf(model, "modified_at"), context.nowMs()),
      ...(hasLocal ? [model["local"] === true ? "this node's alone" : ""] : []),
    ]);
    const head = ["NAME", "ID", "SIZE", "MODIFIED", ...(hasLocal ? ["LOCAL"] : [])];
    const lines = formatTable([head, ...rows]);
    context.terminal.out.write(`${lines.join("\n")}\n`);
  });
}

function formatTime(text: string | undefined, nowMs: number): string {
  const atMs = Date.parse(text ?? "");
  return Number.isNaN(atMs) ? "Never" : formatRelativeTime({ atMs, nowMs });
}
