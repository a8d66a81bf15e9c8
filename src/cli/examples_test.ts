import assert from "node:assert/strict";
import type { Command } from "commander";
import { cliContext, runCommand } from "../../tests/harness/cli.ts";
import { ScriptedTerminal } from "../../tests/harness/scripted_terminal.ts";
import { loadWholeProgram } from "./program.ts";

const loadProgram = () => loadWholeProgram(cliContext({ terminal: new ScriptedTerminal() }));

for (const path of pathsOf(await loadProgram())) {
  const name = path.join(" ");
  Deno.test(`\`odist ${name} --help\` has an example, and its examples are read as that command`, async () => {
    const { code, out } = await runCommand([...path, "--help"]);
    const examples = [...out.matchAll(/^ {2}\$ (.*)$/gm)].map(([, line = ""]) => line);
    assert.equal(code, 0);
    assert.ok(examples.length > 0, "no example");
    for (const example of examples) {
      const read = await commandOf(wordsOf(example));
      assert.ok(`${read} `.startsWith(`${name} `), `${example} is read as ${read}`);
    }
  });
}

/** The words of every command and of those under it. */
function pathsOf(command: Command, path: readonly string[] = []): readonly string[][] {
  return command.commands.flatMap((one) => {
    const words = [...path, one.name()];
    return [words, ...pathsOf(one, words)];
  });
}

/** What the shell hands to odist, up to what it does itself with streams. */
function wordsOf(example: string): readonly string[] {
  const [, line = ""] = /\bodist((?: +(?:"[^"]*"|'[^']*'|[^\s<>|)]+))*)/.exec(example) ?? [];
  const words = line.match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
  return words.map((word) => word.replace(/^(["'])(.*)\1$/, "$2"));
}

/** The command that would run, with every argument, flag and choice accepted; throws where one is not. */
async function commandOf(words: readonly string[]): Promise<string> {
  const program = await loadProgram();
  let ran = "";
  for (const path of pathsOf(program)) {
    const command = path.reduce<Command>(
      (above, name) => above.commands.find((one) => one.name() === name) ?? above,
      program,
    );
    if (command.commands.length === 0) command.action(() => void (ran = path.join(" ")));
  }
  await program.parseAsync([...words], { from: "user" });
  return ran;
}
