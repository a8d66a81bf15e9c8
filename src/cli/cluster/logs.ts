import type { Command } from "commander";
import { printable, printableJson, RequestError } from "../../base/mod.ts";
import { type JsonObject, readJsonLines } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { safeText } from "./views.ts";

interface LogsOptions extends ClientOptions {
  readonly lines: string;
  readonly follow?: boolean;
}

export function define(command: Command, context: CliContext): void {
  command.description("Print the last log lines of a node");
  command.option("-n, --lines <N>", "How many, 0 to 100000; a node keeps its last 2000", "100");
  command.option("-f, --follow", "Go on with each new line until Ctrl-C");
  addClientOptions(command);
  addExamples(command, "odist logs -n 20", "odist logs -f --json");
  command.action(async (options: LogsOptions) => {
    if (!/^\d{1,6}$/.test(options.lines)) {
      throw new RequestError(
        "bad_usage",
        `--lines must be a number: current value is "${options.lines}"`,
      );
    }
    const query = `lines=${options.lines}&follow=${options.follow === true}`;
    const body = await clientFor(context, options).download(`/api/cluster/logs?${query}`);
    for await (const line of readJsonLines(body)) {
      context.terminal.out.write(`${options.json ? printableJson(line) : textOf(line)}\n`);
    }
  });
}

/** As a node prints it: time, level, event, and the rest as `key=value`. */
function textOf(line: JsonObject): string {
  const { time: _time, level: _level, event: _event, ...values } = line;
  const head = [
    safeText(line, "time"),
    safeText(line, "level").toUpperCase().padEnd(5),
    safeText(line, "event"),
  ];
  const shown = Object.entries(values).map(([key, value]) =>
    `${printable(key)}=${shownValue(value)}`
  );
  return [...head, ...shown].join(" ").trim();
}

function shownValue(value: unknown): string {
  const isPlain = typeof value === "string" && /^[\w./:@+-]+$/.test(value);
  return isPlain ? value : printableJson(value);
}
