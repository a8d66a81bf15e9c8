import type { Command } from "commander";
import { objectsOf } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples, summarize } from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import { defineDeed, safeText, showTable } from "./views.ts";

export function define(command: Command, context: CliContext): void {
  command.description("List and change what is set for the whole cluster");
  addExamples(
    command,
    "odist settings list",
    "odist settings set contact ada@example.org",
    "odist settings unset contact",
  );
  defineList(command.command("list", { isDefault: true }), context);
  defineSet(command.command("set"), context);
  defineDeed(command.command("unset"), context, {
    summary: "Take a setting away",
    argument: ["<KEY>", "Name of the setting"],
    method: "DELETE",
    path: "/api/cluster/settings/*",
    past: "unset",
  });
}

function defineList(command: Command, context: CliContext): void {
  summarize(command, "List every setting");
  addClientOptions(command);
  command.action((options: ClientOptions) =>
    showTable(context, options, {
      path: "/api/cluster/settings",
      head: ["KEY", "VALUE"],
      rowsOf: (answer) =>
        objectsOf(answer, "settings").map((row) => [safeText(row, "key"), safeText(row, "value")]),
    })
  );
}

function defineSet(command: Command, context: CliContext): void {
  summarize(command, "Give a setting a value");
  command.argument("<KEY>", "Name of the setting").argument("<VALUE>", "Its value");
  addClientOptions(command);
  command.action(async (key: string, value: string, options: ClientOptions) => {
    const path = `/api/cluster/settings/${encodeURIComponent(key)}`;
    await clientFor(context, options).ask("PUT", path, { value });
    if (options.json) printJson(context, { key, value });
    else context.terminal.out.write(`set '${key}'\n`);
  });
}
