import assert from "node:assert/strict";
import { decodeApiKey } from "../../src/protocol/mod.ts";
import { askRemote } from "../../src/transport/mod.ts";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";
import { testClock } from "../harness/quic_world.ts";

const CAPTURE_BYTES_MAX = 64 * 1024 * 1024;
const PROMPT = "The unmistakable words of a private question";

/** A client with a key, on the same wire; the key. */
async function askFromAfar(cluster: TestCluster): Promise<string> {
  const made = await cluster.client("n1").ask("POST", "/api/cluster/keys");
  const keyText = String(made.key);
  const key = decodeApiKey(keyText);
  assert(key.kind === "decoded");
  const [hostname = "", port] = cluster.client("n1").publicAddress.split(":");
  const node = { hostname, port: Number(port), key: key.value, keyText, clock: testClock };
  const answer = await askRemote(node, "/api/generate", {
    method: "POST",
    body: JSON.stringify({ model: "poet", prompt: PROMPT, stream: false }),
  });
  assert.equal(answer.status, 200, await answer.text());
  return keyText;
}

clusterTest(
  "neither prompts nor answers nor tokens nor settings can be read on the wire",
  { nodes: 2, captureBytesMax: CAPTURE_BYTES_MAX },
  async (cluster) => {
    const token = await cluster.createToken(1);
    await cluster.join({ token });
    await cluster.healthy(3);
    await cluster.client("n2").ask("POST", "/api/create", {
      model: "poet",
      from: "tiny",
      system: "Instructions that nobody may read on the way",
      stream: false,
    });
    await cluster.client("n1").ask("PUT", "/api/cluster/settings/test.secret", {
      value: "a setting that stays inside",
    });
    const answers = [];
    for (const name of cluster.names) {
      const { response } = await cluster.client(name).ask("POST", "/api/generate", {
        model: "poet",
        prompt: PROMPT,
        stream: false,
        options: { temperature: 0, num_predict: 32 },
      });
      answers.push(String(response));
    }
    const keyText = await askFromAfar(cluster);
    const datagrams = cluster.network.captured();
    assert(datagrams.length > 100, `${datagrams.length} datagrams`);
    const wire = new TextDecoder("latin1").decode(joined(datagrams.map(({ bytes }) => bytes)));
    const secrets = [
      token,
      keyText,
      PROMPT,
      "nobody may read",
      "stays inside",
      "test.secret",
      ...answers,
    ];
    for (const secret of secrets) {
      assert(secret.length >= 8, `"${secret}" is too short to tell anything`);
      for (const part of [secret.slice(0, 12), secret.slice(-12)]) {
        assert(!wire.includes(part), `"${part}" is on the wire`);
      }
    }
  },
);

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
