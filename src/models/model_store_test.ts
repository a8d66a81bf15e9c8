import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { llamaFile } from "../../tests/harness/gguf_file.ts";
import { HandClock } from "../../tests/harness/hand_clock.ts";
import { digestOf, MemoryBlobStore, MemoryCatalog } from "../../tests/harness/memory_models.ts";
import { modelStoreParts, storeModel } from "../../tests/harness/stored_models.ts";
import { StorageError } from "../base/mod.ts";
import type { LogLevel } from "../ports/mod.ts";
import { type Asker, createModelStore, ensureEmbeddedModel } from "./mod.ts";

const SILENT = { log: () => {} };
const TINY_PATH = fileURLToPath(new URL("embedded/tiny.gguf", import.meta.url));

function createParts() {
  let nowMs = 0;
  const blobs = new MemoryBlobStore();
  const catalog = new MemoryCatalog(() => ++nowMs);
  return { blobs, catalog, store: createModelStore(modelStoreParts({ blobs, catalog })) };
}

Deno.test("ensureEmbeddedModel() makes tiny usable and leaves a user's own tiny", async () => {
  const { blobs, catalog, store } = createParts();
  await ensureEmbeddedModel({ blobs, catalog, ggufPath: TINY_PATH, log: SILENT });
  const definition = await store.getDefinition("tiny", "chat");
  assert.equal(definition.facts.parameterCount, 4_197_632);
  assert.deepEqual(definition.capabilities, ["completion", "tools"]);
  assert.deepEqual(definition.parameters.stop, ["<|im_end|>", "<|im_start|>"]);
  assert.match(definition.template.jinjaTemplate ?? "", /im_start/);
  assert.equal(definition.modelPath, blobs.path(digestOf(await Deno.readFile(TINY_PATH))));

  await storeModel({ blobs, catalog }, { name: "tiny", layers: [["model", llamaFile()]] });
  await ensureEmbeddedModel({ blobs, catalog, ggufPath: TINY_PATH, log: SILENT });
  assert.equal((await store.getDefinition("tiny", "chat")).facts.contextLength, 2048);
});

Deno.test("ensureEmbeddedModel() only tells of a store that takes nothing", async () => {
  const { blobs, catalog } = createParts();
  blobs.write = async (_digest, bytes) => {
    await bytes.cancel();
    throw new StorageError("storage_failed", "Cannot write a blob: Permission denied");
  };
  const events: string[] = [];
  const log = { log: (_level: LogLevel, event: string) => void events.push(event) };
  await ensureEmbeddedModel({ blobs, catalog, ggufPath: TINY_PATH, log });
  assert.deepEqual(events, ["embedded_model_not_stored"]);
  assert.deepEqual(await catalog.list(), []);
});

Deno.test("ModelStore.getDefinition() gathers what the layers say", async () => {
  const { blobs, catalog, store } = createParts();
  const adapter = llamaFile({ "general.type": "adapter" });
  const projector = llamaFile({
    "general.architecture": "clip",
    "clip.has_vision_encoder": true,
  });
  await storeModel({ blobs, catalog }, {
    name: "full",
    layers: [
      ["model", llamaFile()],
      ["adapter", adapter],
      ["projector", projector],
      ["template", "{{ .Prompt }}{{ .Suffix }}"],
      ["system", "Be kind."],
      ["params", { num_ctx: 77.5, stop: ["x"], temperature: "hot", mirostat: 1, top_p: 0.5 }],
      ["messages", [{ role: "user", content: "hi" }, { role: 7 }]],
    ],
  });
  const definition = await store.getDefinition(" FULL ", "chat");
  assert.deepEqual(definition.adapterPaths, [blobs.path(digestOf(adapter))]);
  assert.equal(definition.projectorPath, blobs.path(digestOf(projector)));
  assert.deepEqual(definition.capabilities, ["completion", "vision", "insert"]);
  assert.equal(definition.system, "Be kind.");
  assert.deepEqual(definition.parameters, { numCtx: 77, stop: ["x"], topP: 0.5 });
  assert.deepEqual(definition.messages, [{ role: "user", content: "hi" }]);
  assert.equal(definition.details.family, "llama");
});

Deno.test("ModelStore refuses names in the words of the endpoint", async () => {
  const { store } = createParts();
  const cases: [string, Asker, number, string][] = [
    ["", "generate", 404, "model '' not found"],
    ["", "chat", 400, "model is required"],
    ["a b", "chat", 400, "invalid model name"],
    ["a b", "delete", 400, 'name "a b" is invalid'],
    ["nope", "generate", 404, "model 'nope' not found"],
    ["nope", "chat", 404, "model 'nope' not found"],
    ["nope", "embed", 404, 'model "nope" not found, try pulling it first'],
    ["nope", "show", 404, "model 'nope:latest' not found"],
    ["m:cloud", "chat", 403, "ollama cloud is disabled: remote model is unavailable"],
    ["m:q-cloud", "chat", 403, "ollama cloud is disabled: remote model is unavailable"],
    ["m:x:local", "chat", 404, "model 'm:x:local' not found"],
    [
      "m:cloud:local",
      "chat",
      400,
      'use either :local or :cloud, not both: "m:cloud:local"',
    ],
  ];
  for (const [model, asker, status, message] of cases) {
    await assert.rejects(store.getDefinition(model, asker), { status, message });
  }
});

Deno.test("ModelStore.getDefinition() names what is missing or damaged", async () => {
  const { blobs, catalog, store } = createParts();
  const parts = { blobs, catalog };
  const cut = llamaFile().slice(0, -8);
  await storeModel(parts, { name: "cut", layers: [["model", cut]] });
  await assert.rejects(store.getDefinition("cut", "chat"), {
    code: "load_failed",
    message: /Cannot load model "cut:latest": invalid GGUF file: the file is cut off/,
  });
  await storeModel(parts, { name: "gone", layers: [["model", llamaFile()]] });
  await blobs.delete(digestOf(llamaFile()));
  await assert.rejects(store.getDefinition("gone", "chat"), {
    code: "load_failed",
    message: /blob sha256:[0-9a-f]{64} is missing/,
  });
  await storeModel(parts, {
    name: "remote",
    config: { remote_host: "h", remote_model: "m" },
    layers: [],
  });
  await assert.rejects(store.getDefinition("remote", "chat"), {
    status: 400,
    message: "this server cannot run this remote model",
  });
  await assert.rejects(store.getDefinition("remote:latest:local", "chat"), { status: 404 });
});

Deno.test("ModelStore.list() describes models newest first, damaged ones too", async () => {
  const { blobs, catalog, store } = createParts();
  const parts = { blobs, catalog };
  const pooled = llamaFile({ "llama.pooling_type": 1 });
  await storeModel(parts, { name: "ns/embedder:q", layers: [["model", pooled]] });
  await storeModel(parts, { name: "broken", layers: [["model", new Uint8Array(40)]] });
  await storeModel(parts, {
    name: "chatty",
    layers: [["model", llamaFile()], ["system", "Be kind."]],
  });
  const rows = await store.list();
  assert.deepEqual(rows.map((row) => row.name), [
    "chatty:latest",
    "broken:latest",
    "ns/embedder:q",
  ]);
  assert.deepEqual(rows.map((row) => row.capabilities), [["completion"], [], ["embedding"]]);
  assert.equal(rows[0]?.details.contextLength, 2048);
  assert.equal(rows[2]?.namespace, "ns");
  const config = '{"model_format":"gguf","model_family":"llama","model_families":["llama"]}';
  assert.equal(rows[0]?.size, llamaFile().length + "Be kind.".length + config.length);
});

Deno.test("ModelStore.copy() keeps the manifest's bytes and refuses in the contract's words", async () => {
  const { blobs, catalog, store } = createParts();
  await storeModel({ blobs, catalog }, { name: "m", layers: [["model", llamaFile()]] });
  await store.copy({ source: "M", destination: "ns/twin:t" });
  await store.copy({ source: "m", destination: "m:latest" });
  const rows = await store.list();
  assert.deepEqual(rows.map((row) => row.name).sort(), ["m:latest", "ns/twin:t"]);
  assert.equal(rows[0]?.digest, rows[1]?.digest);
  const cases: [string, string, number, string][] = [
    ["a b", "c", 400, 'source "a b" is invalid'],
    ["m", "a b", 400, 'destination "a b" is invalid'],
    ["nope", "c", 404, 'model "nope" not found'],
  ];
  for (const [source, destination, status, message] of cases) {
    await assert.rejects(store.copy({ source, destination }), { status, message });
  }
});

Deno.test("ModelStore.delete() keeps blobs that other models share", async () => {
  const { blobs, catalog, store } = createParts();
  const parts = { blobs, catalog };
  await storeModel(parts, { name: "a", layers: [["model", llamaFile()], ["system", "of a"]] });
  await storeModel(parts, { name: "b", layers: [["model", llamaFile()]] });
  await store.delete({ model: "A" });
  assert.equal(await blobs.find(digestOf(new TextEncoder().encode("of a"))), undefined);
  assert.ok(await store.getDefinition("b", "chat"));
  await assert.rejects(store.delete({ model: "a" }), {
    status: 404,
    message: "model 'a' not found",
  });
  await store.delete({ model: "b" });
  assert.deepEqual(await blobs.list(), []);
});

Deno.test("ModelStore.getDefinition() asks the disk once for requests that follow each other soon", async () => {
  const clock = new HandClock();
  const { blobs, catalog } = createParts();
  const store = createModelStore({ ...modelStoreParts({ blobs, catalog }), clock });
  await storeModel({ blobs, catalog }, { name: "m", layers: [["model", llamaFile()]] });
  const first = await store.getDefinition("m", "chat");
  const find = blobs.find.bind(blobs);
  let looks = 0;
  blobs.find = (digest) => (looks++, find(digest));
  assert.equal(await store.getDefinition("m", "chat"), first);
  assert.equal(looks, 0);

  // Somebody else has removed it meanwhile.
  blobs.find = () => Promise.resolve(undefined);
  await clock.advance(1_000);
  await assert.rejects(store.getDefinition("m", "chat"), /blob .* is missing/);
});
