import { Argument, type Command } from "commander";
import type { CliContext } from "../context.ts";
import { addExamples } from "../options.ts";
import { type CommandWords, renderCompletions, SHELLS } from "../terminal/mod.ts";

/** Commands whose first argument is a model that is already there. */
const MODEL_COMMANDS = new Set(["run", "show", "stop", "rm", "cp", "push"]);

export function define(
  command: Command,
  context: CliContext,
  loadAll: () => Promise<Command>,
): void {
  command.addArgument(new Argument("<SHELL>", "Shell to complete for").choices(SHELLS));
  addExamples(
    command,
    `source <(odist completions bash)`,
    "odist completions zsh > ~/.zfunc/_odist",
    "odist completions fish > ~/.config/fish/completions/odist.fish",
  );
  command.action(async (shell: (typeof SHELLS)[number]) => {
    const program = await loadAll();
    const commands: CommandWords[] = program.commands.map((one) => ({
      names: [one.name(), ...one.aliases()],
      subcommands: one.commands.map((inner) => inner.name()),
      summary: one.summary(),
      flags: flagsOf(one),
      takesModel: MODEL_COMMANDS.has(one.name()),
    }));
    context.terminal.out.write(renderCompletions(shell, commands));
  });
}

/** Of the command and of all its subcommands: which of them is meant, the shell does not ask. */
function flagsOf(command: Command): readonly string[] {
  const all = [command, ...command.commands].flatMap((one) => one.options)
    .filter(({ hidden }) => !hidden)
    .flatMap((option) => option.long ?? []);
  return [...new Set([...all, "--help"])];
}
