import { Command, CommanderError } from "commander";
import { errorMessage, isEdgeError, printableText } from "../base/mod.ts";
import { CLUSTER_COMMANDS } from "./cluster/mod.ts";
import type { CommandRow } from "./command_row.ts";
import { MODEL_COMMANDS } from "./commands/mod.ts";
import type { CliContext } from "./context.ts";
import { addNegations, withPlainFlags } from "./boolean_flags.ts";
import { ExitRequest } from "./exit_request.ts";
import { INCIDENT_COMMANDS } from "./incidents/mod.ts";
import { INSTALLED_COMMANDS } from "./installed/mod.ts";
import { loadOverview, PROGRAM_COMMANDS } from "./itself/mod.ts";
import { PLANNING_COMMANDS } from "./plan/mod.ts";

const COMMANDS: readonly CommandRow[] = [
  ...MODEL_COMMANDS,
  ...CLUSTER_COMMANDS,
  ...INCIDENT_COMMANDS,
  ...PLANNING_COMMANDS,
  ...PROGRAM_COMMANDS,
  ...INSTALLED_COMMANDS,
];

/** A bad flag, argument, command or option value. */
const EXIT_USAGE = 2;
const EXIT_FAILED = 1;
/** Interrupted from the keyboard, as shells report it. */
const EXIT_INTERRUPTED = 130;
const HELP_COLUMNS_MAX = 100;

/** Runs one command line and returns the exit code: 0 done, 1 failed, 2 usage. Never throws. */
export async function runProgram(args: readonly string[], context: CliContext): Promise<number> {
  const program = createProgram(context);
  try {
    if (args.length === 0 && context.terminal.out.isTerminal) {
      await (await loadOverview()).showOverview(context);
      return 0;
    }
    const asked = COMMANDS.find((row) => isAskedFor(row, args));
    await defineCommands(program, context, asked === undefined ? [] : [asked]);
    const valued = withValues(args, asked?.equalsFlags ?? []);
    await program.parseAsync(withPlainFlags(program, valued), { from: "user" });
    return 0;
  } catch (error) {
    return reportFailure(error, context);
  }
}

/** The whole tree with every command defined, for completions and for tests of the help. */
export async function loadWholeProgram(context: CliContext): Promise<Command> {
  const program = createProgram(context);
  await defineCommands(program, context, COMMANDS);
  return program;
}

function createProgram(context: CliContext): Command {
  const { out, err } = context.terminal;
  const columns = () => Math.min(HELP_COLUMNS_MAX, context.terminal.columns());
  const program = new Command("odist");
  program.description("Every machine you own becomes one Ollama.")
    .version(`odist version ${context.version}`, "-v, --version", "Print the version")
    .helpOption("-h, --help", "Print this help")
    .helpCommand("help [command]", "Print the help of a command")
    // A command's own -v is not the program's.
    .enablePositionalOptions()
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureOutput({
      writeOut: (text) => out.write(text),
      writeErr: (text) => err.write(text),
      getOutHelpWidth: columns,
      getErrHelpWidth: columns,
      outputError: (text, write) => write(text.replace(/^error: /, "Error: ")),
    })
    .addHelpText("after", "\nStart here:\n  $ odist serve\n  $ odist run tiny");
  return program;
}

async function defineCommands(
  program: Command,
  context: CliContext,
  wanted: readonly CommandRow[],
): Promise<void> {
  for (const row of COMMANDS) {
    const command = program.command(row.name).summary(row.summary).description(row.summary);
    if (row.alias !== undefined) command.alias(row.alias);
    if (!wanted.includes(row)) continue;
    (await row.load()).define(command, context, () => loadWholeProgram(context));
    addNegations(command);
  }
}

/** Whether `args` name the command, also as `help NAME`; its flags never come before its name. */
function isAskedFor(row: CommandRow, args: readonly string[]): boolean {
  const name = args[0] === "help" ? args[1] : args[0];
  return name !== undefined && (name === row.name || name === row.alias);
}

/** Gives each of the flags that stands alone the value commander would otherwise take from the next argument. */
function withValues(args: readonly string[], flags: readonly string[]): readonly string[] {
  const end = args.includes("--") ? args.indexOf("--") : args.length;
  return args.map((arg, index) => index < end && flags.includes(arg) ? `${arg}=true` : arg);
}

function reportFailure(error: unknown, context: CliContext): number {
  if (error instanceof ExitRequest) return error.code;
  // Help and version end this way too; commander has already printed whatever there is to say.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof DOMException && error.name === "AbortError") return EXIT_INTERRUPTED;
  const { err } = context.terminal;
  err.write(`${err.style.red("Error:")} ${printableText(errorMessage(error))}\n`);
  if (isEdgeError(error) && error.command !== undefined) err.write(`Try: ${error.command}\n`);
  const isUsage = isEdgeError(error) &&
    (error.code === "bad_usage" || error.code === "invalid_config");
  return isUsage ? EXIT_USAGE : EXIT_FAILED;
}
