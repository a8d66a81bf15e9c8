/**
 * The command line: one file per command in `commands/`. Commands parse, call a node over HTTP and print; they decide
 * nothing about models or clusters. Start with `program.ts`.
 *
 * @module
 */
import { reachLoopbackPastProxies } from "./client/mod.ts";
import { runProgram } from "./program.ts";
import { openTerminal } from "./terminal/mod.ts";

/** What the process hands over. */
export interface CliSetting {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly version: string;
  /** The command line of this very process, with other flags for Deno. */
  readonly ownCommand: (flags: readonly string[]) => readonly string[];
  /** Command line of a runner process. */
  readonly runnerCommand: readonly string[];
  readonly templateWorkerCommand: readonly string[];
  /** The model that ships with the program; a GGUF file. */
  readonly embeddedModelPath: string;
  /** Where the page's files are, as `deno task ui` makes them. */
  readonly pageFolder: string;
}

/** Runs one command line on the process's own streams; returns the exit code. */
export function runCli(setting: CliSetting): Promise<number> {
  const { args, ...rest } = setting;
  reachLoopbackPastProxies(setting.env);
  return runProgram(args, {
    ...rest,
    terminal: openTerminal(setting.env),
    nowMs: () => Date.now(),
    signalAfter: (delayMs) => AbortSignal.timeout(delayMs),
  });
}
