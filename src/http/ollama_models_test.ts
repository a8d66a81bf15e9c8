import assert from "node:assert/strict";
import { RequestError, StorageError, UnavailableError } from "../base/mod.ts";
import type {
  Consistency,
  ListedModel,
  ModelDetails,
  ReadOptions,
  ShownModel,
  TransferProgress,
} from "../ports/mod.ts";
import { appUnderTest, httpRequest } from "../../tests/harness/http_app.ts";
import { parseLines } from "../../tests/harness/json_lines.ts";

const MODIFIED_MS = Date.UTC(2026, 0, 1);
const DIGEST = "a".repeat(64);
const DETAILS: ModelDetails = {
  parentModel: "",
  format: "gguf",
  family: "llama",
  families: ["llama"],
  parameterSize: "5M",
  quantizationLevel: "Q8_0",
  contextLength: 1024,
};
const DETAILS_ON_WIRE = {
  parent_model: "",
  format: "gguf",
  family: "llama",
  families: ["llama"],
  parameter_size: "5M",
  quantization_level: "Q8_0",
  context_length: 1024,
};
const LISTED: ListedModel = {
  name: "m:latest",
  modifiedAtMs: MODIFIED_MS,
  size: 5,
  digest: DIGEST,
  details: DETAILS,
  capabilities: ["completion"],
  namespace: "library",
};
const SHOWN: ShownModel = {
  modelfile: "FROM x",
  template: "",
  details: DETAILS,
  modelInfo: { "general.architecture": "llama", "tokenizer.ggml.tokens": null },
  capabilities: ["completion"],
  modifiedAtMs: MODIFIED_MS,
};

Deno.test("GET /api/tags lists models with every field of the contract (#87)", async () => {
  const { send } = appUnderTest({ script: { listModels: async () => [LISTED] } });
  const { models } = await (await send("GET", "/api/tags")).json();
  const [{ modified_at, ...rest }] = models;
  assert.equal(Date.parse(modified_at), MODIFIED_MS);
  assert.deepEqual(rest, {
    name: "m:latest",
    model: "m:latest",
    size: 5,
    digest: DIGEST,
    details: DETAILS_ON_WIRE,
    capabilities: ["completion"],
  });
});

Deno.test("Reads of the catalogue take what can be had unless told otherwise, and say what it was", async () => {
  const asked: unknown[] = [];
  let had: Consistency = "linearizable";
  const note = (options: ReadOptions = {}) => {
    asked.push(options.consistency);
    options.onRead?.(options.consistency === "available" ? had : options.consistency ?? "stale");
  };
  const { send } = appUnderTest({
    script: {
      listModels: async (options) => (note(options), [LISTED]),
      listLoaded: async (options) => (note(options), []),
      showModel: async (_request, options) => (note(options), SHOWN),
    },
  });
  const reads: readonly [string, string, unknown?][] = [
    ["GET", "/api/tags"],
    ["GET", "/api/ps"],
    ["GET", "/v1/models"],
    ["GET", "/v1/models/m"],
    ["POST", "/api/show", { model: "m" }],
  ];
  for (const [method, path, body] of reads) {
    for (const consistency of ["linearizable", "stale"] as const) {
      const wished = await send(method, `${path}?consistency=${consistency}`, body);
      assert.equal(wished.headers.get("x-odist-consistency"), consistency, path);
      assert.equal(asked.pop(), consistency, path);
      await wished.body?.cancel();
      had = consistency;
      const plain = await send(method, path, body);
      assert.equal(plain.headers.get("x-odist-consistency"), consistency, path);
      assert.equal(asked.pop(), "available", path);
      await plain.body?.cancel();
    }
    for (const wrong of ["strict", "available", ""]) {
      const refused = await send(method, `${path}?consistency=${wrong}`, body);
      assert.equal(refused.status, 400);
      assert.match(await refused.text(), /consistency must be \\?"linearizable\\?" or/);
    }
  }
});

Deno.test("GET /api/tags answers 503 with the reason where no quorum answers", async () => {
  const error = new UnavailableError("no_quorum", "no quorum answers", { retryAfterMs: 1_000 });
  const { send } = appUnderTest({ script: { listModels: () => Promise.reject(error) } });
  const answer = await send("GET", "/api/tags");
  assert.equal(answer.status, 503);
  assert.equal(answer.headers.get("retry-after"), "1");
  assert.deepEqual(await answer.json(), { error: "no quorum answers" });
});

Deno.test("GET /api/ps names the node of a model where there is more than one", async () => {
  const row = { ...LISTED, sizeVram: 0, contextLength: 512, expiresAtMs: Infinity, node: "attic" };
  const { send } = appUnderTest({ script: { listLoaded: async () => [row] } });
  assert.equal((await (await send("GET", "/api/ps")).json()).models[0].node, "attic");
});

Deno.test("GET /api/ps shows a model kept forever as expiring in about 292 years (#89, #90)", async () => {
  const row = { ...LISTED, sizeVram: 0, contextLength: 512, expiresAtMs: Infinity };
  const { send } = appUnderTest({ script: { listLoaded: async () => [row] } });
  const { models } = await (await send("GET", "/api/ps")).json();
  assert.equal(models[0].context_length, 512);
  assert.equal(models[0].details.context_length, undefined);
  assert.equal(models[0].size_vram, 0);
  const years = (Date.parse(models[0].expires_at) - Date.UTC(2026)) / (365.25 * 86_400_000);
  assert.ok(years > 291 && years < 293, `${years}`);
});

Deno.test("POST /api/show leaves out what is empty and takes name for model (#91, #93)", async () => {
  const { send, client } = appUnderTest({ script: { showModel: async () => SHOWN } });
  const shown = await (await send("POST", "/api/show", { name: "m", verbose: true })).json();
  assert.deepEqual(client.lastRequest, { model: "m", verbose: true, options: {} });
  assert.deepEqual(Object.keys(shown), [
    "modelfile",
    "details",
    "model_info",
    "capabilities",
    "modified_at",
  ]);
  assert.deepEqual(shown.model_info, SHOWN.modelInfo);
});

Deno.test("POST /api/show echoes the requested name to one kind of client", async () => {
  const { app } = appUnderTest({ script: { showModel: async () => SHOWN } });
  const response = await app.fetch(
    new Request("http://localhost/api/show", {
      method: "POST",
      headers: { "user-agent": "GitHubCopilotChat/0.1" },
      body: '{"model":"My-Model"}',
    }),
  );
  assert.equal((await response.json()).model_info["general.basename"], "My-Model");
});

Deno.test("POST /api/show names an absent model as the client port does (#24)", async () => {
  const response = await appUnderTest().send("POST", "/api/show", { model: "nope" });
  assert.equal(response.status, 404);
  assert.deepEqual(await response.json(), { error: "model 'nope:latest' not found" });
});

Deno.test("POST /api/create streams progress and hands every field over (#102)", async () => {
  const { send, client } = appUnderTest();
  const response = await send("POST", "/api/create", {
    name: "n",
    from: "m",
    files: { "a.gguf": "sha256:1" },
    adapters: { "b.gguf": "sha256:2" },
    template: "{{ .Prompt }}",
    system: "s",
    license: "one",
    parameters: { temperature: 1, stop: ["x"] },
    messages: [{ role: "User", content: "hi" }],
    quantization: "Q8_0",
    requires: "0.1.0",
  });
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const lines = parseLines(await response.text());
  assert.deepEqual(lines.map((line) => line["status"]), [
    "creating new layer",
    "writing manifest",
    "success",
  ]);
  assert.deepEqual(client.lastRequest, {
    model: "n",
    from: "m",
    files: { "a.gguf": "sha256:1" },
    adapters: { "b.gguf": "sha256:2" },
    template: "{{ .Prompt }}",
    system: "s",
    license: ["one"],
    parameters: { temperature: 1, stop: ["x"] },
    messages: [{ role: "user", content: "hi" }],
    quantize: "Q8_0",
    requires: "0.1.0",
  });
});

Deno.test("POST /api/create without stream answers the last status only (#109)", async () => {
  const response = await appUnderTest().send("POST", "/api/create", {
    model: "n",
    from: "m",
    license: ["a", "b"],
    stream: false,
  });
  assert.deepEqual(await response.json(), { status: "success" });
});

Deno.test("POST /api/create without stream warns in a header of what the lines would have warned of", async () => {
  async function* warning(): AsyncGenerator<TransferProgress> {
    yield { status: "parsing GGUF" };
    yield { status: 'warning: RENDERER "x" is not known' };
    yield { status: "success" };
  }
  const { send } = appUnderTest({ script: { createModel: warning } });
  const response = await send("POST", "/api/create", { model: "n", from: "m", stream: false });
  assert.equal(response.headers.get("x-odist-warning"), 'RENDERER "x" is not known');
  assert.deepEqual(await response.json(), { status: "success" });
});

Deno.test("POST /api/create answers an error before the first line with its status (#103 to #108)", async () => {
  const { send } = appUnderTest({
    script: {
      createModel: () => ({
        [Symbol.asyncIterator]: () => ({
          next: () =>
            Promise.reject(
              new RequestError("invalid_request", "neither 'from' or 'files' was specified"),
            ),
        }),
      }),
    },
  });
  for (const stream of [true, false]) {
    const response = await send("POST", "/api/create", { model: "x", stream });
    assert.equal(response.status, 400);
    assert.deepEqual(await response.json(), { error: "neither 'from' or 'files' was specified" });
  }
});

Deno.test("POST /api/pull ends with an error line, or 500 without stream (#112)", async () => {
  async function* failing(): AsyncGenerator<TransferProgress> {
    yield { status: "pulling manifest" };
    throw new RequestError("model_not_found", "pull model manifest: file does not exist", {
      status: 500,
    });
  }
  const { send, client } = appUnderTest({ script: { pullModel: failing } });
  const streamed = await send("POST", "/api/pull", { name: "nope", insecure: true });
  assert.equal(streamed.status, 200);
  assert.deepEqual(parseLines(await streamed.text()), [
    { status: "pulling manifest" },
    { error: "pull model manifest: file does not exist" },
  ]);
  assert.deepEqual(client.lastRequest, { model: "nope", insecure: true });
  const whole = await send("POST", "/api/pull", { model: "nope", stream: false });
  assert.equal(whole.status, 500);
  assert.deepEqual(await whole.json(), { error: "pull model manifest: file does not exist" });
});

Deno.test("POST /api/push streams progress", async () => {
  const response = await appUnderTest().send("POST", "/api/push", { model: "ns/m" });
  assert.deepEqual(parseLines(await response.text()).at(-1), { status: "success" });
});

Deno.test("POST /api/copy and DELETE /api/delete answer 200 with an empty body (#94, #97)", async () => {
  const { send, client } = appUnderTest();
  const copied = await send("POST", "/api/copy", { source: "a", destination: "b" });
  assert.equal(copied.status, 200);
  assert.equal(await copied.text(), "");
  assert.deepEqual(client.lastRequest, { source: "a", destination: "b" });
  const deleted = await send("DELETE", "/api/delete", { name: "b" });
  assert.equal(deleted.status, 200);
  assert.equal(await deleted.text(), "");
  assert.deepEqual(client.lastRequest, { model: "b" });
});

Deno.test("blobs are found and stored by digest (#99, #100)", async () => {
  const written: { digest: string; sent: string }[] = [];
  const { send } = appUnderTest({
    script: {
      findBlob: async (digest) => digest.endsWith("b") ? { blobBytes: 1 } : undefined,
      writeBlob: async (digest, bytes) => {
        written.push({ digest, sent: await new Response(bytes).text() });
        return digest.endsWith("b") ? "exists" : "created";
      },
    },
  });
  const absent = `/api/blobs/sha256:${DIGEST}`;
  const present = `/api/blobs/sha256-${"b".repeat(64)}`;
  assert.equal((await send("HEAD", absent)).status, 404);
  assert.equal((await send("HEAD", present)).status, 200);
  assert.equal((await send("POST", absent, "bytes")).status, 201);
  assert.equal((await send("POST", present)).status, 200);
  assert.deepEqual(written, [
    { digest: `sha256:${DIGEST}`, sent: "bytes" },
    { digest: `sha256:${"b".repeat(64)}`, sent: "" },
  ]);
});

Deno.test("a blob body is not bound by the limit on JSON bodies", async () => {
  const { send } = appUnderTest({ config: { bodyBytesMax: 10 } });
  const response = await send("POST", `/api/blobs/sha256:${DIGEST}`, "x".repeat(1000));
  assert.equal(response.status, 201);
});

Deno.test("other machines are told no folder of this one, this one is", async () => {
  const { app, client } = appUnderTest({
    script: {
      showModel: async () => SHOWN,
      async *pullModel() {
        yield { status: "pulling manifest" };
        throw new StorageError(
          "disk_full",
          'in "/home/ada/.odist/models/blobs", "/home/ada/.odist"',
        );
      },
      copyModel: () => {
        throw new StorageError("storage_failed", 'in "/home/ada/.odist/models"');
      },
    },
  });
  const ask = async (path: string, body: unknown, isOwn: boolean) => {
    const address = isOwn ? "127.0.0.1" : "192.168.1.77";
    const sender = { kind: "machine", address, isOwn } as const;
    return await (await app.fetch(httpRequest("POST", path, body), { sender })).text();
  };
  for (const isOwn of [true, false]) {
    const texts = await ask("/api/pull", { model: "m" }, isOwn) +
      await ask("/api/copy", { source: "a", destination: "b" }, isOwn);
    assert.equal(texts.includes("/home/ada"), isOwn, texts);
    assert.equal(texts.includes("{models}/blobs") && texts.includes("{data}"), !isOwn, texts);
    await ask("/api/show", { model: "m" }, isOwn);
    const { request } = client.calls.at(-1) ?? {};
    assert.equal((request as { namesFiles?: boolean }).namesFiles, isOwn ? undefined : false);
  }
});
