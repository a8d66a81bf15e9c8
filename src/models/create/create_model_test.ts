import assert from "node:assert/strict";
import { UnavailableError } from "../../base/mod.ts";
import type { CreateRequest, Quantizer } from "../../ports/mod.ts";
import { ggufFile, LLAMA_METADATA, llamaFile } from "../../../tests/harness/gguf_file.ts";
import { digestOf, MemoryBlobStore, MemoryCatalog } from "../../../tests/harness/memory_models.ts";
import { nameOf } from "../../../tests/harness/model_storage_contract.ts";
import { modelStoreParts } from "../../../tests/harness/stored_models.ts";
import { createModelStore } from "../mod.ts";

const SIGNAL = new AbortController().signal;

function createParts(options: { blobs?: MemoryBlobStore; quantizer?: Quantizer } = {}) {
  const { blobs = new MemoryBlobStore(), quantizer } = options;
  const catalog = new MemoryCatalog();
  const store = createModelStore({
    ...modelStoreParts({ blobs, catalog }),
    ...(quantizer && { quantizer }),
  });
  /** Statuses of the request's progress lines. */
  const create = async (request: Partial<CreateRequest> & { readonly model: string }) => {
    const statuses: string[] = [];
    for await (const line of store.create({ license: [], ...request }, SIGNAL)) {
      statuses.push(line.status);
    }
    return statuses;
  };
  const upload = async (bytes: Uint8Array) => (await blobs.put(bytes)).digest;
  return { blobs, catalog, store, create, upload };
}

Deno.test("createModel() makes a model from an uploaded GGUF", async () => {
  const { store, create, upload } = createParts();
  const digest = await upload(llamaFile());
  const statuses = await create({
    model: "mine",
    files: { "weights.gguf": digest },
    system: "Be kind.",
    parameters: { stop: "END", num_ctx: 512 },
  });
  assert.deepEqual(statuses.slice(0, 2), ["parsing GGUF", `using existing layer ${digest}`]);
  assert.ok(
    statuses.slice(2, 5).every((status) => status.startsWith("creating new layer sha256:")),
  );
  assert.deepEqual(statuses.slice(5), ["writing manifest", "success"]);
  const definition = await store.getDefinition("mine", "chat");
  assert.equal(definition.system, "Be kind.");
  assert.deepEqual(definition.parameters, { stop: ["END"], numCtx: 512 });
  assert.deepEqual(definition.details, {
    parentModel: "",
    format: "gguf",
    family: "llama",
    families: ["llama"],
    parameterSize: "192",
    quantizationLevel: "F16",
    contextLength: 2048,
    embeddingLength: 64,
  });
});

Deno.test("createModel() lets a child replace, merge and append", async () => {
  const { store, create, upload } = createParts();
  await create({
    model: "parent",
    files: { "w.gguf": await upload(llamaFile()) },
    template: "{{ .Prompt }}",
    system: "old",
    license: ["MIT"],
    parameters: { top_k: 1, top_p: 0.5 },
    messages: [{ role: "user", content: "old" }],
    renderer: "r",
  });
  await create({
    model: "child",
    from: "Parent",
    system: "new",
    license: ["and more"],
    parameters: { top_p: 0.9 },
    messages: [{ role: "user", content: "new" }],
  });
  const shown = await store.show({ model: "child", verbose: false, options: {} });
  assert.equal(shown.system, "new");
  assert.equal(shown.template, "{{ .Prompt }}");
  assert.equal(shown.license, "MIT\nand more");
  assert.deepEqual(shown.messages, [{ role: "user", content: "new" }]);
  assert.equal(shown.details.parentModel, "parent:latest");
  const listed = (await store.list()).find(({ name }) => name === "child:latest");
  assert.equal(listed?.details.parentModel, "parent:latest");
  const { parameters, config } = await store.getDefinition("child", "chat");
  assert.deepEqual(parameters, { topK: 1, topP: 0.9 });
  assert.equal(config.renderer, "r");
});

const SMOL = "{% for m in messages %}{% if loop.first and messages[0]['role'] != 'system' %}" +
  "{{ '<|im_start|>system\nYou are a helpful model.<|im_end|>\n' }}{% endif %}" +
  "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

Deno.test("createModel() gives weights whose template says what a known one says that one and its stop strings", async () => {
  const { store, create, upload } = createParts();
  const digest = await upload(llamaFile({ "tokenizer.chat_template": SMOL }));
  const statuses = await create({
    model: "smol",
    files: { "w.gguf": digest },
    parameters: { top_k: 3 },
  });
  assert.ok(statuses.includes("using autodetected template chatml"));
  const { template, parameters } = await store.getDefinition("smol", "chat");
  assert.match(template.goTemplate ?? "", /^\{\{- range .Messages \}\}<\|im_start\|>/);
  assert.deepEqual(parameters, { stop: ["<|im_start|>", "<|im_end|>"], topK: 3 });
  assert.equal(template.inspected?.traits.kind, "go");
  const own = await create({
    model: "own",
    files: { "w.gguf": digest },
    template: "{{ .Prompt }}",
  });
  assert.ok(!own.some((status) => status.startsWith("using autodetected")));
});

Deno.test("createModel() tells of RENDERER and PARSER lines that nothing here goes by", async () => {
  const { create, upload } = createParts();
  const files = { "w.gguf": await upload(llamaFile()) };
  const warned = (statuses: readonly string[]) =>
    statuses.filter((line) => line.startsWith("warning"));
  const other = await create({ model: "a", files, renderer: "nobody's", parser: "passthrough" });
  assert.deepEqual(warned(other), [
    "warning: no renderer \"nobody's\" here, the model's template is used",
  ]);
  assert.deepEqual(warned(await create({ model: "b", files, renderer: "qwen3-coder" })), []);
});

Deno.test("createModel() leaves weights with a template of their own alone", async () => {
  const { store, create, upload } = createParts();
  for (const text of [`${SMOL}!`, `${SMOL}{{ tools }}`, "{% broken"]) {
    const digest = await upload(llamaFile({ "tokenizer.chat_template": text }));
    const statuses = await create({ model: "m", files: { "w.gguf": digest } });
    assert.ok(!statuses.some((status) => status.startsWith("using autodetected")), text);
    assert.equal((await store.show({ model: "m", verbose: false, options: {} })).template, text);
  }
});

Deno.test("createModel() stores adapters and projectors as such", async () => {
  const { blobs, store, create, upload } = createParts();
  const adapter = llamaFile({ "general.type": "adapter" });
  const projector = llamaFile({ "general.architecture": "clip", "clip.has_vision_encoder": true });
  await create({
    model: "m",
    files: { "w.gguf": await upload(llamaFile()), "mmproj.bin": await upload(projector) },
    adapters: { "lora.gguf": await upload(adapter) },
  });
  const definition = await store.getDefinition("m", "chat");
  assert.deepEqual(definition.adapterPaths, [blobs.path(digestOf(adapter))]);
  assert.equal(definition.projectorPath, blobs.path(digestOf(projector)));
  assert.ok(definition.capabilities.includes("vision"));
});

Deno.test("createModel() stores a draft model as such, shows it, and hands it on", async () => {
  const { blobs, store, create, upload } = createParts();
  const draft = llamaFile({ "general.name": "small" });
  const draftFiles = { "small.gguf": await upload(draft) };
  await create({ model: "m", files: { "w.gguf": await upload(llamaFile()) }, draftFiles });
  await create({ model: "child", from: "m", system: "x" });
  for (const model of ["m", "child"]) {
    const shown = await store.show({ model, verbose: false, options: {} });
    assert.match(shown.modelfile ?? "", new RegExp(`^DRAFT ${blobs.path(digestOf(draft))}$`, "m"));
    const { modelPath } = await store.getDefinition(model, "chat");
    assert.equal(modelPath, blobs.path(digestOf(llamaFile())));
  }
  const adapter = await upload(llamaFile({ "general.type": "adapter" }));
  await assert.rejects(create({ model: "m", from: "m", draftFiles: { "a.gguf": adapter } }), {
    code: "invalid_gguf",
  });
});

Deno.test("createModel() merges a split model, whatever the order of its parts", async () => {
  const { blobs, store, create, upload } = createParts();
  const tensor = (name: string, fill: number) => ({
    name,
    shape: [33],
    type: 0,
    tensorBytes: 132,
    fill,
  });
  const { "general.file_type": fileType, ...shape } = LLAMA_METADATA;
  const metadata = { ...shape, "split.count": 2, "general.file_type": fileType ?? 0 };
  const whole = ggufFile({
    metadata: { ...shape, "general.file_type": fileType ?? 0 },
    tensors: [tensor("a", 1), tensor("b", 2), tensor("c", 3)],
  });
  const first = ggufFile({
    metadata: { "split.no": 0, ...metadata },
    tensors: [tensor("a", 1), tensor("b", 2)],
  });
  const second = ggufFile({
    metadata: { "split.no": 1, "split.count": 2 },
    tensors: [tensor("c", 3)],
  });

  const files = { "2.gguf": await upload(second), "1.gguf": await upload(first) };
  await create({ model: "m", files });

  const { modelPath, facts } = await store.getDefinition("m", "chat");
  const merged = await blobs.read(digestOf(padded(whole)));
  assert.deepEqual(merged, padded(whole));
  assert.equal(modelPath, blobs.path(digestOf(merged)));
  assert.equal(facts.parameterCount, 99);
  assert.equal(facts.split, undefined);
});

/** Merged files end aligned; the test's own writer stops at the last tensor. */
function padded(file: Uint8Array): Uint8Array {
  const whole = new Uint8Array(Math.ceil(file.length / 32) * 32);
  whole.set(file);
  return whole;
}

Deno.test("createModel() removes what only the overwritten model used", async () => {
  const { blobs, create, upload } = createParts();
  const files = { "w.gguf": await upload(llamaFile()) };
  await create({ model: "m", files, system: "old" });
  await create({ model: "M", files, system: "new" });
  const old = digestOf(new TextEncoder().encode("old"));
  assert.equal(await blobs.find(old), undefined);
  assert.ok(await blobs.find(digestOf(llamaFile())));
});

Deno.test("createModel() refuses bad requests and changes nothing", async () => {
  const { blobs, catalog, create, upload } = createParts();
  const good = await upload(llamaFile());
  const cut = await upload(llamaFile().slice(0, -8));
  const text = await upload(new TextEncoder().encode("no weights"));
  const split = await upload(llamaFile({ "split.count": 3, "split.no": 0 }));
  const absent = digestOf(new Uint8Array([7]));
  await create({ model: "base", files: { "w.gguf": good } });
  const before = [await blobs.list(), (await catalog.list()).map((entry) => entry.manifestDigest)];
  const files = { "w.gguf": good };
  const cases: [Partial<CreateRequest>, string | RegExp][] = [
    [{}, "neither 'from' or 'files' was specified"],
    [{ model: "a b", files }, "invalid model name"],
    [{ from: "127.0.0.1:1/library/nobody" }, /pull model manifest: cannot reach 127.0.0.1:1/],
    [{ files: {} }, "unknown type"],
    [{ files: { "/etc/w.gguf": good } }, "file path must be relative"],
    [{ files: { "a/../w.gguf": good } }, "file path must be relative"],
    [{ files: { "w.gguf": "sha256:zz" } }, "invalid digest format"],
    [{ files: { "w.gguf": absent } }, /blob sha256:.* of "w.gguf" not found/],
    [{ files: { "w.gguf": text } }, "supplied file was not in GGUF format"],
    [{ files: { "w.bin": text } }, "unknown type"],
    [{ files: { "w.safetensors": text } }, /converting safetensors is not supported/],
    [{ files: { "w.gguf": cut } }, /"w.gguf": invalid GGUF file: the file is cut off: tensor/],
    [{ files: { "w.gguf": split } }, "the split model is not whole: part 2 of 3 is missing"],
    [
      { files: { "a.gguf": split, "b.gguf": split } },
      "the split model is not whole: part 1 of 3 is there twice",
    ],
    [{ files, adapters: { "a.gguf": good } }, '"a.gguf" is not an adapter'],
    [{ files, adapters: { "a": good, "b": good } }, "only one adapter is currently supported"],
    [{ files, template: "{{ if }}" }, /./],
    [{ files, parameters: { top_k: "many" } }, 'option "top_k" must be of type integer'],
    [{ files, parameters: { volatile_lines: ["drop:"] } }, /takes beginnings of one line with 4/],
    [
      { files, quantize: "q3_k" },
      "unsupported quantization type Q3_K - supported types are F32, F16, Q4_K_S, Q4_K_M, Q8_0",
    ],
  ];
  for (const [request, message] of cases) {
    await assert.rejects(create({ model: "base", ...request }), { message }, String(message));
  }
  assert.deepEqual(
    [await blobs.list(), (await catalog.list()).map((entry) => entry.manifestDigest)],
    before,
  );
});

Deno.test("createModel() stores a draft model in another precision, and the model as it is", async () => {
  const quantizer: Quantizer = {
    async quantize({ targetPath }, { onProgress }) {
      onProgress(0.5);
      await Deno.writeFile(targetPath, llamaFile({ "general.file_type": 15 }));
    },
  };
  const { blobs, store, create, upload } = createParts({ quantizer });
  // The same file may be both.
  const digest = await upload(llamaFile());
  const [files, draftFiles] = [{ "w.gguf": digest }, { "w.gguf": digest }];
  const statuses = await create({ model: "m", files, draftFiles, draftQuantize: "q4_K_M" });
  assert.ok(statuses.includes("quantizing F16 model to Q4_K_M"));
  const { details, modelPath } = await store.getDefinition("m", "chat");
  assert.deepEqual([details.quantizationLevel, modelPath], ["F16", blobs.path(digest)]);
  const { modelfile = "" } = await store.show({ model: "m", verbose: false, options: {} });
  const small = digestOf(llamaFile({ "general.file_type": 15 }));
  assert.match(modelfile, new RegExp(`^DRAFT ${blobs.path(small)}$`, "m"));
  await assert.rejects(create({ model: "m", files, draftQuantize: "q4_K_M" }), {
    message: /^draft_quantize is for the model in draft_files/,
  });
});

Deno.test("createModel() takes a quantization that the weights already have", async () => {
  const { create, upload } = createParts();
  const files = { "w.gguf": await upload(llamaFile()) };
  assert.equal((await create({ model: "m", files, quantize: "f16" })).at(-1), "success");
  const quantized = { "w.gguf": await upload(llamaFile({ "general.file_type": 2 })) };
  await assert.rejects(create({ model: "m", files: quantized, quantize: "q8_0" }), {
    message: "quantization is only supported for F16, BF16 and F32 models",
  });
});

Deno.test("createModel() stores weights in another precision and says so", async () => {
  const wishes: unknown[] = [];
  const quantizer: Quantizer = {
    async quantize({ sourcePath, targetPath, target }, { onProgress }) {
      wishes.push([sourcePath, target]);
      onProgress(0.5);
      await Deno.writeFile(targetPath, llamaFile({ "general.file_type": 15 }));
    },
  };
  const { blobs, catalog, store, create, upload } = createParts({ quantizer });
  const digest = await upload(llamaFile());
  const statuses = await create({ model: "m", files: { "w.gguf": digest }, quantize: "q4_K" });
  assert.ok(statuses.includes("quantizing F16 model to Q4_K_M"));
  assert.equal(statuses.at(-1), "success");
  assert.deepEqual(wishes, [[blobs.path(digest), "Q4_K_M"]]);
  const { details, modelPath } = await store.getDefinition("m", "chat");
  assert.equal(details.quantizationLevel, "Q4_K_M");
  assert.notEqual(modelPath, blobs.path(digest));
  const entry = await catalog.find(nameOf("m"));
  assert.ok(!entry?.manifest.layers.some((layer) => layer.digest === digest));
});

Deno.test("createModel() makes nothing when quantising fails", async () => {
  const quantizer: Quantizer = {
    async quantize({ targetPath }) {
      await Deno.writeFile(targetPath, new Uint8Array(7));
      throw new UnavailableError("quantize_failed", "Cannot quantize to Q8_0: no reason");
    },
  };
  const { blobs, catalog, create, upload } = createParts({ quantizer });
  const files = { "w.gguf": await upload(llamaFile()) };
  await assert.rejects(create({ model: "m", files, quantize: "Q8_0" }), {
    code: "quantize_failed",
  });
  assert.deepEqual(await catalog.list(), []);
  assert.equal((await blobs.list()).length, 1);
});

/** Blobs whose next `put` waits for the gate. */
class GatedBlobStore extends MemoryBlobStore {
  readonly #reached = Promise.withResolvers<void>();
  readonly #gate = Promise.withResolvers<void>();
  #isClosed = false;

  /** Resolves when a `put` stands at the gate. */
  close(): Promise<void> {
    this.#isClosed = true;
    return this.#reached.promise;
  }

  openGate(): void {
    this.#gate.resolve();
  }

  override async put(bytes: Uint8Array) {
    if (this.#isClosed) {
      this.#reached.resolve();
      await this.#gate.promise;
    }
    return await super.put(bytes);
  }
}

Deno.test("createModel() and delete take turns, so a new model never lacks a blob", async () => {
  const blobs = new GatedBlobStore();
  const { store, create, upload } = createParts({ blobs });
  await create({ model: "parent", files: { "w.gguf": await upload(llamaFile()) } });

  // Given a create that has seen its parent's weights and not yet named them.
  const reached = blobs.close();
  const creation = create({ model: "child", from: "parent", system: "new" });
  await reached;
  // When the parent is deleted, with all the time it wants.
  const deletion = store.delete({ model: "parent" });
  for (let turn = 0; turn < 200; turn++) await Promise.resolve();
  blobs.openGate();
  await Promise.all([creation, deletion]);

  // Then the child still has them.
  assert.ok(await store.getDefinition("child", "chat"));
});
