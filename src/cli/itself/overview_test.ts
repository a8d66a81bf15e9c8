import assert from "node:assert/strict";
import { cliContext, runCommand } from "../../../tests/harness/cli.ts";
import { type Script, ScriptedNode } from "../../../tests/harness/scripted_node.ts";
import { ScriptedTerminal } from "../../../tests/harness/scripted_terminal.ts";
import { runProgram } from "../program.ts";

const MEMBERS = [
  { name: "attic", health: "alive" },
  { name: "barn", health: "asleep" },
  { name: "cellar", health: "alive" },
];
const STATUS = {
  cluster_id: "cccccccc00000000",
  name: "attic",
  health: "healthy",
  changes: { possible: true },
  members: MEMBERS,
};
const WELL: Script = {
  "GET /api/cluster/status": { json: STATUS },
  "GET /api/tags": { json: { models: ["a b", "big:7b"].map((name) => ({ name })) } },
};

async function overviewAt(host: string, given: Partial<Parameters<typeof cliContext>[0]> = {}) {
  const terminal = new ScriptedTerminal({ isTerminal: true });
  const context = cliContext({ terminal, env: { ODIST_HOST: host }, ...given });
  const code = await runProgram([], context);
  return { code, out: terminal.outText, err: terminal.errText };
}

async function overviewOf(script: Script) {
  await using node = new ScriptedNode(script);
  const { out, ...rest } = await overviewAt(node.host);
  return { ...rest, out: out.replaceAll(node.host, "HOST"), asked: node.asked };
}

Deno.test("odist alone on a terminal shows node, cluster, models and what comes next", async () => {
  const { code, out, err } = await overviewOf(WELL);
  assert.deepEqual([code, err], [0, ""]);
  assert.equal(
    out,
    [
      "node       attic runs on this machine, at http://HOST",
      "cluster    cccccccc, healthy: 3 of 3 members are well",
      "models     a b, big:7b",
      "",
      "  odist run big:7b      Talk to a model",
      "  odist token create    Let another machine join",
      "  odist top             Watch the cluster at work",
      "",
      '"odist --help" lists every command.',
      "",
    ].join("\n"),
  );
});

Deno.test("odist alone leads to what is wrong when a member is down or changes stand still", async () => {
  const down = { ...STATUS, members: [...MEMBERS, { name: "den", health: "down" }] };
  const still = { ...STATUS, changes: { possible: false } };
  for (const [json, count] of [[down, "3 of 4"], [still, "3 of 3"]] as const) {
    const { out } = await overviewOf({ ...WELL, "GET /api/cluster/status": { json } });
    assert.match(out, new RegExp(`healthy: ${count} members are well\\n`));
    assert.match(out, /\n\n {2}odist status .*\n {2}odist run .*\n {2}odist token create /);
  }
});

Deno.test("odist alone says how many models it leaves out, that there are none, or why it can't", async () => {
  const models = Array.from({ length: 8 }, (_, index) => ({ name: `m${index}:latest` }));
  const rows = [
    [{ json: { models } }, /\nmodels .* m4:latest, 3 more\n/],
    [{ json: { models: [] } }, /\nmodels +none yet\n[^]* odist run tiny /],
    [{ json: { error: "disk\x1b[2J" }, status: 500 }, /\nmodels +unknown: disk\ufffd\[2J\n/],
  ] as const;
  for (const [answer, wanted] of rows) {
    assert.match((await overviewOf({ ...WELL, "GET /api/tags": answer })).out, wanted);
  }
});

Deno.test("odist alone says that no node runs here and how to start one", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  const { code, out, err } = await overviewAt(`127.0.0.1:${listener.addr.port}`);
  assert.deepEqual([code, err], [0, ""]);
  assert.match(out, /^No node runs on this machine, at http:\/\/127.*\.\n\n {2}odist serve /);
});

Deno.test("odist alone tells a stranger and a silent node from none", async () => {
  const stranger = await overviewOf({
    "GET /api/cluster/status": { json: { error: "no page" }, status: 404 },
  });
  assert.match(stranger.out, /does not tell of a cluster: no page\n\n {2}odist doctor /);
  // Connections are taken by the system, and nobody ever reads them.
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const limitsMs: number[] = [];
  const signalAfter = (delayMs: number) => {
    limitsMs.push(delayMs);
    return AbortSignal.timeout(0);
  };
  const { code, out } = await overviewAt(`127.0.0.1:${silent.addr.port}`, { signalAfter });
  assert.deepEqual([code, limitsMs], [0, [150]]);
  assert.match(out, /has not answered within \d+ ms\n\n {2}odist doctor /);
});

Deno.test("odist alone in a pipe prints the help and asks no node", async () => {
  await using node = new ScriptedNode(WELL);
  const { code, out, err } = await runCommand([], { env: { ODIST_HOST: node.host } });
  assert.deepEqual([code, out, node.asked], [2, "", []]);
  assert.match(err, /^Usage: odist/);
});
