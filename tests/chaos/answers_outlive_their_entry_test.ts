/**
 * Answers whose client comes back for them: the node that it asked is killed, stands still or is cut off.
 *
 * @module
 */
import assert from "node:assert/strict";
// The recipe as people copy it.
import { resumingFetch } from "../../docs/examples/resuming_fetch.js";
import { runProgram } from "../../src/cli/program.ts";
import { cliContext } from "../harness/cli.ts";
import { clusterTest, type TestCluster } from "../harness/cluster.ts";
import { ScriptedTerminal } from "../harness/scripted_terminal.ts";

const BODY = { model: "tiny", prompt: "Tell me a story about a fox.", options: { temperature: 0 } };

/** What of the lines is the same each time. */
function textOf(ndjson: string): string {
  const lines = ndjson.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(lines.at(-1).done, true, ndjson.slice(-300));
  return lines.map(({ response }) => response).join("");
}

async function whole(cluster: TestCluster, name: string): Promise<string> {
  const init = { method: "POST", body: JSON.stringify(BODY) };
  return textOf(await (await cluster.client(name).fetch("/api/generate", init)).text());
}

clusterTest(
  "An answer is read on at another node after the one that was asked is killed, each byte once",
  { nodes: 3 },
  async (cluster) => {
    const undisturbed = await whole(cluster, "n2");
    const response = await cluster.client("n2").fetch("/api/generate", {
      method: "POST",
      body: JSON.stringify(BODY),
      headers: { "idempotency-key": "my-answer" },
    });
    assert.equal(response.headers.get("x-odist-answer"), "my-answer");
    assert.equal(response.headers.get("x-odist-resume"), "copies=2");
    const reader = response.body?.getReader();
    const read: Uint8Array[] = [];
    for (let count = 0; count < 3; count++) {
      read.push((await reader?.read())?.value ?? new Uint8Array());
    }
    await cluster.kill("n2");
    // What had arrived before is part of it.
    for (;;) {
      const next = await reader?.read().catch(() => undefined);
      if (next?.value === undefined) break;
      read.push(next.value);
    }
    const offset = read.reduce((sum, { length }) => sum + length, 0);
    const begun = performance.now();
    const rest = await cluster.client("n1").fetch(`/api/answers/my-answer?offset=${offset}`);
    const text = await rest.text();
    console.log(`gap and rest ${Math.round(performance.now() - begun)} ms, offset ${offset}`);
    assert.equal(rest.status, 200, text);
    const before = await new Blob(read as Uint8Array<ArrayBuffer>[]).text();
    assert.equal(textOf(before + text), undisturbed);
    const again = await cluster.client("n3").fetch("/api/answers/my-answer?offset=0");
    assert.equal(await again.text(), before + text);
  },
);

clusterTest(
  "odist run shows an answer to its end after its node is killed, where a key opens the others",
  { nodes: 3 },
  async (cluster) => {
    const made = await cluster.client("n1").ask("POST", "/api/cluster/keys", {
      scopes: ["use"],
    });
    const prompt = "Tell me a story about a fox.";
    const undisturbed = await cluster.client("n1").ask("POST", "/api/generate", {
      ...{ model: "tiny", prompt, stream: false },
    });
    const terminal = new ScriptedTerminal({ piped: "" });
    const env = { ODIST_HOST: cluster.client("n2").origin, ODIST_KEY: String(made["key"]) };
    const run = runProgram(["run", "tiny", prompt], cliContext({ terminal, env }));
    await cluster.until("something is shown", () => Promise.resolve(terminal.outText.length > 0));
    await cluster.kill("n2");
    assert.ok(terminal.outText.length < String(undisturbed["response"]).length, "in the middle");
    assert.equal(await run, 0, terminal.errText);
    assert.equal(terminal.outText.trim(), String(undisturbed["response"]).trim());
  },
);

clusterTest(
  "Fifty clients with the documented recipe read all of their answers when the node that they asked is killed",
  { nodes: 3 },
  async (cluster) => {
    const undisturbed = await whole(cluster, "n2");
    const origins = cluster.names.map((name) => cluster.client(name).origin);
    const begun = Promise.withResolvers<void>();
    let reading = 0;
    const read = async () => {
      const id = crypto.randomUUID();
      const parts: Uint8Array[] = [];
      for await (
        const part of resumingFetch(origins, "/api/generate", BODY, { id, silenceMs: 5_000 })
      ) {
        // Some are in the middle then, and most wait for a slot.
        if (parts.push(part) === 3 && ++reading === 5) begun.resolve();
      }
      return { id, text: await new Blob(parts as Uint8Array<ArrayBuffer>[]).text() };
    };
    const reads = Array.from({ length: 50 }, read);
    await begun.promise;
    await cluster.kill("n1");
    const got = await Promise.all(reads);
    for (const { id, text } of got) {
      assert.equal(textOf(text), undisturbed);
      const again = await cluster.client("n3").fetch(`/api/answers/${id}`);
      // What ended before was never anywhere but on two nodes, of which one is left.
      assert.equal(await again.text(), text);
    }
  },
);
