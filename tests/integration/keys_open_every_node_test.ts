import assert from "node:assert/strict";
import { decodeApiKey } from "../../src/protocol/mod.ts";
import { askRemote } from "../../src/transport/mod.ts";
import { WebClient } from "../harness/clients.ts";
import { clusterTest } from "../harness/cluster.ts";
import { testClock } from "../harness/quic_world.ts";

clusterTest(
  "A key that is made on one node opens the others, for programs and for browsers, until it is revoked",
  { nodes: 2 },
  async (cluster) => {
    const made = await cluster.client("n1").ask("POST", "/api/cluster/keys", { label: "test" });
    const keyText = String(made.key);
    const key = decodeApiKey(keyText);
    assert.ok(key.kind === "decoded");
    const port = cluster.client("n2").listenPort;
    const at = { hostname: "127.0.0.1", port, key: key.value, keyText, clock: testClock };
    const asked = await askRemote(at, "/api/generate", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "tiny", prompt: "Why is the sky blue?", stream: false }),
    });
    assert.equal(asked.status, 200);
    assert.match((await asked.json()).response, /^The sky is blue/);

    const contact = await cluster.client("n2").ask("GET", "/api/cluster/webtransport");
    assert.equal(contact.port, port);
    const hash = Uint8Array.fromHex(String(contact.certificate_hash));
    const web = await WebClient.connect(hash, `https://127.0.0.1:${port}${contact.path}`);
    assert.deepEqual((await web.greet(keyText)).kind, "welcome");
    const { stream } = await web.begin("/api/cluster/feed");
    const nextTerm = async () => {
      const piece = await stream.readPiece();
      assert.ok(piece.kind === "bytes");
      return JSON.parse(new TextDecoder().decode(piece.bytes)).leader as string | undefined;
    };
    const leaderBefore = await nextTerm();
    await cluster.kill("n1");
    // The only voter is gone; whoever watches learns of it.
    while (await nextTerm() === leaderBefore);
    await cluster.restart("n1");
    await cluster.healthy(2);

    await cluster.client("n1").ask("DELETE", `/api/cluster/keys/${made.key_id}`);
    await cluster.until("n2 has heard that the key is revoked", async () => {
      const answer = await web.ask("/api/version");
      return answer.status === 401;
    });
    await assert.rejects(askRemote(at, "/api/version"), /was revoked/);
    web.close();
  },
);
