// Contract section 8, pulling and pushing between a running node and a local registry.
import assert from "node:assert/strict";
import { join } from "node:path";
import { editMetadata } from "../harness/gguf.ts";
import { nodeForFile, nodeTest } from "../harness/node.ts";
import { TestRegistry } from "../harness/registry.ts";
import { digestOf, readTinyGguf } from "../harness/test_models.ts";

const node = nodeForFile();

/** Weights that no other test has pulled: the same model under another inner name. */
async function ownWeights(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return editMetadata(await readTinyGguf(), { "general.name": name });
}

function pull(model: string): Promise<Record<string, unknown>[]> {
  return node().askLines("/api/pull", { model, insecure: true });
}

function statuses(lines: readonly Record<string, unknown>[]): unknown[] {
  return lines.map((line) => line["status"]).filter((status, at, all) => status !== all[at - 1]);
}

async function blobStatus(digest: string): Promise<number> {
  return (await node().get(`/api/blobs/${digest}`, { method: "HEAD" })).status;
}

nodeTest("contract #110 and #111 a pull, and the same again", async () => {
  await using registry = new TestRegistry();
  const weights = await ownWeights("pulled");
  const name = registry.addModel("pulled", { weights, system: "You are pulled." });
  const digest = digestOf(weights);
  const lines = await pull(name);
  const seen = statuses(lines);
  assert.equal(seen[0], "pulling manifest");
  assert.equal(seen[1], `pulling ${digest.slice(7, 19)}`);
  assert.deepEqual(seen.slice(-3), ["verifying sha256 digest", "writing manifest", "success"]);
  const progress = lines.filter((line) => line["digest"] === digest);
  assert.equal(progress.at(-1)?.["completed"], weights.length);
  assert.equal(progress.at(-1)?.["total"], weights.length);
  const answer = await node().ask("/api/generate", {
    model: name,
    prompt: "Hello!",
    options: { num_predict: 2 },
    stream: false,
  });
  assert.equal(answer["done"], true);
  const stored = await Deno.readFile(
    join(
      node().homeFolder,
      ".odist/models/manifests",
      registry.host,
      "library/pulled/latest",
    ),
  );
  assert.deepEqual(stored, registry.manifests.get("library/pulled/latest"));

  const asked = registry.rangesOf(digest).length;
  const again = await pull(name);
  const line = again.filter((entry) => entry["digest"] === digest);
  assert.equal(line.length, 1);
  assert.equal(line[0]?.["completed"], weights.length);
  assert.equal(again.at(-1)?.["status"], "success");
  assert.equal(registry.rangesOf(digest).length, asked);
});

nodeTest("contract #112 a model the registry does not have", async () => {
  await using registry = new TestRegistry();
  const model = `${registry.host}/library/nope`;
  const lines = await pull(model);
  const error = "pull model manifest: file does not exist";
  assert.deepEqual(lines.at(-1), { error });
  const whole = await node().post("/api/pull", { model, insecure: true, stream: false });
  assert.equal(whole.status, 500);
  assert.deepEqual(await whole.json(), { error });
});

nodeTest("a registry is asked on any port, those that browsers refuse included", async () => {
  for (const port of [1, 9, 6000, 10_080]) {
    const [line] = (await pull(`127.0.0.1:${port}/library/nope`)).slice(-1);
    const error = String(line?.["error"]);
    assert.match(error, new RegExp(`cannot reach 127\\.0\\.0\\.1:${port}`));
    assert.doesNotMatch(error, /blocked/);
  }
});

nodeTest("contract #113 an interrupted pull goes on where it stopped", async () => {
  await using registry = new TestRegistry();
  const weights = await ownWeights("cut");
  const digest = digestOf(weights);
  const model = registry.addModel("cut", { weights });
  registry.holdAfter(2_000_000);
  const gone = new AbortController();
  const first = await node().post("/api/pull", { model, insecure: true }, { signal: gone.signal });
  await readUntil(first, (line) => Number(line["completed"]) >= 1_000_000);
  gone.abort();
  registry.release();
  const lines = await pull(model);
  assert.equal(lines.at(-1)?.["status"], "success");
  const start = Number(/bytes=(\d+)-/.exec(registry.rangesOf(digest).at(-1) ?? "")?.[1]);
  assert.ok(start >= 1_000_000, `${start}`);
  assert.equal(await blobStatus(digest), 200);
});

nodeTest("contract #114 a blob with wrong bytes leaves nothing behind", async () => {
  await using registry = new TestRegistry();
  const weights = await ownWeights("corrupt");
  const digest = digestOf(weights);
  const model = registry.addModel("corrupt", { weights });
  const damaged = weights.slice();
  damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
  registry.blobs.set(digest, damaged);
  const lines = await pull(model);
  assert.match(
    String(lines.at(-1)?.["error"]),
    /^digest mismatch, file must be downloaded again: want sha256:/,
  );
  assert.equal(await blobStatus(digest), 404);
  assert.equal((await node().post("/api/show", { model })).status, 404);
  const whole = await node().post("/api/pull", { model, insecure: true, stream: false });
  assert.equal(whole.status, 500);
  assert.match((await whole.json()).error, /^digest mismatch, file must be downloaded again/);
});

nodeTest("contract #115 two clients share one transfer", async () => {
  await using registry = new TestRegistry();
  const weights = await ownWeights("shared");
  const model = registry.addModel("shared", { weights });
  const both = await Promise.all([pull(model), pull(model)]);
  for (const lines of both) assert.equal(lines.at(-1)?.["status"], "success");
  assert.equal(registry.rangesOf(digestOf(weights)).length, 1);
});

nodeTest("contract #116 a push sends only what is missing, the manifest last", async () => {
  await using registry = new TestRegistry();
  const weights = await ownWeights("pushed");
  const digest = digestOf(weights);
  const origin = registry.addModel("pushed", { weights });
  await pull(origin);
  registry.seen.length = 0;
  const model = `${registry.host}/library/derived`;
  await node().ask("/api/create", { model, from: origin, system: "You are new.", stream: false });
  const lines = await node().askLines("/api/push", { model, insecure: true });
  assert.equal(lines.at(-1)?.["status"], "success");
  const ofWeights = registry.seen.filter(({ path }) => path.endsWith(digest));
  assert.deepEqual(ofWeights.map(({ method }) => method), ["HEAD"]);
  assert.deepEqual(
    [registry.seen.at(-1)?.method, registry.seen.at(-1)?.path],
    ["PUT", "/v2/library/derived/manifests/latest"],
  );
  await node().post("/api/delete", { model }, { method: "DELETE" });
  assert.equal((await pull(model)).at(-1)?.["status"], "success");
  assert.equal((await node().ask("/api/show", { model }))["system"], "You are new.");
});

/** Reads lines until one is as wanted; throws when the stream ends first. */
async function readUntil(
  response: Response,
  wanted: (line: Record<string, unknown>) => boolean,
): Promise<void> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader?.read() ?? { value: undefined, done: true };
    if (done) throw new Error(`The stream ended first: ${text}`);
    text += value;
    const lines = text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
    if (lines.some(wanted)) return;
  }
}
