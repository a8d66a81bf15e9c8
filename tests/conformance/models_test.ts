// Contract section 8, stored models against a running node.
import assert from "node:assert/strict";
import { editMetadata } from "../harness/gguf.ts";
import { nodeForFile, nodeTest } from "../harness/node.ts";
import { digestOf, readTinyGguf, uploadBlob } from "../harness/test_models.ts";

const node = nodeForFile();

interface TagRow {
  readonly name: string;
  readonly digest: string;
  readonly modified_at: string;
  readonly details: Record<string, unknown>;
}

async function tags(): Promise<TagRow[]> {
  return (await (await node().get("/api/tags")).json()).models;
}

async function findTag(name: string): Promise<TagRow | undefined> {
  return (await tags()).find((model) => model.name === name);
}

/** Sends a body of bytes and returns the status and the error text. */
async function postBlob(
  digest: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<{ status: number; text: string }> {
  const response = await node().get(`/api/blobs/${digest}`, { method: "POST", body: bytes });
  return { status: response.status, text: await response.text() };
}

async function refusal(body: unknown): Promise<{ status: number; error: string }> {
  const response = await node().post("/api/create", body);
  const text = await response.text();
  const last = text.trim().split("\n").at(-1) ?? "";
  return { status: response.status, error: JSON.parse(last).error };
}

nodeTest("contract #87 tags list the embedded model with digest and details", async () => {
  const tiny = await findTag("tiny:latest");
  assert.match(tiny?.digest ?? "", /^[0-9a-f]{64}$/);
  for (
    const key of ["parent_model", "format", "family", "families", "parameter_size"]
  ) assert.ok(key in (tiny?.details ?? {}), key);
  assert.equal(tiny?.details["quantization_level"], "Q8_0");
});

nodeTest("contract #87 tags are sorted by time, newest first", async () => {
  await node().post("/api/copy", { source: "tiny", destination: "newer" });
  const times = (await tags()).map((model) => Date.parse(model.modified_at));
  assert.deepEqual(times, times.toSorted((one, other) => other - one));
});

nodeTest("contract #91 and #93 show, under either field name", async () => {
  const shown = await node().ask("/api/show", { model: "tiny" });
  assert.equal(Object(shown["model_info"])["general.architecture"], "llama");
  assert.ok((shown["capabilities"] as string[]).includes("completion"));
  assert.ok((shown["capabilities"] as string[]).includes("tools"));
  assert.match(String(shown["modelfile"]), /^FROM /m);
  assert.equal(Object(shown["details"]).format, "gguf");
  const named = await node().ask("/api/show", { name: "tiny" });
  assert.deepEqual(named["model_info"], shown["model_info"]);
});

nodeTest("contract #92 show fills arrays only when verbose", async () => {
  const key = "tokenizer.ggml.tokens";
  const plain = Object((await node().ask("/api/show", { model: "tiny" }))["model_info"]);
  assert.ok(plain[key] === null || plain[key].length === 0);
  const verbose = await node().ask("/api/show", { model: "tiny", verbose: true });
  assert.equal(Object(verbose["model_info"])[key].length, 2560);
});

nodeTest("contract #94 and #97 copy and delete leave the other name working", async () => {
  const copied = await node().post("/api/copy", { source: "tiny", destination: "twin" });
  assert.equal(copied.status, 200);
  assert.equal(await copied.text(), "");
  assert.equal((await findTag("twin:latest"))?.digest, (await findTag("tiny:latest"))?.digest);
  const deleted = await node().post("/api/delete", { model: "twin" }, { method: "DELETE" });
  assert.equal(deleted.status, 200);
  assert.equal(await deleted.text(), "");
  assert.equal(await findTag("twin:latest"), undefined);
  const answer = await node().ask("/api/generate", {
    model: "tiny",
    prompt: "Hello!",
    options: { num_predict: 1 },
    stream: false,
  });
  assert.equal(answer["done"], true);
});

nodeTest("contract #99 to #101 blobs by digest", async () => {
  const bytes = new TextEncoder().encode("some bytes");
  const digest = digestOf(bytes);
  const head = async (name: string) =>
    (await node().get(`/api/blobs/${name}`, { method: "HEAD" })).status;
  assert.equal(await head(digest), 404);
  assert.equal((await postBlob(digest, bytes)).status, 201);
  assert.equal((await postBlob(digest, bytes)).status, 200);
  assert.equal(await head(digest), 200);
  assert.equal(await head("sha256:nonsense"), 400);
  const wrong = `sha256:${"0".repeat(64)}`;
  const mismatch = await postBlob(wrong, bytes);
  assert.equal(mismatch.status, 400);
  assert.equal(
    JSON.parse(mismatch.text).error,
    `digest mismatch, expected "${wrong}", got "${digest}"`,
  );
});

nodeTest("contract #102 create from a model with a system text", async () => {
  const lines = await node().askLines("/api/create", {
    model: "pirate",
    from: "tiny",
    system: "You are a pirate.",
  });
  assert.deepEqual(lines.slice(-2).map((line) => line["status"]), ["writing manifest", "success"]);
  const shown = await node().ask("/api/show", { model: "pirate" });
  assert.equal(shown["system"], "You are a pirate.");
});

nodeTest("contract #106 create from a GGUF blob with parameters and a template", async () => {
  const digest = await uploadBlob(node(), await readTinyGguf());
  await node().ask("/api/create", {
    model: "own",
    files: { "model.gguf": digest },
    template: "Q: {{ .Prompt }}",
    parameters: { temperature: 0.5, stop: ["END"] },
    stream: false,
  });
  const shown = await node().ask("/api/show", { model: "own" });
  // Stored is the request's; used, and so shown, is the one in the weights, which knows tools.
  assert.match(String(shown["modelfile"]), /^TEMPLATE "?"?"?Q: \{\{ \.Prompt \}\}/m);
  assert.match(String(shown["template"]), /^\{%- if tools -%\}/);
  assert.match(String(shown["parameters"]), /^temperature\s+0\.5$/m);
  assert.match(String(shown["parameters"]), /^stop\s+"END"$/m);
  const answer = await node().ask("/api/generate", {
    model: "own",
    prompt: "Hello!",
    options: { num_predict: 2 },
    stream: false,
  });
  assert.equal(answer["done"], true);
});

nodeTest("contract #107 a broken template gets 400 and creates nothing", async () => {
  const refused = await refusal({ model: "broken", from: "tiny", template: "{{ .Prompt" });
  assert.equal(refused.status, 400);
  assert.equal(await findTag("broken:latest"), undefined);
});

nodeTest("contract #108 an unknown quantization names the supported ones", async () => {
  const { error } = await refusal({ model: "q", from: "tiny", quantize: "q2_k" });
  assert.match(error, /unsupported quantization type .* supported types are F32/);
});

nodeTest("contract #109 stream:false answers success alone", async () => {
  const answer = await node().ask("/api/create", { model: "again", from: "tiny", stream: false });
  assert.deepEqual(answer, { status: "success" });
});

nodeTest("a truncated GGUF is refused by name and creates nothing", async () => {
  const whole = await readTinyGguf();
  const digest = await uploadBlob(node(), whole.slice(0, 100_000));
  const refused = await refusal({ model: "cut", files: { "model.gguf": digest }, stream: false });
  assert.ok(refused.status >= 400);
  assert.equal(typeof refused.error, "string");
  assert.equal(await findTag("cut:latest"), undefined);
});

nodeTest("a file that is no GGUF is refused", async () => {
  const digest = await uploadBlob(node(), new TextEncoder().encode("not a model"));
  const refused = await refusal({ model: "text", files: { "a.gguf": digest }, stream: false });
  assert.equal(refused.status, 400);
  assert.match(refused.error, /GGUF/);
});

nodeTest("a GGUF that lies about its weights kills at most a runner", async () => {
  const lying = editMetadata(await readTinyGguf(), { "llama.embedding_length": 512 });
  const digest = await uploadBlob(node(), lying);
  const created = await node().post("/api/create", {
    model: "liar",
    files: { "model.gguf": digest },
    stream: false,
  });
  await created.body?.cancel();
  if (created.ok) {
    const response = await node().post("/api/generate", { model: "liar", prompt: "x" });
    assert.ok(response.status >= 500, `${response.status}`);
    assert.equal(typeof (await response.json()).error, "string");
  }
  const after = await node().ask("/api/generate", {
    model: "tiny",
    prompt: "Hello!",
    options: { num_predict: 1 },
    stream: false,
  });
  assert.equal(after["done"], true);
});

nodeTest("create from a blob that is not there gets an error and creates nothing", async () => {
  const refused = await refusal({
    model: "absent",
    files: { "model.gguf": `sha256:${"1".repeat(64)}` },
    stream: false,
  });
  assert.ok(refused.status >= 400);
  assert.equal(await findTag("absent:latest"), undefined);
});
