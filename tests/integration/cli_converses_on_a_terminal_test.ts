import assert from "node:assert/strict";
import { odistProgram, startNode, type TestNode } from "../harness/node.ts";

const PROMPT = "Send a message (/? for help)";

/** `script` of util-linux gives a program a terminal; elsewhere its flags differ. */
const SCRIPT = await findScript();

async function findScript(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  try {
    await new Deno.Command("script", { args: ["--version"], stdout: "null" }).output();
    return "script";
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log("tests of a real terminal are skipped: there is no `script` on this machine");
    return undefined;
  }
}

/** A program on a terminal of its own. */
class TerminalProgram {
  readonly #child: Deno.ChildProcess;
  readonly #keys: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<string>;
  #seen = "";

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#keys = child.stdin.getWriter();
    this.#output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  async press(keys: string): Promise<void> {
    await this.#keys.write(new TextEncoder().encode(keys));
  }

  /** Waits for the text and returns everything up to it; fails when the program ends before. */
  async shows(text: string): Promise<string> {
    for (;;) {
      const at = this.#seen.indexOf(text);
      if (at >= 0) {
        const shown = this.#seen.slice(0, at + text.length);
        this.#seen = this.#seen.slice(at + text.length);
        return shown;
      }
      const { value, done } = await this.#output.read();
      if (done) throw new Error(`the program ended before it showed "${text}":\n${this.#seen}`);
      this.#seen += value;
    }
  }

  /** Waits for the end; returns the exit code. */
  async end(): Promise<number> {
    await this.#keys.close();
    while (!(await this.#output.read()).done);
    return (await this.#child.status).code;
  }
}

async function onTerminal(node: TestNode, args: readonly string[]): Promise<TerminalProgram> {
  const program = await odistProgram();
  const line = [program.command, ...program.args, ...args].map((word) => `'${word}'`).join(" ");
  const child = new Deno.Command(SCRIPT ?? "", {
    args: [
      "--quiet",
      "--flush",
      "--return",
      "--command",
      `stty rows 24 cols 80; ${line}`,
      "/dev/null",
    ],
    clearEnv: true,
    env: {
      PATH: Deno.env.get("PATH") ?? "",
      ...program.environment,
      TERM: "xterm",
      HOME: node.homeFolder,
      ODIST_HOST: new URL(node.origin).host,
    },
    cwd: new URL("../..", import.meta.url),
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  return new TerminalProgram(child);
}

Deno.test({
  name: "odist run talks on a terminal: history, Ctrl-C, several lines, Ctrl-D",
  ignore: SCRIPT === undefined,
  async fn() {
    await using node = await startNode();
    const program = await onTerminal(node, ["run", "tiny"]);
    await program.shows(PROMPT);
    await program.press("Why is the sky blue?\r");
    const answer = await program.shows(PROMPT);
    // Between question and answer a spinner may have turned, when the model was slow to load.
    assert.match(answer, /Why is the sky blue\?\r+\n[^]*The sky is blue[^]*\n[^]*>>> /);
    // The endless answer of a story is cut, and the program goes on.
    await program.press("/set parameter num_predict -1\r");
    await program.shows(PROMPT);
    await program.press('"""Tell me\ra story"""\r');
    await program.shows("a story");
    await program.press("\x03");
    await program.shows(PROMPT);
    // The line before last comes back and can be changed.
    await program.press("\x1b[A\x1b[A\x1b[A\x01/set verbos\x0b\r");
    await program.shows("Did you mean 'verbose'?");
    await program.shows(PROMPT);
    await program.press("\x04");
    assert.equal(await program.end(), 0);
    const history = await Deno.readTextFile(`${node.homeFolder}/.odist/history`);
    assert.match(history, /^Why is the sky blue\?\n/);
  },
});

Deno.test({
  name: "odist shows colours on a terminal and passes its exit code on",
  ignore: SCRIPT === undefined,
  async fn() {
    await using node = await startNode();
    const program = await onTerminal(node, ["show", "missing"]);
    assert((await program.shows("not found")).includes("\x1b[31mError:\x1b[39m"));
    assert.equal(await program.end(), 1);
  },
});
