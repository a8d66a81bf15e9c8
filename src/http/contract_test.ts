// Contract section 8, the cases about shape: one test per row, its number first. The client is scripted, so these hold
// for every implementation behind the port; tests/conformance asks a running node.
import assert from "node:assert/strict";
import { appUnderTest } from "../../tests/harness/http_app.ts";
import { parseLines } from "../../tests/harness/json_lines.ts";
import { SCRIPTED_METRICS } from "../../tests/harness/scripted_client.ts";

/** One request and what must come back. */
interface Row {
  readonly name: string;
  readonly send: readonly [method: string, path: string, body?: unknown];
  readonly status: number;
  /** Exact `error`, or the start of it when it ends in `…`. */
  readonly error?: string;
}

const M = { model: "M", prompt: "hi" };

const ROWS: readonly Row[] = [
  { name: "#2 HEAD / has no body", send: ["HEAD", "/"], status: 200 },
  { name: "#3 HEAD /api/version", send: ["HEAD", "/api/version"], status: 200 },
  ...["generate", "chat", "embed", "embeddings", "show", "create", "copy", "pull", "push"].map(
    (name): Row => ({
      name: `#14 POST /api/${name} with an empty body`,
      send: ["POST", `/api/${name}`, ""],
      status: 400,
      error: "missing request body",
    }),
  ),
  {
    name: "#14 DELETE /api/delete with an empty body",
    send: ["DELETE", "/api/delete", "  \n"],
    status: 400,
    error: "missing request body",
  },
  {
    name: "#15 malformed JSON",
    send: ["POST", "/api/chat", "{"],
    status: 400,
    error: "invalid JSON: …",
  },
  {
    name: "#16 a model that is a number",
    send: ["POST", "/api/chat", { model: 1 }],
    status: 400,
    error: "cannot read model: wants string, got number 1",
  },
  {
    name: "#16 a body that is a list",
    send: ["POST", "/api/chat", []],
    status: 400,
    error: "cannot read the request body: wants object, got list",
  },
  {
    name: "#17 an unknown field",
    send: ["POST", "/api/generate", { ...M, unheard_of: 1, stream: false }],
    status: 200,
  },
  {
    name: "#18 generate without a model",
    send: ["POST", "/api/generate", {}],
    status: 404,
    error: "model '' not found",
  },
  {
    name: "#19 chat without a model",
    send: ["POST", "/api/chat", {}],
    status: 400,
    error: "model is required",
  },
  {
    name: "#20 embed without a model",
    send: ["POST", "/api/embed", {}],
    status: 404,
    error: "model '' not found",
  },
  ...["embeddings", "show", "push"].map((name): Row => ({
    name: `#21 ${name} without a model`,
    send: ["POST", `/api/${name}`, {}],
    status: 400,
    error: "model is required",
  })),
  {
    name: "#27 generate top_logprobs 21",
    send: ["POST", "/api/generate", { ...M, top_logprobs: 21 }],
    status: 400,
    error: "top_logprobs must be between 0 and 20",
  },
  {
    name: "#27 chat top_logprobs -1",
    send: ["POST", "/api/chat", { model: "M", top_logprobs: -1 }],
    status: 400,
    error: "top_logprobs must be between 0 and 20",
  },
  {
    name: "#30 an unknown think level",
    send: ["POST", "/api/chat", { model: "K", think: "ultra" }],
    status: 400,
    error: 'invalid think value: "ultra" (must be "high", "medium", "low", "max", true, or false)',
  },
  {
    name: "#34 raw with system",
    send: ["POST", "/api/generate", { ...M, raw: true, system: "s" }],
    status: 400,
    error: "raw mode does not support template, system, or context",
  },
  {
    name: "#34 raw with context",
    send: ["POST", "/api/generate", { ...M, raw: true, context: [1] }],
    status: 400,
    error: "raw mode does not support template, system, or context",
  },
  {
    name: "#35 stop as a bare string",
    send: ["POST", "/api/generate", { ...M, options: { stop: "x" } }],
    status: 500,
    error: 'option "stop" must be of type array',
  },
  {
    name: "#36 num_ctx as a string",
    send: ["POST", "/api/generate", { ...M, options: { num_ctx: "x" } }],
    status: 500,
    error: 'option "num_ctx" must be of type integer',
  },
  {
    name: "#36 temperature as a string",
    send: ["POST", "/api/chat", { model: "M", options: { temperature: "x" } }],
    status: 500,
    error: 'option "temperature" must be of type float32',
  },
  {
    name: "#36 use_mmap as a number",
    send: ["POST", "/api/embed", { model: "M", options: { use_mmap: 1 } }],
    status: 500,
    error: 'option "use_mmap" must be of type boolean',
  },
  {
    name: "#36 a number no machine holds",
    send: ["POST", "/api/generate", '{"model":"M","options":{"temperature":1e999}}'],
    status: 400,
    error: 'option "temperature" must be between …',
  },
  {
    name: "#37 options that no longer exist, and null ones",
    send: ["POST", "/api/generate", {
      ...M,
      stream: false,
      options: { mirostat: 2, foo: 1, constructor: 1, seed: null },
    }],
    status: 200,
  },
  {
    name: "#38 keep_alive as a word",
    send: ["POST", "/api/generate", { ...M, keep_alive: "abc" }],
    status: 400,
    error: 'time: invalid duration "abc"',
  },
  {
    name: "#38 keep_alive as a number in quotes",
    send: ["POST", "/api/generate", { ...M, keep_alive: "300" }],
    status: 400,
    error: 'time: missing unit in duration "300"',
  },
  {
    name: "#38 keep_alive as a boolean",
    send: ["POST", "/api/generate", { ...M, keep_alive: true }],
    status: 400,
    error: "cannot read keep_alive: …",
  },
  {
    name: "#39 an unknown format",
    send: ["POST", "/api/generate", { ...M, format: "xml" }],
    status: 500,
    error: 'invalid format: "\\"xml\\""; expected "json" or a valid JSON Schema object',
  },
  {
    name: "#39 a list as format",
    send: ["POST", "/api/chat", { model: "M", format: [] }],
    status: 500,
    error: "invalid format: …",
  },
  {
    name: "#40 an image that is not base64",
    send: ["POST", "/api/generate", { ...M, images: ["not base64!"] }],
    status: 400,
    error: "illegal base64 data in images[0]",
  },
  {
    name: "#40 an image as a data URI",
    send: ["POST", "/api/chat", {
      model: "M",
      messages: [{ role: "user", images: ["data:image/png;base64,aGk="] }],
    }],
    status: 400,
    error: "illegal base64 data in images[0]",
  },
  {
    name: "#81 embed input of numbers",
    send: ["POST", "/api/embed", { model: "E", input: [1] }],
    status: 400,
    error: "invalid input type",
  },
  {
    name: "#81 embed input as an object",
    send: ["POST", "/api/embed", { model: "E", input: {} }],
    status: 400,
    error: "invalid input type",
  },
  {
    name: "#98 delete without a model",
    send: ["DELETE", "/api/delete", {}],
    status: 400,
    error: "model is required",
  },
  { name: "#99 HEAD a malformed digest", send: ["HEAD", "/api/blobs/sha256:xyz"], status: 400 },
  {
    name: "#99 POST a malformed digest",
    send: ["POST", "/api/blobs/md5:00", "x"],
    status: 400,
    error: "invalid digest format",
  },
  {
    name: "#104 create without a model",
    send: ["POST", "/api/create", {}],
    status: 400,
    error: "invalid model name",
  },
  {
    name: "#104 pull without a model",
    send: ["POST", "/api/pull", {}],
    status: 400,
    error: "invalid model name",
  },
  {
    name: "#102 create of a kind odist does not have",
    send: ["POST", "/api/create", { model: "x", from: "M", remote_host: "h" }],
    status: 400,
    error: '"remote_host" is not supported',
  },
];

for (const row of ROWS) {
  Deno.test(`contract ${row.name} gets ${row.status}`, async () => {
    const { send } = appUnderTest();
    const response = await send(...row.send);
    const text = await response.text();
    assert.equal(response.status, row.status, text);
    if (row.error === undefined) return;
    assert.equal(response.headers.get("content-type"), "application/json; charset=utf-8");
    const { error } = JSON.parse(text);
    if (row.error.endsWith("…")) assert.ok(error.startsWith(row.error.slice(0, -1)), error);
    else assert.equal(error, row.error);
  });
}

Deno.test("contract #1 GET / says that it runs", async () => {
  const response = await appUnderTest().send("GET", "/");
  assert.equal(await response.text(), "Ollama is running");
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain/);
});

Deno.test("contract #3 GET /api/version gives the version", async () => {
  const response = await appUnderTest().send("GET", "/api/version");
  assert.deepEqual(await response.json(), { version: "0.33.0", odist: "9.8.7" });
});

Deno.test("contract #4 an unknown path is 404 in plain text", async () => {
  const response = await appUnderTest().send("GET", "/nope");
  assert.equal(response.status, 404);
  assert.equal(response.headers.get("content-type"), "text/plain");
  assert.equal(await response.text(), "404 page not found");
});

for (
  const [method, path, allow] of [
    ["GET", "/api/generate", "POST"],
    ["POST", "/api/ps", "GET, HEAD"],
    ["GET", "/api/blobs/sha256:00", "HEAD, POST"],
    ["POST", "/api/delete", "DELETE"],
    ["OPTIONS", "/api/chat", "POST"],
    ["POST", "/v1/models/m", "GET, HEAD"],
  ] as const
) {
  Deno.test(`contract #5 ${method} ${path} is 405 and names what is allowed`, async () => {
    const response = await appUnderTest().send(method, path);
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("allow"), allow);
    assert.equal(await response.text(), "405 method not allowed");
  });
}

for (const path of ["/api/tags", "/api/ps", "/v1/models", "/api/version", "/metrics"]) {
  Deno.test(`HEAD ${path} is answered as GET is, without a body`, async () => {
    const { send } = appUnderTest();
    const [head, get] = [await send("HEAD", path), await send("GET", path)];
    assert.equal(head.status, 200);
    assert.equal(head.headers.get("content-type"), get.headers.get("content-type"));
    assert.equal(await head.text(), "");
    await get.text();
  });
}

Deno.test("contract #6 a trailing slash is redirected with its query", async () => {
  const { send } = appUnderTest();
  const moved = await send("GET", "/api/tags/?a=1");
  assert.equal(moved.status, 301);
  assert.equal(moved.headers.get("location"), "/api/tags?a=1");
  assert.equal((await send("POST", "/api/chat/", {})).status, 307);
  assert.equal((await send("GET", "/nope/")).status, 404);
});

Deno.test("two slashes are redirected to the path with one, and to no other host", async () => {
  const { send } = appUnderTest();
  const moved = await send("POST", "//api//chat?a=1", {});
  assert.equal(moved.status, 307);
  assert.equal(moved.headers.get("location"), "/api/chat?a=1");
  assert.equal((await send("GET", "//evil.example/api/tags")).status, 404);
});

for (
  const [path, body] of [
    ["/v1/chat/completions", { model: "M", messages: [{ role: "user", content: "x" }] }],
    ["/v1/completions", { model: "M", prompt: "x" }],
    ["/v1/embeddings", { model: "M", input: "x" }],
    ["/v1/chat/completions", {}],
  ] as const
) {
  Deno.test(`POST ${path} with ${JSON.stringify(body)} answers plain JSON`, async () => {
    const response = await appUnderTest().send("POST", path, body);
    assert.equal(response.headers.get("content-type"), "application/json");
    await response.text();
  });
}

Deno.test("contract #13 a body without Content-Type is JSON, and only its first value counts", async () => {
  const { send, client } = appUnderTest();
  const response = await send("POST", "/api/generate", '{"model":"M","prompt":"a}"} trailing {');
  assert.equal(response.status, 200);
  await response.text();
  assert.equal(Reflect.get(Object(client.lastRequest), "prompt"), "a}");
});

Deno.test("contract 1.0 field names match in any case and null counts as absent", async () => {
  const { send, client } = appUnderTest();
  const body = { MODEL: "M", Prompt: "hi", Stream: false, SYSTEM: null, Keep_Alive: "5m" };
  assert.equal((await send("POST", "/api/generate", body)).status, 200);
  const request = Object(client.lastRequest);
  assert.equal(request.model, "M");
  assert.equal(request.prompt, "hi");
  assert.equal(request.keepAliveMs, 300_000);
  assert.ok(!("system" in request));
});

Deno.test("a model that was loaded before says that loading took time, too", async () => {
  const metrics = { ...SCRIPTED_METRICS, loadNs: 0 };
  async function* chunks() {
    yield { kind: "done", doneReason: "stop", metrics, context: [] } as const;
  }
  const answer = () => Promise.resolve({ kind: "stream", chunks: chunks() } as const);
  const embed = () =>
    Promise.resolve({ vectors: [new Float32Array(1)], promptEvalCount: 1, totalNs: 1, loadNs: 0 });
  const { send } = appUnderTest({ script: { generate: answer, chat: answer, embed } });
  const bodies = {
    "/api/generate": { model: "M", prompt: "x", stream: false },
    "/api/chat": { model: "M", messages: [{ role: "user", content: "x" }], stream: false },
    "/api/embed": { model: "M", input: "x" },
  };
  for (const [path, body] of Object.entries(bodies)) {
    const { load_duration: took } = await (await send("POST", path, body)).json();
    assert.ok(Number.isSafeInteger(took) && took > 0, `${path}: ${took}`);
  }
});

Deno.test("empty fields are absent ones, as Go's clients send all they know", async () => {
  const { send, client } = appUnderTest();
  const body = {
    model: "M",
    prompt: "hi",
    system: "",
    template: "",
    suffix: "",
    context: null,
    format: "",
    images: [],
    stream: false,
    options: {},
  };
  assert.equal((await send("POST", "/api/generate", body)).status, 200);
  const request = Object(client.lastRequest);
  for (const name of ["system", "template", "format"]) assert.ok(!(name in request), name);
  const message = {
    role: "user",
    content: "x",
    thinking: "",
    images: [],
    tool_calls: [],
    tool_name: "",
    tool_call_id: "",
  };
  const said = { model: "M", messages: [message], tools: [], stream: false };
  assert.equal((await send("POST", "/api/chat", said)).status, 200);
  assert.deepEqual(Object(client.lastRequest).messages, [{ role: "user", content: "x" }]);
  const v1 = { ...message, reasoning: "", name: "" };
  const asked = { model: "M", messages: [v1], tools: [] };
  assert.equal((await send("POST", "/v1/chat/completions", asked)).status, 200);
  assert.deepEqual(Object(client.lastRequest).messages, [{ role: "user", content: "x" }]);
  assert.equal(
    (await send("POST", "/api/embed", { model: "M", input: "x", dimensions: 0 })).status,
    200,
  );
  assert.ok(!("dimensions" in Object(client.lastRequest)));
});

Deno.test("contract #45 and #46 generate streams lines with metrics on the last", async () => {
  const response = await appUnderTest().send("POST", "/api/generate", M);
  assert.equal(response.headers.get("content-type"), "application/x-ndjson");
  const lines = parseLines(await response.text());
  for (const line of lines) {
    for (const key of ["model", "created_at", "response", "done"]) assert.ok(key in line, key);
  }
  const last = lines.at(-1);
  assert.deepEqual(last?.["context"], [1, 2, 3]);
  assert.equal(last?.["done_reason"], "stop");
});

Deno.test("contract #47 and #48 stream:false gives one object with the joined text", async () => {
  const { send } = appUnderTest({ words: ["a", "b", "c"] });
  const response = await send("POST", "/api/generate", { ...M, stream: false });
  assert.equal(response.headers.get("content-type"), "application/json; charset=utf-8");
  const answer = await response.json();
  assert.equal(answer.response, "abc");
  assert.equal(answer.done, true);
});

Deno.test("contract #52 a raw answer carries no context", async () => {
  const response = await appUnderTest().send("POST", "/api/generate", {
    ...M,
    raw: true,
    stream: false,
  });
  assert.ok(!("context" in await response.json()));
});

Deno.test("contract #86 and #88 empty lists are lists", async () => {
  const { send } = appUnderTest();
  assert.deepEqual(await (await send("GET", "/api/tags")).json(), { models: [] });
  assert.deepEqual(await (await send("GET", "/api/ps")).json(), { models: [] });
});

Deno.test("contract #135 any bearer or key is ignored", async () => {
  const { app } = appUnderTest();
  const response = await app.fetch(
    new Request("http://localhost:11434/v1/models", {
      headers: { authorization: "Bearer anything", "x-api-key": "k" },
    }),
  );
  assert.equal(response.status, 200);
});
