import assert from "node:assert/strict";
import { runCommand } from "../../../tests/harness/cli.ts";
import { encodeApiKey } from "../../protocol/mod.ts";
import { ScriptedNode } from "../../../tests/harness/scripted_node.ts";

const MADE = { key: "odist-key-abc", key_id: "k1" };
const STATUS = {
  node_id: "00000000000000aa",
  members: [
    { node_id: "00000000000000bb", name: "b", api: "http://192.168.1.11:11434" },
    { node_id: "00000000000000aa", name: "a", api: "http://192.168.1.10:11434" },
  ],
};

Deno.test("ui names the page of this machine's node, which needs no key", async () => {
  await using node = new ScriptedNode({});
  const { code, out } = await runCommand(["ui", "--host", node.host]);
  assert.deepEqual([code, out], [0, `http://${node.host}/ui\n`]);
  assert.deepEqual(node.asked, []);
});

Deno.test("ui --link makes a key for one login and leads other machines to this node", async () => {
  await using node = new ScriptedNode({
    "GET /api/cluster/status": { json: STATUS },
    "POST /api/cluster/keys": { json: MADE },
  });
  const { out } = await runCommand(["ui", "--link", "--host", node.host]);
  assert.equal(out, "http://192.168.1.10:11434/ui#login=k1:odist-key-abc\n");
  const made = node.asked.find(({ route }) => route === "POST /api/cluster/keys");
  assert.deepEqual(made?.body, {
    label: "a link for one login",
    ttl: "5m",
    scopes: ["use", "models", "admin", "join"],
  });
});

Deno.test("ui --link says what to do where no other machine reaches the node, and makes no key", async () => {
  const [, self] = STATUS.members;
  const status = { ...STATUS, members: [{ ...self, api: undefined }] };
  await using node = new ScriptedNode({ "GET /api/cluster/status": { json: status } });
  const { code, err } = await runCommand(["ui", "--link", "--host", node.host]);
  assert.equal(code, 2);
  assert.match(err, /odist serve --host 0\.0\.0\.0/);
  assert.equal(node.asked.length, 1);
});

Deno.test("ui wants HTTP, as browsers do", async () => {
  const point = "3059301306072a8648ce3d020106082a8648ce3d03010703420004" + "5a".repeat(64);
  const parts = { secret: new Uint8Array(16), authorityKey: Uint8Array.fromHex(point) };
  const key = encodeApiKey({ keyId: "k1", ...parts });
  const { code, err } = await runCommand(["ui", "--host", "odist://127.0.0.1:1", "--key", key]);
  assert.equal(code, 2);
  assert.match(err, /over HTTP/);
});
