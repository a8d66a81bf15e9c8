/**
 * Writes docs/CLI.md from the help of every command. `--check` writes nothing and fails when the page differs.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { loadWholeProgram } from "../src/cli/program.ts";
import { cliContext, runCommand } from "../tests/harness/cli.ts";
import { ScriptedTerminal } from "../tests/harness/scripted_terminal.ts";

const INTRODUCTION = `# Command line

<!-- Made by scripts/generate_cli.ts from the commands themselves; edit those, not this page. -->

Commands end with 0 when they did what was asked, 1 when they failed, and 2 when they were asked wrongly; Ctrl-C ends
them with 130. What programs may read goes to standard output, everything else to standard error. Colours appear on
terminals only, and nowhere when \`NO_COLOR\` is set.

A flag without a value takes one behind \`=\`, as in \`--verbose=false\` or \`--truncate=0\`.

Every option of \`serve\`, and what else sets it, is described in [CONFIG.md](CONFIG.md).

## What scripts for Ollama find different

- A wrong flag, argument or command ends with 2, where Ollama ends with 1; all other failures end with 1 in both.
- \`create -f FILE\` fails when there is no such file, where Ollama looks for a GGUF file in the folder instead.
- What goes into a pipe or a file is not wrapped and holds no escape codes.
- \`-v\` prints \`odist version …\` and asks no server; \`GET /api/version\` says which release of Ollama's API is answered.
`;

/** The whole page. */
export async function renderCliPage(): Promise<string> {
  const program = await loadWholeProgram(cliContext({ terminal: new ScriptedTerminal() }));
  const sections = commandPaths(program).map(async (path) => {
    const { out } = await runCommand([...path, "--help"]);
    return `## ${["odist", ...path].join(" ")}\n\n\`\`\`text\n${out.trimEnd()}\n\`\`\`\n`;
  });
  return `${INTRODUCTION}\n${(await Promise.all(sections)).join("\n")}`;
}

/** The words of every command, its subcommands behind it; first of all the program's own, which has none. */
function commandPaths(command: Command, path: readonly string[] = []): readonly string[][] {
  return [
    [...path],
    ...command.commands.flatMap((one) => commandPaths(one, [...path, one.name()])),
  ];
}

if (import.meta.main) {
  const page = join(dirname(dirname(fileURLToPath(import.meta.url))), "docs", "CLI.md");
  const wanted = await renderCliPage();
  if (!Deno.args.includes("--check")) await Deno.writeTextFile(page, wanted);
  else if ((await Deno.readTextFile(page)).replaceAll("\r\n", "\n") !== wanted) {
    console.error("docs/CLI.md differs from the commands: run deno run -A scripts/generate_cli.ts");
    Deno.exit(1);
  }
}
