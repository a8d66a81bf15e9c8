/**
 * Replays recorded dialogues and compares what this core prints with what was recorded, record by record: messages,
 * hard and soft state, entries, snapshots, status lines, in order. Log lines are not compared: their wording is another
 * project's.
 *
 * @module
 */
import { ChangeCases, runQuorumCase } from "./cases.ts";
import { type Directive, parseDialogue } from "./format.ts";
import { Interaction } from "./interaction.ts";

/** A directive whose records differ from the recorded ones. */
export interface Difference {
  readonly directive: Directive;
  readonly actual: string;
}

/** What one file's replay found. */
export interface Replay {
  readonly directiveCount: number;
  readonly differences: readonly Difference[];
}

const LOG_LINE = /^(DEBUG|INFO|WARN|WARNING|ERROR|FATAL) /;

/** The comparable part of an output: without log lines, indentation, and the filler for "nothing printed". */
export function recordsOf(output: string): string[] {
  return output.split("\n").map((line) => line.trim().replace(/\s+/g, " "))
    .filter((line) => line !== "" && line !== "ok" && !LOG_LINE.test(line));
}

/** A runner for the format that these directives belong to. */
function runnerFor(directives: readonly Directive[]): (directive: Directive) => string {
  const commands = new Set(directives.map((directive) => directive.command));
  if (["simple", "enter-joint", "leave-joint"].some((command) => commands.has(command))) {
    const cases = new ChangeCases();
    return (directive) => cases.run(directive);
  }
  if (commands.has("committed") || commands.has("vote")) return runQuorumCase;
  const interaction = new Interaction();
  return (directive) => interaction.run(directive);
}

/** Replays one file's text. @throws {SyntaxError} when it is not of any known format. */
export function replay(text: string): Replay {
  const directives = parseDialogue(text);
  const run = runnerFor(directives);
  const differences: Difference[] = [];
  for (const directive of directives) {
    const actual = run(directive);
    const [wanted, got] = [recordsOf(directive.expected), recordsOf(actual)];
    if (wanted.join("\n") !== got.join("\n")) differences.push({ directive, actual });
  }
  return { directiveCount: directives.length, differences };
}

/** The first differing record of a difference, for people. */
export function describeDifference({ directive, actual }: Difference): string {
  const [wanted, got] = [recordsOf(directive.expected), recordsOf(actual)];
  const at = wanted.findIndex((line, position) => line !== got[position]);
  const position = at < 0 ? wanted.length : at;
  return `line ${directive.line} (${directive.command}), record ${position + 1}:\n` +
    `  wanted: ${wanted[position] ?? "(nothing)"}\n  got:    ${got[position] ?? "(nothing)"}`;
}

/**
 * The file's text with each expected output replaced by what this core prints. Only for outputs without blank lines,
 * which is all that the commands print.
 */
export function rewrite(text: string): string {
  const directives = parseDialogue(text);
  const run = runnerFor(directives);
  const lines = text.split(/\r?\n/);
  const result: string[] = [];
  let at = 0;
  for (const directive of directives) {
    while (lines[at] !== "----") result.push(lines[at++] ?? "");
    result.push("----", ...run(directive).split("\n"));
    at += 1 + (directive.expected === "" ? 0 : directive.expected.split("\n").length);
  }
  return [...result, ...lines.slice(at)].join("\n");
}
