import assert from "node:assert/strict";
import { cliContext } from "../../tests/harness/cli.ts";
import { type Script, ScriptedNode } from "../../tests/harness/scripted_node.ts";
import { ScriptedTerminal } from "../../tests/harness/scripted_terminal.ts";
import { runProgram } from "./program.ts";

/** Sets a window's title and clears the screen, in either spelling of an escape. */
const HOSTILE = "x\x1b]0;pwned\x07\x9b2J\u202ey";
/** What none of it may come to on a terminal; the command line's own sequences are others. */
// deno-lint-ignore no-control-regex
const PASSED_ON = /\x1b\]|\x07|\x9b|\u202e/;

const ROWS = [{
  name: HOSTILE,
  digest: HOSTILE,
  node: HOSTILE,
  modified_at: HOSTILE,
  size: 1,
  size_vram: 0,
  expires_at: HOSTILE,
}];
const SHOWN = {
  license: HOSTILE,
  modelfile: HOSTILE,
  parameters: `stop ${HOSTILE}`,
  template: HOSTILE,
  system: HOSTILE,
  details: { family: HOSTILE, parameter_size: HOSTILE, quantization_level: HOSTILE },
  model_info: { "general.architecture": HOSTILE, [HOSTILE]: HOSTILE, list: [HOSTILE] },
  tensors: [{ name: HOSTILE, type: HOSTILE, shape: [HOSTILE] }],
  capabilities: [HOSTILE],
  requires: HOSTILE,
};
const STATUS = {
  cluster_id: HOSTILE,
  health: HOSTILE,
  leader: HOSTILE,
  name: HOSTILE,
  node_id: HOSTILE,
  state_hash: HOSTILE,
  members: [{
    node_id: HOSTILE,
    name: HOSTILE,
    address: HOSTILE,
    health: HOSTILE,
    role: HOSTILE,
    version: HOSTILE,
  }],
};
const SCRIPT: Script = {
  "GET /api/tags": { json: { models: ROWS } },
  "GET /api/ps": { json: { models: ROWS } },
  "POST /api/show": { json: SHOWN },
  "POST /api/pull": { lines: [{ status: HOSTILE }, { status: HOSTILE, total: 2, completed: 1 }] },
  "POST /api/push": { lines: [{ status: "pushing" }, { error: HOSTILE }] },
  "POST /api/copy": { json: { error: HOSTILE }, status: 500 },
  "POST /api/generate": { lines: [{ thinking: HOSTILE }, { response: HOSTILE }, { done: true }] },
  "GET /api/cluster/status": { json: STATUS },
  "GET /api/cluster/members": { json: STATUS },
  "GET /api/cluster/logs": {
    lines: [{ time: HOSTILE, level: HOSTILE, event: HOSTILE, [HOSTILE]: HOSTILE }],
  },
  "GET /api/cluster/settings": { json: { settings: [{ key: HOSTILE, value: HOSTILE }] } },
  "GET /api/cluster/keys": { json: { keys: [{ key_id: HOSTILE, label: HOSTILE }] } },
  "GET /api/cluster/tokens": { json: { tokens: [{ token_id: HOSTILE, expires_at: HOSTILE }] } },
};
const COMMANDS = [
  "list",
  "list --json",
  "ps",
  "show m",
  "show m -v",
  "show m --license",
  "show m --modelfile",
  "show m --parameters",
  "show m --json",
  "pull m",
  "pull m --json",
  "push m",
  "cp m n",
  "run m hello",
  "run m hello --json",
  "status",
  "members",
  "top",
  "logs",
  "logs --json",
  "settings",
  "key list",
  "token list",
];

for (const command of COMMANDS) {
  Deno.test(`\`${command}\` passes no command of a node's texts on to a terminal`, async () => {
    await using node = new ScriptedNode(SCRIPT);
    // `top` on a terminal goes on until a key is pressed; what it prints once is the same.
    const terminal = new ScriptedTerminal({ isTerminal: command !== "top" });
    const args = [...command.split(" "), "--host", node.host];
    await runProgram(args, cliContext({ terminal }));
    const shown = terminal.outText + terminal.errText;
    assert.ok(node.asked.length > 0 && shown.includes("pwned"), shown);
    assert.doesNotMatch(shown, PASSED_ON);
  });
}

Deno.test("what goes into a file or another program is what the node said, byte for byte", async () => {
  await using node = new ScriptedNode(SCRIPT);
  for (const command of ["show m --modelfile", "run m hello"]) {
    const terminal = new ScriptedTerminal({ piped: "x" });
    const args = [...command.split(" "), "--host", node.host];
    await runProgram(args, cliContext({ terminal }));
    assert.ok(terminal.outText.includes(HOSTILE), command);
  }
});
