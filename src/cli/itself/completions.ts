import { Argument, type Command, Option } from "commander";
import { isPlainName, objectsOf, textOf } from "../client/mod.ts";
import { type CliContext, clientFor } from "../context.ts";
import { addExamples } from "../options.ts";
import { type CommandWords, NAME_KINDS, renderCompletions, SHELLS } from "../terminal/mod.ts";

/** Commands whose first argument is a model that is already there. */
const MODEL_COMMANDS = new Set(["run", "show", "stop", "rm", "cp", "push"]);
/** What every command calls an argument that is a node there is. */
const NODE_ARGUMENT = "NODE";
/** Where the names of a kind are. */
const NAMES_AT = {
  models: { path: "/api/tags", field: "models" },
  nodes: { path: "/api/cluster/status", field: "members" },
} as const;
/** A key was pressed: nobody waits long for what may follow. */
const NAMES_LIMIT_MS = 300;
/** More than anybody chooses from. */
const NAMES_MAX = 1_000;

interface CompletionsOptions {
  readonly names?: (typeof NAME_KINDS)[number];
}

export function define(
  command: Command,
  context: CliContext,
  loadAll: () => Promise<Command>,
): void {
  command.addArgument(new Argument("<SHELL>", "Shell to complete for").choices(SHELLS));
  command.addOption(
    new Option("--names <KIND>", "Print names as the node tells them; the script asks so")
      .choices(NAME_KINDS),
  );
  addExamples(
    command,
    `source <(odist completions bash)`,
    "odist completions zsh > ~/.zfunc/_odist",
    "odist completions fish > ~/.config/fish/completions/odist.fish",
  );
  command.action(async (shell: (typeof SHELLS)[number], options: CompletionsOptions) => {
    if (options.names !== undefined) return await printNames(context, options.names);
    const program = await loadAll();
    const commands: CommandWords[] = program.commands.map((one) => ({
      names: [one.name(), ...one.aliases()],
      subcommands: one.commands.map((inner) => inner.name()),
      summary: one.summary(),
      flags: flagsOf(one),
      ...namesFor(one),
    }));
    context.terminal.out.write(renderCompletions(shell, commands));
  });
}

/** One name per line; nothing where no node tells them in time. */
async function printNames(context: CliContext, kind: (typeof NAME_KINDS)[number]): Promise<void> {
  const { path, field } = NAMES_AT[kind];
  try {
    const signal = context.signalAfter(NAMES_LIMIT_MS);
    const answer = await clientFor(context, { signal, onStale: () => {} }).ask("GET", path);
    const names = objectsOf(answer, field).map((row) => textOf(row, "name") ?? "");
    const lines = names.filter(isPlainName).slice(0, NAMES_MAX).map((name) => `${name}\n`);
    context.terminal.out.write(lines.join(""));
  } catch {
    // Somebody is in the middle of typing: an error would be written into their line.
  }
}

/** Whose names the command's arguments are; of a group of commands, what any of them takes. */
function namesFor(command: Command): Pick<CommandWords, "takes"> | undefined {
  if (MODEL_COMMANDS.has(command.name())) return { takes: "models" };
  const takesNode = [command, ...command.commands]
    .some((one) => one.registeredArguments.some((argument) => argument.name() === NODE_ARGUMENT));
  return takesNode ? { takes: "nodes" } : undefined;
}

/** Of the command and of all its subcommands: which of them is meant, the shell does not ask. */
function flagsOf(command: Command): readonly string[] {
  const all = [command, ...command.commands].flatMap((one) => one.options)
    .filter(({ hidden }) => !hidden)
    .flatMap((option) => option.long ?? []);
  return [...new Set([...all, "--help"])];
}
