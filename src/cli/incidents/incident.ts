import type { Command } from "commander";
import { parseGoDuration, printable, RequestError } from "../../base/mod.ts";
import { type CliContext, clientFor, type ClientOptions } from "../context.ts";
import { addClientOptions, addExamples, addJsonOption } from "../options.ts";
import { printJson } from "../terminal/mod.ts";
import type { ReplayedStep, SilentNode, timelineText } from "../../incidents/mod.ts";
import { ExitRequest } from "../exit_request.ts";
import { readWhole, writeWhole } from "../whole_file.ts";

/** Replaying ended at a decision that differs. */
const EXIT_DIFFERS = 1;

interface SaveOptions extends ClientOptions {
  readonly since: string;
  readonly withTexts?: boolean;
}

interface ReplayOptions {
  readonly all?: boolean;
  readonly json?: boolean;
}

export function define(command: Command, context: CliContext): void {
  command.description("Keep what the nodes were told and decided, and step through it again");
  addExamples(
    command,
    "odist incident save --since 10m moved.incident",
    "odist incident replay moved.incident",
  );
  defineSave(command.command("save"), context);
  defineReplay(command.command("replay"), context);
}

function defineSave(command: Command, context: CliContext): void {
  const summary = "Write what the core of all nodes was told and decided lately to a file";
  command.summary(summary).description(summary);
  command.argument("<FILE>", "File to write; it must not be there yet");
  command.option("--since <DURATION>", "How far back; a node keeps its last steps only", "10m");
  command.option("--with-texts", "Prompts and answers, too; else only how long they were");
  addClientOptions(command);
  command.action(async (path: string, options: SaveOptions) => {
    const lastMs = parseGoDuration(options.since) ?? NaN;
    if (!(lastMs > 0)) {
      throw new RequestError(
        "bad_usage",
        `--since must be a duration such as 10m: current value is "${options.since}"`,
      );
    }
    const query = `seconds=${Math.ceil(lastMs / 1_000)}&texts=${options.withTexts === true}`;
    const bytes = await clientFor(context, options).download(`/api/cluster/incident?${query}`);
    const size = await writeWhole(path, bytes);
    const { readIncident } = await import("../../incidents/mod.ts");
    const { nodes, silent } = await readIncident(await readWhole(path));
    const { out } = context.terminal;
    if (options.json) {
      const names = nodes.map(({ name }) => name);
      return printJson(context, { file: path, bytes: size, nodes: names, silent });
    }
    out.write(`saved ${size} bytes of ${nodes.length} nodes to ${path}\n`);
    tellSilent(context, silent);
  });
}

function defineReplay(command: Command, context: CliContext): void {
  const summary =
    "Step this program's core through a saved incident, up to where it decides otherwise";
  command.summary(summary).description(summary);
  command.argument("<FILE>", "File that `odist incident save` wrote");
  command.option("--all", "Print each step; else those that changed something");
  addJsonOption(command);
  command.action(async (path: string, options: ReplayOptions) => {
    // Only here: saving needs none of the core.
    const { differenceLines, isTelling, readIncident, replayIncident, timelineText } = await import(
      "../../incidents/mod.ts"
    );
    const { stretches, silent } = await readIncident(await readWhole(path));
    const { out } = context.terminal;
    if (!options.json) tellSilent(context, silent);
    let steps = 0;
    let differing: ReplayedStep | undefined;
    for (const step of replayIncident(stretches)) {
      steps++;
      if (step.replayed !== undefined) differing = step;
      if (!options.json && (options.all || differing || isTelling(step))) {
        out.write(timelineRow(step, timelineText(step)));
      }
    }
    if (options.json) printJson(context, { steps, differing: differing ?? null });
    else if (differing === undefined) out.write(`${steps} steps, each decided as recorded\n`);
    else out.write(differenceText(differenceLines(differing, steps)));
    if (differing !== undefined) throw new ExitRequest(EXIT_DIFFERS);
  });
}

function tellSilent({ terminal }: CliContext, silent: readonly SilentNode[]): void {
  for (const { nodeId, reason } of silent) {
    terminal.out.write(`${printable(`${nodeId} told nothing: ${reason}`)}\n`);
  }
}

/** Time, node, part, what came, and what was decided. */
function timelineRow(step: ReplayedStep, text: ReturnType<typeof timelineText>): string {
  const head = [new Date(step.atMs).toISOString(), step.node.name, text.part];
  return `${printable([...head, text.came, "->", text.decided].join(" "))}\n`;
}

function differenceText([head, ...details]: readonly string[]): string {
  return [head, ...details.map((line) => `  ${line}`)]
    .map((line) => `${printable(line ?? "")}\n`).join("");
}
