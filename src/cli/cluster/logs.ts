import type { Command } from "commander";
import { printable, printableJson, RequestError } from "../../base/mod.ts";
import { type JsonObject, objectsOf, readJsonLines } from "../client/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples } from "../options.ts";
import { safeText } from "./views.ts";

/** Most names of nodes are no longer. */
const NAME_COLUMNS = 12;

interface LogsOptions extends ClientOptions {
  readonly lines: string;
  readonly follow?: boolean;
  readonly all?: boolean;
}

export function define(command: Command, context: CliContext): void {
  command.description("Print the last log lines of a node");
  command.option("-n, --lines <N>", "How many, 0 to 100000; a node keeps its last 2000", "100");
  command.option("-f, --follow", "Go on with each new line until Ctrl-C");
  command.option("--all", "Of all nodes that answer, in order of time; -n counts them together");
  addClientOptions(command);
  addExamples(command, "odist logs -n 20", "odist logs --all", "odist logs -f --json");
  command.action(async (options: LogsOptions) => {
    if (!/^\d{1,6}$/.test(options.lines)) {
      throw new RequestError(
        "bad_usage",
        `--lines must be a number: current value is "${options.lines}"`,
      );
    }
    if (options.all) return await showAll(context, options);
    const query = `lines=${options.lines}&follow=${options.follow === true}`;
    const body = await clientFor(context, options).download(`/api/cluster/logs?${query}`);
    for await (const line of readJsonLines(body)) {
      context.terminal.out.write(`${options.json ? printableJson(line) : textOf(line)}\n`);
    }
  });
}

async function showAll(context: CliContext, options: LogsOptions): Promise<void> {
  if (options.follow) {
    throw new RequestError("bad_usage", "--all shows what was logged so far: leave out --follow");
  }
  const path = `/api/cluster/logs/all?lines=${options.lines}`;
  printLines(
    context,
    options,
    objectsOf(await clientFor(context, options).ask("GET", path), "lines"),
  );
}

/** `odist trace ID`. */
export function defineTrace(command: Command, context: CliContext): void {
  command.description("Show what happened to one request, on all nodes that answer");
  command.argument("<ID>", "X-Request-Id of its answer, or the id of its trace");
  addClientOptions(command);
  addExamples(command, "odist trace 0b0e7a3c-8b0e-4d57-9d0a-2f6f4a3f9c11");
  command.action(async (id: string, options: ClientOptions) => {
    const path = `/api/cluster/trace/${encodeURIComponent(id)}`;
    const lines = objectsOf(await clientFor(context, options).ask("GET", path), "lines");
    if (lines.length === 0 && !options.json) {
      throw new RequestError("request_failed", `No node remembers a request "${id}"`);
    }
    printLines(context, options, lines);
  });
}

function printLines(
  { terminal }: CliContext,
  { json }: ClientOptions,
  lines: readonly JsonObject[],
): void {
  for (const line of lines) {
    const { node, ...rest } = line;
    const named = `${printable(String(node)).padEnd(NAME_COLUMNS)} ${textOf(rest)}`;
    terminal.out.write(`${json ? printableJson(line) : named}\n`);
  }
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
