import assert from "node:assert/strict";
import { decodeApiKey } from "../../src/protocol/mod.ts";
import { askRemote } from "../../src/transport/mod.ts";
import { startNode, type TestNode } from "../harness/node.ts";
import { testClock } from "../harness/quic_world.ts";

/** As a client on another machine of a private network, and on the internet, whose requests a proxy carries. */
const NEIGHBOUR = { "x-forwarded-for": "192.168.7.7" };
const STRANGER = { "x-forwarded-for": "203.0.113.9" };

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });

async function statusOf(
  node: TestNode,
  line: string,
  headers: Record<string, string>,
): Promise<number> {
  const [method = "", path = ""] = line.split(" ");
  const body = method === "POST" ? { body: "{}" } : {};
  const response = await node.get(path, { method, headers, ...body });
  await response.body?.cancel();
  return response.status;
}

async function firstKeyOf(node: TestNode): Promise<string> {
  for (;;) {
    const [, key] = /^ODIST_KEY=(\S+)$/m.exec(node.printed()) ?? [];
    if (key !== undefined) return key;
    // Whatever the node prints, it answers meanwhile; there is no other sign to wait for.
    await (await node.get("/health")).body?.cancel();
  }
}

Deno.test("A first start that others can reach makes one key; keys close what was open, and nothing opens it again", async () => {
  const dataFolder = await Deno.makeTempDir({ prefix: "odist-test-data-" });
  const options = { environment: { ODIST_HOST: "0.0.0.0:0", ODIST_DATA: dataFolder } };
  try {
    await using node = await startNode(options);
    const firstKey = await firstKeyOf(node);
    assert.equal(node.printed().split(firstKey).length, 2, "printed once");
    assert.match(node.printed(), /everyone on a private network .* can use the models/);

    // What Ollama's clients do daily is open to the private network, and nothing else is.
    assert.equal(await statusOf(node, "GET /api/tags", NEIGHBOUR), 200);
    assert.equal(await statusOf(node, "GET /api/tags", STRANGER), 401);
    for (const line of ["POST /api/pull", "POST /api/cluster/tokens", "GET /api/cluster/keys"]) {
      assert.equal(await statusOf(node, line, NEIGHBOUR), 401, line);
    }
    const keys = "GET /api/cluster/keys";
    assert.equal(await statusOf(node, keys, { ...STRANGER, ...bearer(firstKey) }), 200);

    // A key of less, over HTTP and over the port between nodes.
    const made = await node.ask("/api/cluster/keys", { label: "laptop", scopes: ["use"] });
    const useKey = String(made["key"]);
    assert.equal(await statusOf(node, "GET /api/tags", NEIGHBOUR), 401, "closed by the first key");
    assert.equal(await statusOf(node, "GET /api/tags", { ...NEIGHBOUR, ...bearer(useKey) }), 200);
    assert.equal(await statusOf(node, keys, { ...NEIGHBOUR, ...bearer(useKey) }), 403);
    const port = (await (await node.get("/api/cluster/webtransport")).json()).port;
    const decoded = decodeApiKey(useKey);
    assert.ok(decoded.kind === "decoded");
    const { value: key } = decoded;
    const at = { hostname: "127.0.0.1", port, key, keyText: useKey, clock: testClock };
    const statusOverPort = async (path: string) => {
      const response = await askRemote(at, path);
      await response.text();
      return response.status;
    };
    assert.equal(await statusOverPort("/api/tags"), 200);
    assert.equal(await statusOverPort("/api/cluster/keys"), 403);
    assert.equal(await statusOverPort("/api/cluster/snapshot"), 403);

    // Who did what, by whom and from where.
    const name = String((await (await node.get("/api/cluster/status")).json()).name);
    await (await node.get("/api/cluster/settings/a.b", {
      method: "PUT",
      body: JSON.stringify({ value: "1" }),
      headers: { ...NEIGHBOUR, ...bearer(firstKey) },
    })).body?.cancel();
    await (await node.get("/api/delete", {
      method: "DELETE",
      body: JSON.stringify({ model: "tiny" }),
    })).body?.cancel();
    const { changes } = await (await node.get("/api/cluster/audit")).json();
    const shown = changes.map(({ who, from, action, subject }: Record<string, string>) =>
      `${who?.replace(/[0-9a-f]{10}/, "ID")} | ${from} | ${action} | ${
        subject?.replace(/[0-9a-f]{10}/, "ID")
      }`
    );
    assert.deepEqual(shown.slice(-4), [
      `member ${name} |  | create_scoped_key | ID first start`,
      "this machine | 127.0.0.1 | create_scoped_key | ID laptop",
      "key ID first start | 192.168.7.7 through 127.0.0.1 | put_setting | a.b",
      "this machine | 127.0.0.1 | delete_model | registry.ollama.ai/library/tiny:latest",
    ]);

    // With the last key gone it stays closed, and a restart makes no other.
    for (const { key_id: id } of (await (await node.get("/api/cluster/keys")).json()).keys) {
      assert.equal(await statusOf(node, `DELETE /api/cluster/keys/${id}`, {}), 200);
    }
    assert.equal(await statusOf(node, "GET /api/tags", NEIGHBOUR), 401);
    assert.equal(await statusOf(node, "GET /api/tags", bearer(useKey)), 200, "this machine's own");
    await node.stop();
    await using again = await startNode(options);
    assert.equal(await statusOf(again, "GET /api/tags", NEIGHBOUR), 401);
    await again.stop();
    assert.doesNotMatch(again.printed(), /ODIST_KEY=/);
  } finally {
    await Deno.remove(dataFolder, { recursive: true });
  }
});
