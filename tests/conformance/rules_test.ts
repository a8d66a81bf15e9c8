// Contract section 8 against a running node: the rules common to all endpoints, and names that resolve to nothing.
import assert from "node:assert/strict";
import { nodeForFile, nodeTest, startNode } from "../harness/node.ts";

const node = nodeForFile();

/** One request and what must come back. */
interface Row {
  readonly name: string;
  readonly send: readonly [method: string, path: string, body?: unknown];
  readonly status: number;
  /** Exact `error`, or a pattern. */
  readonly error: string | RegExp;
}

const ROWS: readonly Row[] = [
  {
    name: "#22 generate with an unknown model",
    send: ["POST", "/api/generate", { model: "nope", prompt: "x" }],
    status: 404,
    error: "model 'nope' not found",
  },
  {
    name: "#22 chat with an unknown model",
    send: ["POST", "/api/chat", { model: "nope", messages: [{ role: "user", content: "x" }] }],
    status: 404,
    error: "model 'nope' not found",
  },
  {
    name: "#23 embed with an unknown model",
    send: ["POST", "/api/embed", { model: "nope", input: "x" }],
    status: 404,
    error: 'model "nope" not found, try pulling it first',
  },
  {
    name: "#24 show of an unknown model",
    send: ["POST", "/api/show", { model: "nope" }],
    status: 404,
    error: "model 'nope:latest' not found",
  },
  {
    name: "#25 generate with a bad name",
    send: ["POST", "/api/generate", { model: "bad name!" }],
    status: 400,
    error: "invalid model name",
  },
  {
    name: "#26 chat with both sources",
    send: ["POST", "/api/chat", { model: "m:cloud:local", messages: [] }],
    status: 400,
    error: /^use either :local or :cloud/,
  },
  {
    name: "#28 thinking asked of a model that cannot",
    send: ["POST", "/api/chat", {
      model: "tiny",
      think: true,
      messages: [{ role: "user", content: "x" }],
    }],
    status: 400,
    error: '"tiny" does not support thinking',
  },
  {
    name: "#32 suffix on a model without insert",
    send: ["POST", "/api/generate", { model: "tiny", prompt: "x", suffix: "y" }],
    status: 400,
    error: /does not support insert$/,
  },
  {
    name: "#36 an absurd context window",
    send: ["POST", "/api/generate", { model: "tiny", prompt: "x", options: { num_ctx: 1e12 } }],
    status: 400,
    error: /num_ctx.*1000000000000/,
  },
  {
    name: "#36 a negative temperature",
    send: ["POST", "/api/generate", { model: "tiny", prompt: "x", options: { temperature: -1 } }],
    status: 400,
    error: /temperature.*-1/,
  },
  {
    name: "#95 copy of an unknown model",
    send: ["POST", "/api/copy", { source: "nope", destination: "n" }],
    status: 404,
    error: 'model "nope" not found',
  },
  {
    name: "#96 copy to a bad name",
    send: ["POST", "/api/copy", { source: "tiny", destination: "a b" }],
    status: 400,
    error: 'destination "a b" is invalid',
  },
  {
    name: "#96 copy from a bad name",
    send: ["POST", "/api/copy", { source: "a b", destination: "n" }],
    status: 400,
    error: 'source "a b" is invalid',
  },
  {
    name: "#98 delete of an unknown model",
    send: ["DELETE", "/api/delete", { model: "nope" }],
    status: 404,
    error: "model 'nope' not found",
  },
  {
    name: "#98 delete of a bad name",
    send: ["DELETE", "/api/delete", { model: "a b" }],
    status: 400,
    error: 'name "a b" is invalid',
  },
  {
    name: "#103 create from nothing",
    send: ["POST", "/api/create", { model: "x" }],
    status: 400,
    error: "neither 'from' or 'files' was specified",
  },
  {
    name: "#104 create of a bad name",
    send: ["POST", "/api/create", { model: "a b", from: "tiny" }],
    status: 400,
    error: "invalid model name",
  },
  {
    name: "#105 create from an absolute path",
    send: ["POST", "/api/create", {
      model: "x",
      files: { "/abs.gguf": `sha256:${"0".repeat(64)}` },
    }],
    status: 400,
    error: "file path must be relative",
  },
];

for (const row of ROWS) {
  nodeTest(`contract ${row.name} gets ${row.status}`, async () => {
    const [method, path, body] = row.send;
    const response = await node().post(path, body, { method });
    const text = await response.text();
    assert.equal(response.status, row.status, text);
    const { error } = JSON.parse(text);
    if (typeof row.error === "string") assert.equal(error, row.error);
    else assert.match(error, row.error);
  });
}

nodeTest("contract #1 GET / says that it runs", async () => {
  const response = await node().get("/");
  assert.equal(await response.text(), "Ollama is running");
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain/);
});

nodeTest("contract #2 and #3 HEAD answers without a body", async () => {
  for (const path of ["/", "/api/version", "/api/tags"]) {
    const response = await node().get(path, { method: "HEAD" });
    assert.equal(response.status, 200);
    assert.equal(await response.text(), "");
  }
});

nodeTest("contract #3 GET /api/version is a semantic version", async () => {
  const { version } = await (await node().get("/api/version")).json();
  assert.match(version, /^\d+\.\d+\.\d+/);
});

nodeTest("contract #4 to #6 unknown paths, wrong methods and trailing slashes", async () => {
  const unknown = await node().get("/nope");
  assert.equal(unknown.status, 404);
  assert.equal(await unknown.text(), "404 page not found");
  const wrong = await node().get("/api/generate");
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.get("allow"), "POST");
  assert.equal(await wrong.text(), "405 method not allowed");
  const moved = await node().get("/api/tags/", { redirect: "manual" });
  assert.equal(moved.status, 301);
  await moved.body?.cancel();
});

nodeTest("contract #7 and #8 origins", async () => {
  const origin = "http://localhost:3000";
  const near = await node().get("/api/tags", { headers: { origin } });
  assert.equal(near.headers.get("access-control-allow-origin"), origin);
  await near.body?.cancel();
  const far = await node().get("/api/tags", { headers: { origin: "https://evil.example" } });
  assert.equal(far.status, 403);
  assert.equal(await far.text(), "");
});

nodeTest("contract #9 a preflight", async () => {
  const response = await node().get("/api/chat", {
    method: "OPTIONS",
    headers: { origin: "http://127.0.0.1:8080", "access-control-request-method": "POST" },
  });
  assert.equal(response.status, 204);
  assert.equal(response.headers.get("access-control-max-age"), "43200");
  assert.match(response.headers.get("access-control-allow-headers") ?? "", /Authorization/);
});

nodeTest("contract #10 every origin, when the configuration says so", async () => {
  await using open = await startNode({ environment: { OLLAMA_ORIGINS: "*" } });
  const response = await open.get("/api/tags", { headers: { origin: "https://any.example" } });
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  await response.body?.cancel();
});

nodeTest("contract #11 and #12 hosts on a loopback listener", async () => {
  assert.match(await rawStatusLine("evil.example"), / 403 /);
  assert.match(await rawStatusLine(`${Deno.hostname().replace(/\..*/, "")}.local`), / 200 /);
  // Ollama takes any name below .local: whoever answers name queries on a network can make one up.
  assert.match(await rawStatusLine("made-up.local"), / 403 /);
  assert.match(await rawStatusLine("192.168.1.5"), / 200 /);
});

nodeTest("contract #15 malformed JSON gets 400 with an error text", async () => {
  const response = await node().get("/api/chat", { method: "POST", body: "{" });
  assert.equal(response.status, 400);
  assert.equal(typeof (await response.json()).error, "string");
});

nodeTest("contract #135 any bearer is ignored", async () => {
  const response = await node().get("/v1/models", { headers: { authorization: "Bearer x" } });
  assert.equal(response.status, 200);
  await response.body?.cancel();
});

nodeTest("a body over the limit gets 413 and leaves the node serving", async () => {
  await using small = await startNode({
    environment: { ODIST_MAX_BODY: "2KiB" },
  });
  const response = await small.post("/api/generate", { model: "tiny", prompt: "x".repeat(5000) });
  assert.equal(response.status, 413);
  await response.body?.cancel();
  assert.equal((await small.ask("/api/show", { model: "tiny" }))["error"], undefined);
});

nodeTest("health, readiness and metrics answer", async () => {
  assert.deepEqual(await (await node().get("/health")).json(), { status: "ok" });
  assert.deepEqual(await (await node().get("/ready")).json(), {
    ready: true,
    reasons: [],
    answers: true,
    changes: { possible: true },
  });
  const metrics = await (await node().get("/metrics")).text();
  assert.match(metrics, /^odist_http_requests_total\{.*route="\/ready".*\} [1-9]/m);
  assert.match(metrics, /^odist_process_resident_bytes [1-9]/m);
});

/** The status line of a request whose `Host` no HTTP client would send. */
async function rawStatusLine(host: string): Promise<string> {
  const { hostname, port } = new URL(node().origin);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const head = `GET /api/version HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  await connection.write(new TextEncoder().encode(head));
  const buffer = new Uint8Array(1024);
  const length = await connection.read(buffer) ?? 0;
  return new TextDecoder().decode(buffer.subarray(0, length)).split("\r\n")[0] ?? "";
}
