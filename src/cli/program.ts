import { Command, CommanderError } from "commander";
import { errorMessage, isEdgeError } from "../base/mod.ts";
import type { CliContext } from "./context.ts";
import { ExitRequest } from "./exit_request.ts";

/** Gives a command its arguments, options and action. `loadAll` makes the whole tree of commands. */
type DefineCommand = (
  command: Command,
  context: CliContext,
  loadAll: () => Promise<Command>,
) => void;

/** One command: enough for the list of commands; the rest is loaded when the command is used. */
interface CommandRow {
  readonly name: string;
  readonly alias?: string;
  readonly summary: string;
  /** Flags whose value only ever follows `=`, so that `run m --think "why?"` asks why; alone they mean true. */
  readonly equalsFlags?: readonly string[];
  load(): Promise<DefineCommand>;
}

const COMMANDS: readonly CommandRow[] = [
  {
    name: "serve",
    alias: "start",
    summary: "Start a node",
    load: async () => (await import("./commands/serve.ts")).defineServe,
  },
  {
    name: "run",
    summary: "Ask a model, or talk with it",
    equalsFlags: ["--think"],
    load: async () => (await import("./commands/run.ts")).defineRun,
  },
  {
    name: "list",
    alias: "ls",
    summary: "List the models",
    load: async () => (await import("./commands/list.ts")).defineList,
  },
  {
    name: "ps",
    summary: "List the loaded models",
    load: async () => (await import("./commands/ps.ts")).definePs,
  },
  {
    name: "show",
    summary: "Show what a model is",
    load: async () => (await import("./commands/show.ts")).defineShow,
  },
  {
    name: "stop",
    summary: "Unload a model",
    load: async () => (await import("./commands/stop.ts")).defineStop,
  },
  {
    name: "rm",
    summary: "Delete models",
    load: async () => (await import("./commands/rm.ts")).defineRm,
  },
  {
    name: "cp",
    summary: "Give a model a second name",
    load: async () => (await import("./commands/cp.ts")).defineCp,
  },
  {
    name: "create",
    summary: "Make a model from a Modelfile",
    load: async () => (await import("./commands/create.ts")).defineCreate,
  },
  {
    name: "pull",
    summary: "Download a model",
    load: async () => (await import("./commands/pull.ts")).definePull,
  },
  {
    name: "push",
    summary: "Upload a model",
    load: async () => (await import("./commands/push.ts")).definePush,
  },
  {
    name: "status",
    summary: "Show the cluster",
    load: async () => (await import("./cluster/status.ts")).defineStatus,
  },
  {
    name: "members",
    summary: "List the members and what they do",
    load: async () => (await import("./cluster/members.ts")).defineMembers,
  },
  {
    name: "top",
    summary: "Watch the cluster at work",
    load: async () => (await import("./cluster/top.ts")).defineTop,
  },
  {
    name: "logs",
    summary: "Print the log of a node",
    load: async () => (await import("./cluster/logs.ts")).defineLogs,
  },
  {
    name: "token",
    summary: "Make, list and revoke join tokens",
    load: async () => (await import("./cluster/token.ts")).defineToken,
  },
  {
    name: "key",
    summary: "Make, list and revoke keys for use from afar",
    load: async () => (await import("./cluster/key.ts")).defineKey,
  },
  {
    name: "drain",
    summary: "Send no new requests to a node",
    load: async () => (await import("./cluster/drain.ts")).defineDrain,
  },
  {
    name: "undrain",
    summary: "Send requests to a node again",
    load: async () => (await import("./cluster/drain.ts")).defineUndrain,
  },
  {
    name: "leave",
    summary: "Take a node out of its cluster",
    load: async () => (await import("./cluster/leave.ts")).defineLeave,
  },
  {
    name: "member",
    summary: "Remove or revoke members",
    load: async () => (await import("./cluster/member.ts")).defineMember,
  },
  {
    name: "settings",
    summary: "List and change the cluster's settings",
    load: async () => (await import("./cluster/settings.ts")).defineSettings,
  },
  {
    name: "snapshot",
    summary: "Save and restore what the cluster agreed on",
    load: async () => (await import("./cluster/snapshot.ts")).defineSnapshot,
  },
  {
    name: "config",
    summary: "Print every setting and where it came from",
    load: async () => (await import("./commands/config.ts")).defineConfig,
  },
  {
    name: "doctor",
    summary: "Check this machine and say what to do",
    load: async () => (await import("./commands/doctor.ts")).defineDoctor,
  },
  {
    name: "version",
    summary: "Print the version",
    load: async () => (await import("./commands/version.ts")).defineVersion,
  },
  {
    name: "completions",
    summary: "Print a completion script for a shell",
    load: async () => (await import("./commands/completions.ts")).defineCompletions,
  },
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
    const asked = COMMANDS.find((row) => isAskedFor(row, args));
    await defineCommands(program, context, asked === undefined ? [] : [asked]);
    await program.parseAsync(withValues(args, asked?.equalsFlags ?? []), { from: "user" });
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
    (await row.load())(command, context, () => loadWholeProgram(context));
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
  err.write(`${err.style.red("Error:")} ${errorMessage(error)}\n`);
  const isUsage = isEdgeError(error) &&
    (error.code === "bad_usage" || error.code === "invalid_config");
  return isUsage ? EXIT_USAGE : EXIT_FAILED;
}
