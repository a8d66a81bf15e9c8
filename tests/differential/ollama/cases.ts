import type { Answered, Shape } from "./shape.ts";
import {
  type Case,
  CHAT_LOADED,
  CHATTED,
  COMPLETION,
  GENERATED,
  HI,
  JSON_TYPE,
  LINES_TYPE,
  LISTED,
  LOADED,
  OPENAI_ERROR,
  post,
  refused,
  RENDERED,
  RUNNING,
  SHORT,
  SHOWN,
  TEXT_COMPLETION,
} from "./recorded.ts";
import { seenDifferences } from "./seen_differences.ts";
import { nulls, wrongOptions, wrongTypes } from "./wrong_fields.ts";

/** All of them, over a small model that is there. */
export function ollamaCases(model: string): readonly Case[] {
  return [
    ...serverCases(),
    ...emptyBodies(),
    ...refusals(model),
    ...uselessValues(model),
    ...answers(model),
    ...modelCases(model),
    ...openAiCases(model),
    ...seenDifferences(model),
    ...wrongTypes(model),
    ...wrongOptions(model),
    ...nulls(model),
  ];
}

function serverCases(): readonly Case[] {
  const get = (path: string, recorded: Answered, method = "GET"): Case => ({
    name: `${method} ${path}`,
    method,
    path,
    recorded,
  });
  const fromOrigin = (origin: string, recorded: Answered): Case => ({
    ...get("/api/tags", recorded),
    name: `GET /api/tags from ${origin}`,
    headers: { origin },
  });
  const missing = { status: 404, type: "text/plain" };
  const notAllowed = { status: 405, type: "text/plain" };
  return [
    get("/", { status: 200, type: "text/plain" }),
    get("/", { status: 200 }, "HEAD"),
    get("/api/version", { status: 200, type: JSON_TYPE, shape: { version: "string" } }),
    get("/api/version", { status: 200 }, "HEAD"),
    get("/nope", missing),
    get("/api/nope", missing),
    get("/health/nope", missing),
    ...["generate", "chat", "embed", "embeddings", "show", "create", "copy", "pull", "push"]
      .map((name) => get(`/api/${name}`, notAllowed)),
    get("/api/delete", notAllowed),
    get("/api/tags", notAllowed, "POST"),
    get("/api/ps", notAllowed, "POST"),
    get("/api/tags/", { status: 301 }),
    get("/api/chat/", { status: 307 }, "POST"),
    get("/api/tags", { status: 200 }, "HEAD"),
    fromOrigin("http://localhost:3000", { status: 200 }),
    fromOrigin("https://127.0.0.1", { status: 200 }),
    fromOrigin("app://x", { status: 200 }),
    fromOrigin("vscode-webview://x", { status: 200 }),
    fromOrigin("https://evil.example", { status: 403 }),
    get("/api/blobs/sha256:xyz", { status: 400 }, "HEAD"),
    get(`/api/blobs/sha256:${"0".repeat(64)}`, { status: 404 }, "HEAD"),
    get("/v1/models/nope", {
      status: 404,
      type: JSON_TYPE,
      shape: { error: { message: "string", type: "string", param: "any", code: "any" } },
    }),
  ];
}

function emptyBodies(): readonly Case[] {
  const names = [
    "generate",
    "chat",
    "embed",
    "embeddings",
    "show",
    "create",
    "copy",
    "pull",
    "push",
  ];
  const missing = refused(400, "missing request body");
  return [
    ...names.map((name) => post(`/api/${name}`, "", missing, "with no body")),
    ...names.flatMap((name) =>
      ["{", "[", "nope", '{"model":}', "'x'"].map((text) =>
        post(`/api/${name}`, text, refused(400))
      )
    ),
    {
      name: "DELETE /api/delete with no body",
      method: "DELETE",
      path: "/api/delete",
      body: "",
      recorded: missing,
    },
  ];
}

function refusals(model: string): readonly Case[] {
  const notFound = refused(404, "model 'nope' not found");
  const tryPulling = refused(404, 'model "nope" not found, try pulling it first');
  const required = refused(400, "model is required");
  const badName = refused(400, "invalid model name");
  return [
    post("/api/generate", {}, refused(404, "model '' not found")),
    post("/api/embed", {}, refused(404, "model '' not found")),
    ...["chat", "embeddings", "show", "push"].map((name) => post(`/api/${name}`, {}, required)),
    ...["pull", "create"].map((name) => post(`/api/${name}`, {}, badName)),
    post("/api/generate", { model: "nope", prompt: "x" }, notFound),
    post("/api/chat", { model: "nope", messages: HI }, notFound),
    post("/api/embed", { model: "nope", input: "x" }, tryPulling),
    post("/api/embeddings", { model: "nope", prompt: "x" }, tryPulling),
    post("/api/show", { model: "nope" }, refused(404, "model 'nope:latest' not found")),
    post("/api/copy", { source: "nope", destination: "x" }, refused(404, 'model "nope" not found')),
    post(
      "/api/copy",
      { source: model, destination: "a b" },
      refused(400, 'destination "a b" is invalid'),
    ),
    post("/api/copy", { source: "a b", destination: "x" }, refused(400, 'source "a b" is invalid')),
    ...["bad name!", "-m", "m:", "/m", "h/n/m@sha256:x"].flatMap((name) => [
      post("/api/generate", { model: name, prompt: "x" }, badName),
      post("/api/chat", { model: name, messages: HI }, badName),
      post("/api/show", { model: name }, badName),
      post("/api/pull", { model: name, stream: false }, badName),
    ]),
    post("/api/chat", { model: "m:cloud:local", messages: HI }, refused(400)),
  ];
}

/** Fields of the right type that hold nothing of use. */
function uselessValues(model: string): readonly Case[] {
  const known = { model, prompt: "x" };
  const badName = refused(400, "invalid model name");
  return [
    ...[21, -1, 1000].flatMap((top) => [
      post(
        "/api/generate",
        { ...known, top_logprobs: top },
        refused(400, "top_logprobs must be between 0 and 20"),
      ),
      post(
        "/api/chat",
        { model, messages: HI, top_logprobs: top },
        refused(400, "top_logprobs must be between 0 and 20"),
      ),
    ]),
    ...["ultra", "yes", "High"].map((think) =>
      post(
        "/api/chat",
        { model, messages: HI, think },
        refused(
          400,
          `invalid think value: "${think}" (must be "high", "medium", "low", "max", true, or false)`,
        ),
      )
    ),
    ...[{ system: "s" }, { template: "t" }, { context: [1] }].map((extra) =>
      post(
        "/api/generate",
        { ...known, raw: true, ...extra },
        refused(400, "raw mode does not support template, system, or context"),
      )
    ),
    ...["abc", "300", true, [], {}].flatMap((keep_alive) => [
      post("/api/generate", { ...known, keep_alive }, refused(400)),
      post("/api/chat", { model, messages: HI, keep_alive }, refused(400)),
    ]),
    ...["xml", "yaml"].flatMap((format) => [
      post("/api/generate", { ...known, format }, refused(500)),
      post("/api/chat", { model, messages: HI, format }, refused(500)),
    ]),
    post("/api/generate", { ...known, images: ["not base64!"] }, refused(400)),
    post("/api/generate", { ...known, suffix: "x" }, refused(400)),
    post("/api/create", { model: "x" }, refused(400, "neither 'from' or 'files' was specified")),
    post("/api/create", { model: "a b", from: model }, badName),
    post(
      "/api/create",
      { model: "x", files: { "/abs.gguf": `sha256:${"0".repeat(64)}` } },
      refused(400),
    ),
    ...[1, {}, [1], [{}], true].map((input) =>
      post("/api/embed", { model, input }, refused(400, "invalid input type"))
    ),
  ];
}

function answers(model: string): readonly Case[] {
  const generated = { status: 200, type: JSON_TYPE, shape: GENERATED };
  const chatted = { status: 200, type: JSON_TYPE, shape: CHATTED };
  const whole = { model, stream: false, ...SHORT };
  // The contract's text leaves out what its own table calls always there.
  return [
    post("/api/generate", { model }, { status: 200, type: JSON_TYPE, shape: LOADED }),
    post("/api/chat", { model, messages: [] }, {
      status: 200,
      type: JSON_TYPE,
      shape: CHAT_LOADED,
    }),
    post("/api/generate", { model, prompt: "Hi", ...SHORT }, { ...generated, type: LINES_TYPE }),
    post("/api/chat", { model, messages: HI, ...SHORT }, { ...chatted, type: LINES_TYPE }),
    ...[
      {},
      { unheard_of: 1 },
      { system: "" },
      { template: "" },
      { suffix: "" },
      { context: [] },
      { images: [] },
      { format: "" },
      { format: null },
      { raw: true },
      { system: "Be brief." },
      { context: [1, 2, 3] },
      { options: { mirostat: 2, foo: 1, num_predict: 2 } },
      { options: { stop: ["\n"], num_predict: 2 } },
      { keep_alive: "5m" },
      { keep_alive: 300 },
      { keep_alive: -1 },
      { truncate: false },
      { shift: false },
    ].map((extra) => post("/api/generate", { ...whole, prompt: "Hi", ...extra }, generated)),
    ...[
      {},
      { messages: [{ role: "USER", content: "Hi" }] },
      { messages: [{ role: "system", content: "x" }, ...HI] },
      { messages: [...HI, { role: "assistant", content: "x" }, ...HI] },
      { think: false },
      { tools: [] },
      { format: "" },
      { keep_alive: "5m" },
    ].map((extra) => post("/api/chat", { ...whole, messages: HI, ...extra }, chatted)),
    post("/api/generate", { ...whole, prompt: "Hi", _debug_render_only: true }, {
      status: 200,
      type: JSON_TYPE,
      shape: RENDERED,
    }),
    post("/api/chat", { ...whole, messages: HI, _debug_render_only: true }, {
      status: 200,
      type: JSON_TYPE,
      shape: RENDERED,
    }),
    ...[undefined, null, "", []].map((input) =>
      post("/api/embed", { model, input }, {
        status: 200,
        type: JSON_TYPE,
        shape: { model: "string", embeddings: [] },
      })
    ),
  ];
}

function modelCases(model: string): readonly Case[] {
  return [
    {
      name: "GET /api/tags",
      method: "GET",
      path: "/api/tags",
      recorded: { status: 200, type: JSON_TYPE, shape: LISTED },
    },
    {
      name: "GET /api/ps",
      method: "GET",
      path: "/api/ps",
      recorded: { status: 200, type: JSON_TYPE, shape: RUNNING },
    },
    ...[{ model }, { name: model }, { model, verbose: true }, { model, system: "x" }].map((body) =>
      post("/api/show", body, { status: 200, type: JSON_TYPE, shape: SHOWN })
    ),
    post("/api/copy", { source: model, destination: "differential-copy" }, { status: 200 }),
    {
      name: "DELETE /api/delete",
      method: "DELETE",
      path: "/api/delete",
      body: { model: "differential-copy" },
      recorded: { status: 200 },
    },
    {
      name: "DELETE /api/delete again",
      method: "DELETE",
      path: "/api/delete",
      body: { model: "differential-copy" },
      recorded: refused(404, "model 'differential-copy' not found"),
    },
    {
      name: "DELETE /api/delete nothing",
      method: "DELETE",
      path: "/api/delete",
      body: {},
      recorded: refused(400),
    },
    post("/api/create", { model: "differential-made", from: model, system: "x", stream: false }, {
      status: 200,
      type: JSON_TYPE,
      shape: { status: "string" },
    }),
    post("/api/create", {
      model: "differential-made",
      from: model,
      template: "{{ .Prompt",
      stream: false,
    }, refused(400)),
    {
      name: "DELETE /api/delete made",
      method: "DELETE",
      path: "/api/delete",
      body: { model: "differential-made" },
      recorded: { status: 200 },
    },
  ];
}

function openAiCases(model: string): readonly Case[] {
  const failed = (status: number): Answered => ({ status, type: JSON_TYPE, shape: OPENAI_ERROR });
  const ok = (shape: Shape): Answered => ({ status: 200, type: JSON_TYPE, shape });
  const chat = { model, messages: HI, max_tokens: 3 };
  return [
    ...[
      {},
      { user: "x" },
      { logit_bias: {} },
      { stop: "x" },
      { stop: ["x"] },
      { temperature: 0 },
      { seed: 1 },
      { reasoning_effort: "none" },
      { parallel_tool_calls: true },
    ].map((extra) => post("/v1/chat/completions", { ...chat, ...extra }, ok(COMPLETION))),
    post("/v1/chat/completions", { model, messages: [] }, failed(400)),
    post("/v1/chat/completions", { model: "nope", messages: HI }, failed(404)),
    post(
      "/v1/chat/completions",
      { ...chat, messages: [{ role: "user", content: null }] },
      failed(400),
    ),
    post("/v1/chat/completions", {
      ...chat,
      messages: [{
        role: "user",
        content: [{ type: "image_url", image_url: { url: "http://x/y.png" } }],
      }],
    }, failed(400)),
    post("/v1/completions", { model, prompt: "Hi", max_tokens: 3 }, ok(TEXT_COMPLETION)),
    post("/v1/completions", { model: "nope", prompt: "Hi" }, failed(404)),
    post("/v1/embeddings", { model, input: [] }, failed(400)),
    post("/v1/embeddings", { model }, failed(400)),
    post("/v1/embeddings", { model, input: "x", encoding_format: "hex" }, failed(400)),
    post("/v1/embeddings", { model: "nope", input: "x" }, failed(404)),
    {
      name: "GET /v1/models",
      method: "GET",
      path: "/v1/models",
      recorded: ok({
        object: "string",
        data: [{ id: "string", object: "string", created: "number", owned_by: "string" }],
      }),
    },
    {
      name: `GET /v1/models/${model}`,
      method: "GET",
      path: `/v1/models/${model}`,
      recorded: ok({ id: "string", object: "string", created: "number", owned_by: "string" }),
    },
  ];
}
