/**
 * Runs command lines in this process, on a scripted terminal.
 *
 * @module
 */
import type { CliContext } from "../../src/cli/context.ts";
import { runProgram } from "../../src/cli/program.ts";
import { ScriptedTerminal } from "./scripted_terminal.ts";

/** When every command line runs: 2026-11-01, noon. */
export const CLI_NOW_MS = Date.UTC(2026, 10, 1, 12);

/** What a command line came to. */
export interface CliOutcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A context for command lines; nothing of this machine's environment gets in. */
export function cliContext(given: {
  readonly terminal: ScriptedTerminal;
  readonly env?: Readonly<Record<string, string>>;
  /** Default: no limit ever passes, however slow this machine is. */
  readonly signalAfter?: CliContext["signalAfter"];
}): CliContext {
  return {
    // A folder that is not there: no configuration file and no history of this machine.
    env: { HOME: "/nonexistent/odist-test", ...given.env },
    version: "1.2.3",
    terminal: given.terminal,
    ownCommand: () => [],
    runnerCommand: [Deno.execPath(), "eval", "console.log('{}')"],
    templateWorkerCommand: [],
    embeddedModelPath: "/nonexistent/tiny.gguf",
    pageFolder: "/nonexistent/ui",
    nowMs: () => CLI_NOW_MS,
    signalAfter: given.signalAfter ?? (() => new AbortController().signal),
  };
}

/** Runs one command line to its end. */
export async function runCommand(
  args: readonly string[],
  given: {
    readonly env?: Readonly<Record<string, string>>;
    readonly piped?: string;
    readonly signalAfter?: CliContext["signalAfter"];
  } = {},
): Promise<CliOutcome> {
  const terminal = new ScriptedTerminal({ piped: given.piped ?? "" });
  const code = await runProgram(args, cliContext({ terminal, ...given }));
  return { code, out: terminal.outText, err: terminal.errText };
}
