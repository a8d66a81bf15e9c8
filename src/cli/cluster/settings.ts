import type { Command } from "commander";
import { objectsOf } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples, summarize } from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import { safeText, tableOf } from "./member_view.ts";

export function defineSettings(command: Command, context: CliContext): void {
  command.description("List and change what is set for the whole cluster");
  addExamples(command, "odist settings list", "odist settings set contact ada@example.org");
  defineList(command.command("list", { isDefault: true }), context);
  defineSet(command.command("set"), context);
  defineUnset(command.command("unset"), context);
}

function defineList(command: Command, context: CliContext): void {
  summarize(command, "List every setting");
  addClientOptions(command);
  command.action(async (options: ClientOptions) => {
    const answer = await clientFor(context, options).ask("GET", "/api/cluster/settings");
    if (options.json) return printJson(context, answer);
    const rows = objectsOf(answer, "settings")
      .map((setting) => [safeText(setting, "key"), safeText(setting, "value")]);
    context.terminal.out.write(tableOf([["KEY", "VALUE"], ...rows]));
  });
}

function defineSet(command: Command, context: CliContext): void {
  summarize(command, "Give a setting a value");
  command.argument("<KEY>", "Name of the setting").argument("<VALUE>", "Its value");
  addClientOptions(command);
  command.action(async (key: string, value: string, options: ClientOptions) => {
    await clientFor(context, options).ask("PUT", pathOf(key), { value });
    if (options.json) printJson(context, { key, value });
    else context.terminal.out.write(`set '${key}'\n`);
  });
}

function defineUnset(command: Command, context: CliContext): void {
  summarize(command, "Take a setting away");
  command.argument("<KEY>", "Name of the setting");
  addClientOptions(command);
  command.action(async (key: string, options: ClientOptions) => {
    await clientFor(context, options).ask("DELETE", pathOf(key));
    if (options.json) printJson(context, { unset: key });
    else context.terminal.out.write(`unset '${key}'\n`);
  });
}

function pathOf(key: string): string {
  return `/api/cluster/settings/${encodeURIComponent(key)}`;
}
