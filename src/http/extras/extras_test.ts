// What stands beside Ollama's contract: tokens, ranks, cancelling by id, and what only its vendor's service has.
import assert from "node:assert/strict";
import { appUnderTest, httpRequest, scopedAccess } from "../../../tests/harness/http_app.ts";
import { parseLines } from "../../../tests/harness/json_lines.ts";
import { linkedWork } from "../../../tests/harness/kept_responses.ts";
import { textChunks } from "../../../tests/harness/scripted_client.ts";
import { RequestError } from "../../base/mod.ts";
import type { Answer, EmbedRequest } from "../../ports/mod.ts";
import { OWN_SENDER } from "../trust/mod.ts";

/** Words without end; ends when its request is aborted. */
function endless(signal: AbortSignal): Answer {
  async function* chunks() {
    for (;;) {
      yield* textChunks(["on "]);
      await new Promise((resolve) => setTimeout(resolve));
      signal.throwIfAborted();
    }
  }
  return { kind: "stream", chunks: chunks() };
}

Deno.test("tokenize and detokenize pass on what is asked and say what it took", async () => {
  const { send, client } = appUnderTest();
  const tokens = await send("POST", "/api/tokenize", {
    model: "m",
    content: "Hi",
    add_special: true,
  });
  const spans = { total_duration: 9, load_duration: 1 };
  assert.deepEqual(await tokens.json(), { model: "m", tokens: [72, 105], ...spans });
  assert.equal((client.lastRequest as { addSpecial: boolean }).addSpecial, true);
  const text = await send("POST", "/api/detokenize", { model: "m", tokens: [72, 105] });
  assert.deepEqual(await text.json(), { model: "m", content: "Hi", ...spans });
  for (
    const [path, body, error] of [
      ["/api/tokenize", { content: "x" }, "model is required"],
      ["/api/tokenize", { model: "m" }, "content is required"],
      ["/api/detokenize", { model: "m" }, "tokens is required"],
      ["/api/detokenize", { model: "m", tokens: [1.5] }, /tokens\[0\]: wants integer/],
    ] as const
  ) {
    const refused = await send("POST", path, body);
    assert.equal(refused.status, 400);
    const told = (await refused.json()).error;
    if (typeof error === "string") assert.equal(told, error);
    else assert.match(told, error);
  }
});

const SCORES = [-2, 3.25, 0.5];
const RANKING = {
  script: {
    embed: (request: EmbedRequest) =>
      Promise.resolve({
        vectors: request.inputs.map((_, index) => Float32Array.of(SCORES[index] ?? 0)),
        promptEvalCount: 30,
        totalNs: 5,
        loadNs: 0,
      }),
  },
};

Deno.test("rerank puts the best document first, in the words of both APIs", async () => {
  const { send, client } = appUnderTest(RANKING);
  const documents = ["a", { text: "b" }, "c"];
  const native = await send("POST", "/api/rerank", { model: "r", query: "q", documents });
  assert.deepEqual(await native.json(), {
    model: "r",
    results: [
      { index: 1, relevance_score: 3.25 },
      { index: 2, relevance_score: 0.5 },
      { index: 0, relevance_score: -2 },
    ],
    total_duration: 5,
    load_duration: 1,
    prompt_eval_count: 30,
  });
  const { query, inputs } = client.lastRequest as EmbedRequest;
  assert.deepEqual({ query, inputs }, { query: "q", inputs: ["a", "b", "c"] });
  const body = { model: "r", query: "q", documents, top_n: 1, return_documents: true };
  assert.deepEqual(await (await send("POST", "/v1/rerank", body)).json(), {
    object: "list",
    model: "r",
    results: [{ index: 1, relevance_score: 3.25, document: { text: "b" } }],
    usage: { prompt_tokens: 30, total_tokens: 30 },
  });
});

Deno.test("rerank refuses what is missing or no text, each API in its own envelope", async () => {
  const { send } = appUnderTest(RANKING);
  const refusals = [
    [{ query: "q", documents: [] }, /model is required/],
    [{ model: "r", documents: [] }, /query is required/],
    [{ model: "r", query: "q" }, /documents is required/],
    [{ model: "r", query: "q", documents: [1] }, /documents\[0\]: wants object, got number 1/],
    [{ model: "r", query: "q", documents: [], top_n: -1 }, /top_n must be 0 or more/],
  ] as const;
  for (const [body, wanted] of refusals) {
    const native = await send("POST", "/api/rerank", body);
    assert.equal(native.status, 400);
    assert.match((await native.json()).error, wanted);
    const openAi = await send("POST", "/v1/rerank", body);
    assert.equal(openAi.status, 400);
    assert.match((await openAi.json()).error.message, wanted);
  }
});

Deno.test("cancel ends a running answer by its id, and the answer says so", async () => {
  const { app, send, client } = appUnderTest({
    script: { generate: (_, signal) => Promise.resolve(endless(signal)) },
  });
  const request = httpRequest("POST", "/api/generate", { model: "m", prompt: "go" });
  request.headers.set("x-request-id", "mine-1");
  const answer = await app.fetch(request);
  assert.equal(answer.headers.get("x-request-id"), "mine-1");
  const canceled = await send("POST", "/api/cancel", { request_id: "mine-1" });
  assert.deepEqual([canceled.status, await canceled.json()], [200, { canceled: 1 }]);
  assert.equal(client.calls[0]?.signal?.aborted, true);
  const lines = parseLines(await answer.text());
  assert.deepEqual(lines.at(-1), { error: "request canceled" });
  const again = await send("POST", "/api/cancel", { request_id: "mine-1" });
  assert.equal(again.status, 404);
  assert.match((await again.json()).error, /no request of yours with the id "mine-1" runs/);
});

Deno.test("cancel ends nobody else's answer, unless one rules the cluster", async () => {
  const { app } = appUnderTest({
    access: scopedAccess([]),
    script: { generate: (_, signal) => Promise.resolve(endless(signal)) },
  });
  const send = (path: string, body: unknown, key: string, id: string) => {
    const request = httpRequest("POST", path, body);
    request.headers.set("authorization", `Bearer ${key}`);
    request.headers.set("x-request-id", id);
    const sender = { kind: "machine", address: "203.0.113.9", isOwn: false } as const;
    return app.fetch(request, { sender });
  };
  const answer = await send("/api/generate", { model: "m", prompt: "go" }, "use", "a");
  const cancel = (key: string) => send("/api/cancel", { request_id: "a" }, key, "b");
  assert.equal((await cancel("use+models")).status, 404, "another key");
  assert.equal((await cancel("use+admin")).status, 200);
  assert.match(await answer.text(), /request canceled/);
});

Deno.test("cancel ends an answer that another node gives, by whoever may end it there", async () => {
  const nodes = linkedWork().map((elsewhere) =>
    appUnderTest({
      elsewhere,
      access: scopedAccess([]),
      script: { generate: (_, signal) => Promise.resolve(endless(signal)) },
    })
  );
  const send = (to: number, path: string, body: unknown, from: string, key?: string) => {
    const request = httpRequest("POST", path, body);
    if (key !== undefined) request.headers.set("authorization", `Bearer ${key}`);
    request.headers.set("x-request-id", `at-${to}`);
    const isOwn = from === "127.0.0.1";
    const sender = isOwn ? OWN_SENDER : { kind: "machine", address: from, isOwn } as const;
    const [here, there] = nodes;
    const app = to === 0 ? here?.app : there?.app;
    assert.ok(app !== undefined);
    return app.fetch(request, { sender });
  };
  const go = { model: "m", prompt: "go" };
  const cancel = async (from: string, key?: string) =>
    (await send(1, "/api/cancel", { request_id: "at-0" }, from, key)).status;
  const remote = await send(0, "/api/generate", go, "203.0.113.9", "use");
  assert.equal(await cancel("203.0.113.9", "use+models"), 404, "another key");
  assert.equal(await cancel("203.0.113.9", "use"), 200, "its own");
  assert.match(await remote.text(), /request canceled/);
  const local = await send(0, "/api/generate", go, "127.0.0.1");
  assert.equal(await cancel("203.0.113.9", "use"), 404, "not one's own");
  assert.equal(await cancel("127.0.0.1"), 200, "who rules the cluster");
  assert.match(await local.text(), /request canceled/);
});

Deno.test("cancel frees the place of a request that has no answer yet", async () => {
  const { app, send } = appUnderTest({
    script: {
      chat: (_, signal) =>
        new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason), { once: true })
        ),
    },
  });
  const request = httpRequest("POST", "/api/chat", { model: "m", messages: [] });
  request.headers.set("x-request-id", "waiting");
  const answer = app.fetch(request);
  let status = 404;
  while (status === 404) {
    status = (await send("POST", "/api/cancel", { request_id: "waiting" })).status;
    await new Promise((resolve) => setTimeout(resolve));
  }
  assert.deepEqual([(await answer).status, await (await answer).json()], [
    499,
    { error: "request canceled" },
  ]);
  assert.equal((await send("POST", "/api/cancel", {})).status, 400);
});

Deno.test("what only the vendor's service has is refused as such, in JSON", async () => {
  const { send } = appUnderTest();
  const endpoints = [
    ["POST", "/api/me"],
    ["POST", "/api/signout"],
    ["DELETE", "/api/user/keys/abc"],
    ["POST", "/api/experimental/web_search"],
    ["POST", "/api/experimental/web_fetch"],
  ] as const;
  for (const [method, path] of endpoints) {
    const answer = await send(method, path);
    assert.equal(answer.status, 501, path);
    assert.match((await answer.json()).error, /^ollama cloud is disabled: odist has no hosted/);
  }
  const recommended = await send("GET", "/api/experimental/model-recommendations");
  assert.deepEqual(await recommended.json(), { recommendations: [] });
  const transcript = await send("POST", "/v1/audio/transcriptions");
  assert.equal(transcript.status, 501);
  assert.match((await transcript.json()).error.message, /takes audio/);
});

Deno.test("a model that can't rank is refused in the words of its node", async () => {
  const refusal = new RequestError("unsupported_capability", '"m" does not support rerank');
  const { send } = appUnderTest({ script: { embed: () => Promise.reject(refusal) } });
  const answer = await send("POST", "/api/rerank", { model: "m", query: "q", documents: ["d"] });
  assert.deepEqual([answer.status, await answer.json()], [400, {
    error: '"m" does not support rerank',
  }]);
});
