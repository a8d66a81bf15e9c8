import type { Command } from "commander";
import type { OptionName } from "../../config/mod.ts";
import { type CliContext, configFor } from "../context.ts";
import { type Finding, lookAround } from "../doctor/mod.ts";
import { ExitRequest } from "../exit_request.ts";
import { addConfigOptions, addExamples, addJsonOption, configFlagsOf } from "../options.ts";
import { printJson, type Style } from "../terminal/mod.ts";

/** Options that change what is looked at. */
const LOOKED_AT: ReadonlySet<OptionName> = new Set([
  "host",
  "listenAddress",
  "dataFolder",
  "modelsFolder",
  "memoryReserveBytes",
  "gpu",
]);
const NAME_COLUMNS = 16;
const MARKS = { ok: "ok", warning: "warning", broken: "BROKEN" } as const;
const MARK_COLUMNS = 9;

export function define(command: Command, context: CliContext): void {
  command.description(
    "Check this machine for a node with this configuration; exit code 1 when something is broken",
  );
  addConfigOptions(command, (name) => LOOKED_AT.has(name));
  addJsonOption(command);
  addExamples(command, "odist doctor", "odist doctor --models /srv/models --json");
  command.action(async (options: { readonly config?: string; readonly json?: boolean }) => {
    const loaded = configFor(context, { flags: configFlagsOf(command), path: options.config });
    const findings = [
      ...await lookAround(context, loaded.config),
      ...loaded.warnings.map((text): Finding => ({ name: "setting", state: "warning", text })),
    ];
    const { out } = context.terminal;
    if (options.json) printJson(context, { findings });
    else for (const finding of findings) out.write(renderFinding(finding, out.style));
    if (findings.some(({ state }) => state === "broken")) throw new ExitRequest(1);
  });
}

function renderFinding({ name, state, text, advice }: Finding, style: Style): string {
  const paint = { ok: style.green, warning: style.yellow, broken: style.red }[state];
  const indent = " ".repeat(MARK_COLUMNS + NAME_COLUMNS);
  const head = `${paint(MARKS[state].padEnd(MARK_COLUMNS))}${name.padEnd(NAME_COLUMNS)}${text}\n`;
  return advice === undefined ? head : `${head}${indent}${style.bold(advice)}\n`;
}
