import assert from "node:assert/strict";
import { join } from "node:path";
import { cliContext } from "../../../tests/harness/cli.ts";
import { type Script, ScriptedNode } from "../../../tests/harness/scripted_node.ts";
import { ScriptedTerminal } from "../../../tests/harness/scripted_terminal.ts";
import { runProgram } from "../program.ts";

const PROMPT = "Send a message (/? for help)";
const CTRL_C = "\x03";
const CTRL_D = "\x04";
const CTRL_G = "\x07";
const CTRL_J = "\n";
const UP = "\x1b[A";

const SCRIPT: Script = {
  "POST /api/show": {
    json: { capabilities: ["completion"], parameters: "num_ctx 512", details: { family: "llama" } },
  },
  "POST /api/generate": { json: { done: true } },
  "POST /api/chat": { lines: [{ message: { content: "Hi" } }, { done: true }] },
};

/** A conversation with a scripted node. */
class Talk implements AsyncDisposable {
  readonly node: ScriptedNode;
  readonly terminal = new ScriptedTerminal({ isTerminal: true });
  readonly folder = Deno.makeTempDirSync();
  readonly #ended: Promise<number>;

  constructor(given: { readonly script?: Script; readonly history?: string } = {}) {
    this.node = new ScriptedNode({ ...SCRIPT, ...given.script });
    if (given.history !== undefined) {
      Deno.writeTextFileSync(join(this.folder, "history"), given.history);
    }
    // An editor that writes what it finds twice.
    const editor = join(this.folder, "editor.sh");
    Deno.writeTextFileSync(editor, '#!/bin/sh\ncp "$1" "$1.1" && cat "$1.1" "$1.1" > "$1"\n', {
      mode: 0o700,
    });
    const env = { ODIST_HOST: this.node.host, ODIST_DATA: this.folder, EDITOR: editor };
    const context = cliContext({ terminal: this.terminal, env });
    this.#ended = runProgram(["run", "tiny"], context);
  }

  /** Types a line after the prompt has come, and waits for the next prompt. */
  async say(keys: string): Promise<string> {
    await this.prompted();
    const since = this.terminal.outText.length;
    this.terminal.press(keys);
    await this.terminal.shows(PROMPT, since);
    return this.terminal.outText.slice(since);
  }

  prompted(): Promise<void> {
    return this.terminal.shows(PROMPT);
  }

  /** Leaves and returns the exit code. */
  async leave(): Promise<number> {
    this.terminal.press(CTRL_D);
    return await this.#ended;
  }

  /** Bodies of the chat requests so far. */
  chats(): unknown[] {
    return this.node.asked.filter(({ route }) => route === "POST /api/chat")
      .map(({ body }) => body);
  }

  history(): string {
    return Deno.readTextFileSync(join(this.folder, "history"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node[Symbol.asyncDispose]();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

const user = (content: string) => ({ role: "user", content });
const HI = { role: "assistant", content: "Hi" };

Deno.test("run loads the model, keeps the conversation, and leaves with Ctrl-D", async () => {
  await using talk = new Talk();
  assert.match(await talk.say("one\r"), /Hi\n\n.*>>> /);
  await talk.say("two\r");
  assert.equal(await talk.leave(), 0);
  assert.deepEqual(talk.node.asked[1], {
    route: "POST /api/generate",
    body: { model: "tiny", stream: false },
  });
  assert.deepEqual(talk.chats(), [
    { model: "tiny", messages: [user("one")] },
    { model: "tiny", messages: [user("one"), HI, user("two")] },
  ]);
});

Deno.test("a conversation keeps the images that were shown in it, and saves its texts", async () => {
  const sees = { json: { capabilities: ["completion", "vision"] } };
  await using talk = new Talk({
    script: { "POST /api/show": sees, "POST /api/create": { lines: [{ status: "success" }] } },
  });
  const path = join(talk.folder, "a.png");
  Deno.writeTextFileSync(path, "hi");
  await talk.say(`what is ${path}?\r`);
  await talk.say("and?\r");
  await talk.say("/save kept\r");
  assert.equal(await talk.leave(), 0);
  const shown = { ...user("what is [img]?"), images: ["aGk="] };
  assert.deepEqual(talk.chats(), [
    { model: "tiny", messages: [shown] },
    { model: "tiny", messages: [shown, HI, user("and?")] },
  ]);
  assert.doesNotMatch(JSON.stringify(talk.node.asked.at(-1)?.body), /images/);
});

Deno.test("run sends lines between triple quotes, after Ctrl-J and out of a paste as one message", async () => {
  await using talk = new Talk();
  await talk.say('"""a\rb"""\r');
  await talk.say(`c${CTRL_J}d\r`);
  await talk.say("\x1b[200~e\rf\x1b[201~\r");
  await talk.leave();
  const last = talk.chats().map((chat) => JSON.stringify(chat).match(/([^"]+)"\}\]\}$/)?.[1]);
  assert.deepEqual(last, ["a\\nb", "c\\nd", "e\\nf"]);
});

Deno.test("Ctrl-C stops the answer, not the program, and what was said stays said", async () => {
  const stuck = Promise.withResolvers<void>();
  await using talk = new Talk({
    script: {
      "POST /api/chat": () => ({
        lines: async function* () {
          yield { message: { content: "Half" } };
          await stuck.promise;
        }(),
      }),
    },
  });
  await talk.prompted();
  talk.terminal.press("go\r");
  await talk.terminal.shows("Half");
  await talk.say(CTRL_C);
  const since = talk.terminal.outText.length;
  talk.terminal.press("again\r");
  await talk.terminal.shows("Half", since);
  await talk.say(CTRL_C);
  stuck.resolve();
  assert.equal(await talk.leave(), 0);
  assert.deepEqual(talk.chats()[1], {
    model: "tiny",
    messages: [user("go"), { role: "assistant", content: "Half" }, user("again")],
  });
});

Deno.test("Ctrl-C at the prompt clears the line and an unfinished block", async () => {
  await using talk = new Talk();
  await talk.prompted();
  talk.terminal.press('"""one\rtwo');
  await talk.say(CTRL_C);
  await talk.say("three\r");
  await talk.leave();
  assert.deepEqual(talk.chats(), [{ model: "tiny", messages: [user("three")] }]);
});

Deno.test("what is typed while an answer runs waits for its end", async () => {
  await using talk = new Talk();
  await talk.prompted();
  talk.terminal.press("one\rtwo\r/bye\r");
  assert.equal(await talk.leave(), 0);
  assert.equal(talk.chats().length, 2);
});

Deno.test("Ctrl-G takes the line through the editor", async () => {
  await using talk = new Talk();
  await talk.prompted();
  const since = talk.terminal.outText.length;
  talk.terminal.press(`echo${CTRL_G}`);
  await talk.terminal.shows("echoecho", since);
  await talk.say("\r");
  await talk.leave();
  assert.deepEqual(talk.chats(), [{ model: "tiny", messages: [user("echoecho")] }]);
});

Deno.test("run keeps what was typed for the next time, until told not to", async () => {
  await using talk = new Talk({ history: "older\nnewer\n" });
  await talk.say(`${UP}${UP}!\r`);
  assert.equal(talk.history(), "older\nnewer\nolder!\n");
  await talk.say("/set nohistory\r");
  await talk.say("secret\r");
  await talk.leave();
  assert(!talk.history().includes("secret"));
  assert.deepEqual(talk.chats()[0], { model: "tiny", messages: [user("older!")] });
});

Deno.test("/set changes what is sent", async () => {
  await using talk = new Talk();
  for (
    const setting of [
      "parameter temperature 0.5",
      "system Be brief.",
      "format json",
      "think high",
      "verbose",
      "nowordwrap",
    ]
  ) await talk.say(`/set ${setting}\r`);
  await talk.say("one\r");
  assert.deepEqual(talk.chats(), [{
    model: "tiny",
    messages: [{ role: "system", content: "Be brief." }, user("one")],
    options: { temperature: 0.5 },
    format: "json",
    think: "high",
  }]);
  const shown = await talk.say("/show parameters\r");
  assert.match(shown, /Model defined parameters:\n {2}num_ctx 512/);
  assert.match(shown, /User defined parameters:\n {2}temperature +0\.5/);
  await talk.say("/set noformat\r");
  await talk.say("/clear\r");
  await talk.say("two\r");
  await talk.leave();
  const { format, messages } = talk.chats()[1] as Record<string, unknown>;
  assert.deepEqual([format, messages], [undefined, [
    { role: "system", content: "Be brief." },
    user("two"),
  ]]);
});

Deno.test("/show, /list, /help and mistakes print and go on", async () => {
  await using talk = new Talk({
    script: { "GET /api/tags": { json: { models: [{ name: "tiny:latest" }] } } },
  });
  assert.match(await talk.say("/show info\r"), /architecture {4}llama/);
  assert.match(await talk.say("/show template\r"), /The model has no template/);
  assert.match(await talk.say("/list\r"), /tiny:latest/);
  assert.match(await talk.say("/?\r"), /\/set +Change settings/);
  assert.match(await talk.say("/? set\r"), /\/set parameter/);
  assert.match(await talk.say("/shoe\r"), /Did you mean 'show'\?/);
  await talk.leave();
  assert.deepEqual(talk.chats(), []);
});

Deno.test("/save makes a model of the conversation, /load goes on with another one", async () => {
  await using talk = new Talk({
    script: { "POST /api/create": { lines: [{ status: "success" }] } },
  });
  await talk.say("/set system Be brief.\r");
  await talk.say("/set parameter seed 7\r");
  await talk.say("one\r");
  assert.match(await talk.say("/save mine\r"), /Created new model 'mine'/);
  assert.deepEqual(talk.node.asked.at(-1)?.body, {
    model: "mine",
    from: "tiny",
    system: "Be brief.",
    parameters: { seed: 7 },
    messages: [user("one"), HI],
  });
  await talk.say("/load mine\r");
  await talk.say("two\r");
  await talk.leave();
  const { model, messages } = talk.chats().at(-1) as Record<string, unknown>;
  assert.deepEqual([model, messages], ["mine", [
    { role: "system", content: "Be brief." },
    user("two"),
  ]]);
});

Deno.test("a refusal is told and the conversation goes on", async () => {
  await using talk = new Talk({
    script: { "POST /api/chat": { json: { error: "server busy" }, status: 503 } },
  });
  await talk.say("one\r");
  assert.match(talk.terminal.errText, /Error: server busy\n/);
  assert.equal(await talk.leave(), 0);
});
