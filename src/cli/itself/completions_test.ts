import assert from "node:assert/strict";
import { runCommand } from "../../../tests/harness/cli.ts";
import { type Script, ScriptedNode } from "../../../tests/harness/scripted_node.ts";

const rowsOf = (...names: readonly string[]) => names.map((name) => ({ name }));
const SCRIPT: Script = {
  "GET /api/tags": {
    json: { models: rowsOf("tiny:latest", "$(touch pwned)", "`id`", "--rm", "a b", "h:1/n/m:7b") },
  },
  "GET /api/cluster/status": {
    headers: { "x-odist-consistency": "stale" },
    json: { members: rowsOf("attic", "barn-2.lan", "x;reboot") },
  },
};

function namesAt(host: string, kind: string, given: Parameters<typeof runCommand>[1] = {}) {
  const args = ["completions", "bash", "--names", kind];
  return runCommand(args, { env: { ODIST_HOST: host }, ...given });
}

Deno.test("names to complete are those a shell takes as they are, one per line", async () => {
  await using node = new ScriptedNode(SCRIPT);
  const models = await namesAt(node.host, "models");
  assert.deepEqual(models, { code: 0, out: "tiny:latest\nh:1/n/m:7b\n", err: "" });
  const nodes = await namesAt(node.host, "nodes");
  assert.deepEqual(nodes, { code: 0, out: "attic\nbarn-2.lan\n", err: "" });
});

Deno.test("no name and no error comes from a node that is absent, silent, strange or misnamed", async () => {
  await using stranger = new ScriptedNode({});
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  closed.close();
  const nothing = { code: 0, out: "", err: "" };
  const silentHost = `127.0.0.1:${silent.addr.port}`;
  const hosts = [stranger.host, `127.0.0.1:${closed.addr.port}`, "odist://127.0.0.1:1", "a b"];
  for (const kind of ["models", "nodes"]) {
    for (const host of hosts) assert.deepEqual(await namesAt(host, kind), nothing, host);
    const signalAfter = () => AbortSignal.timeout(0);
    assert.deepEqual(await namesAt(silentHost, kind, { signalAfter }), nothing);
  }
});

Deno.test({
  name: "bash completes models, nodes and subcommands in their places",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const { out: script } = await runCommand(["completions", "bash"]);
    const rows: readonly (readonly [line: string, wanted: string])[] = [
      ["odist sho", "show"],
      ["odist show ", "models-1 models-2"],
      ["odist drain ", "nodes-1 nodes-2"],
      ["odist sleep nodes-2", "nodes-2"],
      ["odist member re", "remove revoke"],
      ["odist member remove ", "nodes-1 nodes-2"],
      ["odist drain --js", "--json"],
      ["odist token revoke ", ""],
    ];
    for (const [line, wanted] of rows) {
      assert.equal(await completedByBash(script, line.split(" ")), wanted, line);
    }
  },
});

Deno.test("zsh and fish ask for models and nodes where they belong", async () => {
  const { out: zsh } = await runCommand(["completions", "zsh"]);
  assert.match(zsh, /\n {4}drain\) compadd -- [^;]*; compadd -- \S*\$\(odist .* --names nodes /);
  assert.match(
    zsh,
    /\n {4}member\) \(\(CURRENT == 3\)\) && compadd -- remove revoke; .*\(\(CURRENT > 3\)\) && .*nodes/,
  );
  const { out: fish } = await runCommand(["completions", "fish"]);
  assert.match(fish, /__fish_seen_subcommand_from drain' -a "\(odist .* --names nodes /);
  assert.match(fish, /from member; and __fish_seen_subcommand_from remove revoke' -a "\(odist /);
  assert.match(fish, /__fish_seen_subcommand_from show' -a "\(odist .* --names models /);
});

/** What bash offers, where a node knows two names of each kind. */
async function completedByBash(script: string, words: readonly string[]): Promise<string> {
  const program = `odist() { echo "$4-1"; echo "$4-2"; }
${script}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _odist; echo "\${COMPREPLY[*]}"`;
  const { stdout, stderr } = await new Deno.Command("bash", {
    args: ["--norc", "-c", program, "bash", ...words],
  }).output();
  assert.equal(new TextDecoder().decode(stderr), "");
  return new TextDecoder().decode(stdout).trim();
}
