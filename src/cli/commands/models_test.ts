import assert from "node:assert/strict";
import { CLI_NOW_MS, runCommand } from "../../../tests/harness/cli.ts";
import { type Script, ScriptedNode } from "../../../tests/harness/scripted_node.ts";

const DAY_MS = 86_400_000;

const TINY = {
  name: "tiny:latest",
  digest: "ab".repeat(32),
  size: 4_683_087_332,
  modified_at: new Date(CLI_NOW_MS - 3 * DAY_MS).toISOString(),
};
const REMOTE = { ...TINY, name: "Far:latest", remote_model: "far", modified_at: "" };

const TAGS: Script = { "GET /api/tags": { json: { models: [TINY, REMOTE] } } };

Deno.test("list prints the contract's table", async () => {
  await using node = new ScriptedNode(TAGS);
  const { code, out } = await runCommand(["list", "--host", node.host]);
  assert.equal(code, 0);
  assert.equal(
    out,
    [
      "NAME           ID              SIZE      MODIFIED",
      "tiny:latest    abababababab    4.7 GB    3 days ago",
      "Far:latest     abababababab    -         Never",
      "",
    ].join("\n"),
  );
});

Deno.test("list marks what is the asked node's alone", async () => {
  const models = [TINY, { ...TINY, name: "mine:latest@attic", local: true }];
  await using node = new ScriptedNode({ "GET /api/tags": { json: { models } } });
  const { out } = await runCommand(["list", "--host", node.host]);
  assert.equal(
    out,
    [
      "NAME                 ID              SIZE      MODIFIED      LOCAL",
      "tiny:latest          abababababab    4.7 GB    3 days ago",
      "mine:latest@attic    abababababab    4.7 GB    3 days ago    this node's alone",
      "",
    ].join("\n"),
  );
});

Deno.test("list, show and run say once when no quorum stands behind what they print", async () => {
  const headers = { "x-odist-consistency": "stale" };
  const shown = { json: { details: {}, model_info: {}, capabilities: ["completion"] }, headers };
  const answered = { lines: [{ response: "Hi.", done: true }] };
  await using node = new ScriptedNode({
    "GET /api/tags": { json: { models: [TINY] }, headers },
    "POST /api/show": shown,
    "POST /api/generate": answered,
  });
  for (const command of [["list"], ["show", "tiny"], ["run", "tiny", "Hello!"]]) {
    const { code, err, out } = await runCommand([...command, "--host", node.host]);
    assert.equal(code, 0);
    assert.equal(err.match(/No quorum of the cluster answers/g)?.length, 1, command.join(" "));
    assert.doesNotMatch(out, /quorum/);
  }
});

Deno.test("list keeps to a prefix without regard to case, also as ls and as JSON", async () => {
  await using node = new ScriptedNode(TAGS);
  const { out } = await runCommand(["ls", "far", "--json"], { env: { OLLAMA_HOST: node.host } });
  assert.deepEqual(JSON.parse(out), { models: [REMOTE] });
});

Deno.test("ps prints where each model is and when it goes", async () => {
  const model = (fields: Record<string, unknown>) => ({
    ...TINY,
    size: 1_000,
    size_vram: 0,
    context_length: 4096,
    expires_at: new Date(CLI_NOW_MS + 240_000).toISOString(),
    ...fields,
  });
  const models = [
    model({}),
    model({ name: "b", size_vram: 1_000, expires_at: "2318-11-01T00:00:00Z" }),
    model({ name: "c", size_vram: 520, expires_at: new Date(CLI_NOW_MS - 1).toISOString() }),
    model({ name: "d", size_vram: 2_000 }),
  ];
  await using node = new ScriptedNode({ "GET /api/ps": { json: { models } } });
  const { out } = await runCommand(["ps"], { env: { ODIST_HOST: node.host } });
  assert.equal(
    out,
    [
      "NAME           ID              SIZE    PROCESSOR          CONTEXT    UNTIL",
      "tiny:latest    abababababab    1 KB    100% CPU           4096       4 minutes from now",
      "b              abababababab    1 KB    100% GPU           4096       Forever",
      "c              abababababab    1 KB    48%/52% CPU/GPU    4096       Stopping...",
      "d              abababababab    1 KB    Unknown            4096       4 minutes from now",
      "",
    ].join("\n"),
  );
});

Deno.test("ps tells which models may compute several tokens at once, where any does", async () => {
  const model = { ...TINY, size: 1, size_vram: 0, context_length: 1, expires_at: "", exact: true };
  const models = [{ ...model, speculates: true }, { ...model, speculates: false }, model];
  await using node = new ScriptedNode({ "GET /api/ps": { json: { models } } });
  const { out } = await runCommand(["ps"], { env: { ODIST_HOST: node.host } });
  const last = out.trimEnd().split("\n").map((row) => row.split(/ +/).at(-1));
  assert.deepEqual(last, ["SPECULATES", "yes", "no", "no"]);
});

Deno.test("ps tells which models answer exactly, where a node says so", async () => {
  const model = { ...TINY, size: 1, size_vram: 0, context_length: 1, expires_at: "" };
  const models = [
    { ...model, exact: true, exact_policy: "short" },
    { ...model, exact: false, exact_policy: "plain", exact_reason: "it costs too much" },
    model,
  ];
  await using node = new ScriptedNode({ "GET /api/ps": { json: { models } } });
  const { out } = await runCommand(["ps"], { env: { ODIST_HOST: node.host } });
  const last = out.trimEnd().split("\n").map((row) => row.split(/ +/).at(-1));
  assert.deepEqual(last, ["EXACT", "short", "no", "?"]);
});

Deno.test("ps shows who computes which layers of a model that several nodes compute", async () => {
  const shards = [
    { node: "attic", first_layer: 0, layer_count: 16 },
    { node: "cellar", first_layer: 16, layer_count: 14, device: "CUDA0" },
    { node: "shed", first_layer: 30, layer_count: 0 },
  ];
  const models = [{ name: "m:latest", size: 1e9, node: "shed", shards }];
  await using node = new ScriptedNode({ "GET /api/ps": { json: { models } } });
  const { out } = await runCommand(["ps"], { env: { ODIST_HOST: node.host } });
  assert.match(out, /m:latest .* attic 0-15, cellar CUDA0 16-29, shed output\n/);
});

Deno.test("ps names the nodes when there is more than one", async () => {
  const models = ["attic", "cellar"].map((node) => ({
    ...TINY,
    size: 1_000,
    size_vram: 0,
    context_length: 4096,
    expires_at: new Date(CLI_NOW_MS + 240_000).toISOString(),
    node,
  }));
  await using node = new ScriptedNode({ "GET /api/ps": { json: { models } } });
  const { out } = await runCommand(["ps"], { env: { ODIST_HOST: node.host } });
  const [head, ...rows] = out.trimEnd().split("\n");
  assert.match(head ?? "", / UNTIL +NODE$/);
  assert.deepEqual(rows.map((row) => row.split(/ +/).at(-1)), ["attic", "cellar"]);
});

const SHOWN = {
  license: "Licence\n\nof three\nlines",
  modelfile: "FROM tiny\n",
  parameters: 'stop                           "<|x|>"\nnum_ctx                        512',
  system: "Be brief.",
  details: { family: "llama", parameter_size: "3.2B", quantization_level: "Q4_K_M" },
  model_info: {
    "general.architecture": "llama",
    "general.parameter_count": 3_212_749_888,
    "llama.context_length": 131072,
    "llama.embedding_length": 3072,
    "tokenizer.ggml.tokens": ["a", "b", "c", "d", "e"],
    "tokenizer.ggml.scores": [1, 2],
  },
  tensors: [{ name: "output.weight", type: "F16", shape: [3072, 128256] }],
  projector_info: {
    "general.architecture": "clip",
    "general.parameter_count": 300_000_000,
    "clip.vision.embedding_length": 1024,
  },
  capabilities: ["completion", "vision"],
};

Deno.test("show prints the contract's blocks", async () => {
  await using node = new ScriptedNode({ "POST /api/show": { json: SHOWN } });
  const { out } = await runCommand(["show", "tiny", "--host", node.host]);
  assert.equal(
    out,
    `  Model
    architecture        llama
    parameters          3.2B
    context length      131072
    embedding length    3072
    quantization        Q4_K_M

  Capabilities
    completion
    vision

  Projector
    architecture        clip
    parameters          300M
    embedding length    1024

  Parameters
    stop       "<|x|>"
    num_ctx    512

  System
    Be brief.

  License
    Licence
    of three
    ...
`,
  );
});

Deno.test("show --verbose adds metadata and tensors", async () => {
  await using node = new ScriptedNode({ "POST /api/show": { json: SHOWN } });
  const { out } = await runCommand(["show", "tiny", "-v", "--host", node.host]);
  assert.match(out, /tokenizer\.ggml\.tokens +\[a b c \.\.\.\+2 more\]/);
  assert.match(out, /tokenizer\.ggml\.scores +\[1 2\]/);
  assert.match(out, /output\.weight {4}F16 {4}\[3072 128256\]/);
  assert.deepEqual(node.asked[0]?.body, { model: "tiny", verbose: true });
});

Deno.test("show prints one part alone, and refuses two", async () => {
  await using node = new ScriptedNode({ "POST /api/show": { json: SHOWN } });
  const show = (...flags: string[]) => runCommand(["show", "tiny", "--host", node.host, ...flags]);
  assert.equal((await show("--modelfile")).out, "FROM tiny\n");
  assert.equal((await show("--system")).out, "Be brief.\n");
  assert.deepEqual(JSON.parse((await show("--system", "--json")).out), { system: "Be brief." });
  const both = await show("--system", "--license");
  assert.equal(both.code, 2);
  assert.match(both.err, /Only one part/);
});

Deno.test("stop unloads, and says so when there is nothing to unload", async () => {
  await using node = new ScriptedNode({
    "POST /api/generate": (body) =>
      JSON.stringify(body).includes('"tiny"')
        ? { json: { done: true } }
        : { json: { error: "model 'x' not found" }, status: 404 },
  });
  const stopped = await runCommand(["stop", "tiny", "--host", node.host]);
  assert.deepEqual([stopped.code, stopped.out], [0, ""]);
  assert.deepEqual(node.asked[0]?.body, { model: "tiny", keep_alive: 0, stream: false });
  const missing = await runCommand(["stop", "x", "--host", node.host]);
  assert.equal(missing.code, 1);
  assert.equal(missing.err, `Error: couldn't find model "x" to stop\nTry: odist ps\n`);
});

Deno.test("rm deletes each model, also one that can't be unloaded", async () => {
  await using node = new ScriptedNode({
    "POST /api/generate": { json: { error: '"e" does not support generate' }, status: 400 },
    "DELETE /api/delete": (body) =>
      JSON.stringify(body).includes("gone")
        ? { json: { error: "model 'gone' not found" }, status: 404 }
        : { json: {} },
  });
  const { code, out, err } = await runCommand(["rm", "a", "gone", "--host", node.host]);
  assert.equal(code, 1);
  assert.equal(out, "deleted 'a'\n");
  assert.equal(err, "Error: model 'gone' not found\n");
  const asJson = await runCommand(["rm", "a", "b", "--json", "--host", node.host]);
  assert.deepEqual(JSON.parse(asJson.out), { deleted: ["a", "b"] });
});

Deno.test("cp copies", async () => {
  await using node = new ScriptedNode({ "POST /api/copy": { json: {} } });
  const { out } = await runCommand(["cp", "a", "b", "--host", node.host]);
  assert.equal(out, "copied 'a' to 'b'\n");
  assert.deepEqual(node.asked[0]?.body, { source: "a", destination: "b" });
});

Deno.test("pull tells each status once where no terminal is, and fails with the node's words", async () => {
  const status = "pulling 6a0746a1ec1a";
  await using node = new ScriptedNode({
    "POST /api/pull": (body) => ({
      lines: JSON.stringify(body).includes("bad")
        ? [{ status: "pulling manifest" }, { error: "pull model manifest: file does not exist" }]
        : [
          { status: "pulling manifest" },
          { status, total: 10, completed: 1 },
          { status, total: 10, completed: 10 },
          { status: "success" },
        ],
    }),
  });
  const pulled = await runCommand(["pull", "good", "--insecure", "--host", node.host]);
  assert.deepEqual(pulled, {
    code: 0,
    out: "",
    err: `pulling manifest\n${status}\nsuccess\n`,
  });
  assert.deepEqual(node.asked[0]?.body, { model: "good", insecure: true });
  const failed = await runCommand(["pull", "bad", "--json", "--host", node.host]);
  assert.equal(failed.code, 1);
  assert.equal(failed.out, '{"status":"pulling manifest"}\n');
  assert.match(failed.err, /file does not exist/);
});

Deno.test("push ends with where the model is", async () => {
  await using node = new ScriptedNode({ "POST /api/push": { lines: [{ status: "success" }] } });
  const { out } = await runCommand(["push", "ada/tiny", "--host", node.host]);
  assert.equal(out, "\nYou can find your model at:\n\n\tada/tiny\n");
});

Deno.test("a command says how to get a node when none answers", async () => {
  const node = new ScriptedNode({});
  await node[Symbol.asyncDispose]();
  const { code, err } = await runCommand(["list", "--host", node.host]);
  assert.equal(code, 1);
  assert.match(
    err,
    /^Error: Cannot reach a node at http:\/\/127\.0\.0\.1:\d+: start one with "odist serve"/,
  );
});

Deno.test("a command that meets something else than a node says so", async () => {
  await using node = new ScriptedNode({
    "GET /api/tags": { json: ["html"] },
    "GET /api/ps": { json: {}, status: 502 },
    "POST /api/pull": { lines: ["text"] },
  });
  const list = await runCommand(["list", "--host", node.host]);
  assert.match(list.err, /does not answer as a node/);
  assert.match((await runCommand(["ps", "--host", node.host])).err, /Error: \{\}/);
  assert.match((await runCommand(["pull", "x", "--host", node.host])).err, /no JSON object/);
});
