import type { Answered } from "./shape.ts";
import {
  type Case,
  CHATTED,
  ERROR,
  GENERATED,
  HI,
  JSON_TYPE,
  LINES_TYPE,
  OPENAI_ERROR,
  post,
  refused,
  RENDERED,
  SHORT,
  VECTORS,
} from "./recorded.ts";

const NO_BLOB = `sha256:${"0".repeat(64)}`;
/** Of the one byte `x`, with the other mark. */
const DASHED = "sha256-2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
const WEATHER = {
  name: "get_weather",
  description: "Get the current weather in a city",
  parameters: {
    type: "object",
    properties: { city: { type: "string", description: "The name of the city" } },
    required: ["city"],
  },
};

/**
 * Requests that a real Ollama was seen to answer in another way than odist once did: what was mended stays mended, and
 * what is meant is among the allowed.
 */
export function seenDifferences(model: string): readonly Case[] {
  return [
    ...ofOptions(model),
    ...ofPrompts(model),
    ...ofEmbeddings(model),
    ...ofCreating(model),
    ...ofTemplates(model),
    ...ofRouting(model),
    ...ofOpenAi(model),
    ...ofAnthropic(model),
  ];
}

const lines = (shape: Answered["shape"], values?: Answered["values"]): Answered => ({
  status: 200,
  type: LINES_TYPE,
  ...(shape === undefined ? {} : { shape }),
  ...(values === undefined ? {} : { values }),
});
const done = (shape: Answered["shape"], values?: Answered["values"]): Answered => ({
  ...lines(shape, values),
  type: JSON_TYPE,
});

function ofOptions(model: string): readonly Case[] {
  const ask = (options: object, recorded: Answered) =>
    post(
      "/api/generate",
      {
        model,
        prompt: "Hi",
        stream: false,
        options: { ...SHORT.options, ...options },
      },
      recorded,
      `options ${JSON.stringify(options)}`,
    );
  const ranges = [
    { num_ctx: -1 },
    { num_ctx: 16_777_217 },
    { temperature: -1 },
    { top_k: -5 },
    { top_p: 5 },
    { top_p: -1 },
    { min_p: 2 },
    { num_thread: -1 },
    { num_batch: -1 },
  ];
  return [
    ask({ stop: [""] }, done(undefined, { response: "", done_reason: "stop" })),
    ...ranges.map((options) => ask(options, done(GENERATED))),
    ask({ repeat_last_n: -1 }, refused(400)),
    ask({ num_batch: 1 }, refused(500)),
  ];
}

function ofPrompts(model: string): readonly Case[] {
  const options = { ...SHORT.options, num_ctx: 512 };
  const long = "a b c ".repeat(2_000);
  const question = [{ role: "user", content: "What is the weather in Paris?" }];
  const tools = [{ type: "function", function: WEATHER }];
  const { parameters: _none, ...bare } = WEATHER;
  return [
    post(
      "/api/generate",
      { model, prompt: long, stream: false, options },
      done(GENERATED, { prompt_eval_count: 258 }),
      "a prompt over the window",
    ),
    post(
      "/api/chat",
      { model, messages: [{ role: "user", content: long }], stream: false, options },
      done(CHATTED, { prompt_eval_count: 258 }),
      "a message over the window",
    ),
    post("/api/chat", { model, messages: HI, _debug_render_only: true }, {
      ...done(RENDERED),
      values: { "message.role": "", "message.content": "" },
    }, "rendered only"),
    post(
      "/api/chat",
      { model, messages: question, tools, options: { temperature: 0 } },
      lines({
        ...CHATTED as object,
        message: { role: "string", content: "string", tool_calls: ["object"] },
      }),
      "a tool call, streamed",
    ),
    post(
      "/api/chat",
      { model, messages: HI, tools: [{ type: "function", function: bare }], stream: false },
      refused(400),
      "a tool without parameters",
    ),
  ];
}

function ofEmbeddings(model: string): readonly Case[] {
  return [
    post("/api/embed", { model, input: "x" }, refused(501), "of a completion model"),
    post("/api/embeddings", { model, prompt: "x" }, refused(500), "of a completion model"),
    post("/api/embed", { model, input: ["x", ""] }, refused(400), "with an empty text"),
    post(
      "/api/embed",
      { model: VECTORS, input: "a b c ".repeat(2_000) },
      done(undefined, { prompt_eval_count: 1022 }),
      "of a text over the window",
    ),
    post("/api/embed", { model: VECTORS, input: [] }, done({ model: "string", embeddings: [] })),
    ...["chat", "generate"].map((action) =>
      post(
        `/api/${action}`,
        { model: VECTORS, messages: HI, prompt: "x" },
        refused(400, `"${VECTORS}" does not support ${action}`),
      )
    ),
    {
      name: "DELETE /api/delete vectors",
      method: "DELETE",
      path: "/api/delete",
      body: { model: VECTORS },
      recorded: { status: 200 },
    },
  ];
}

function ofCreating(model: string): readonly Case[] {
  const create = (body: object, recorded: Answered, name: string) =>
    post("/api/create", { model: "differential-seen", ...body }, recorded, name);
  const absent = { "m.gguf": NO_BLOB };
  const failed: Answered = lines(ERROR);
  const parent = model.includes(":") ? model : `${model}:latest`;
  return [
    create({ files: absent }, failed, "of an absent blob"),
    create({ files: absent, stream: false }, refused(500), "of an absent blob, whole"),
    create({ files: { "m.gguf": "sha256:zz" } }, failed, "of a bad digest"),
    create({ from: model, quantize: "q2_k" }, failed, "in an unknown precision"),
    post("/api/push", { model: "a b" }, failed, "a bad name"),
    create({ from: model, adapters: {} }, refused(400, "unknown type"), "with no adapters"),
    create({ from: model, quantize: "q8_0" }, failed, "in the precision it has"),
    create(
      { from: model, parameters: { temperature: "0.1" }, stream: false },
      done({ status: "string" }),
      "a parameter of another type",
    ),
    create({ from: "x", remote_host: "http://127.0.0.1:9" }, lines(undefined), "a stub"),
    create({ from: "x:cloud" }, lines(undefined), "a stub of the cloud"),
    create({ from: model, template: "{{ .Prompt" }, refused(400, UNCLOSED), "a broken template"),
    create(
      { from: model, template: '{{ template "none" }}' },
      refused(400),
      "an undefined template",
    ),
    create({ from: model, system: "x", stream: false }, done({ status: "string" }), "of a parent"),
    post(
      "/api/show",
      { model: "differential-seen" },
      { status: 200, type: JSON_TYPE, values: { "details.parent_model": parent } },
      "of a parent",
    ),
    {
      name: "DELETE /api/delete seen",
      method: "DELETE",
      path: "/api/delete",
      body: { model: "differential-seen" },
      recorded: { status: 200 },
    },
    {
      name: "POST /api/blobs with a dash",
      method: "POST",
      path: `/api/blobs/${DASHED}`,
      body: "x",
      recorded: { status: 400 },
    },
  ];
}

const UNCLOSED = "template error: template: :1: unclosed action";

function ofTemplates(model: string): readonly Case[] {
  const render = (template: string, recorded: Answered) =>
    post(
      "/api/generate",
      { model, prompt: "Hi", stream: false, template, ...SHORT },
      recorded,
      `template ${template}`,
    );
  const shown = (text: string): Answered =>
    done(RENDERED, { "_debug_info.rendered_template": text });
  return [
    render("{{ index .Messages 9 }}", refused(500)),
    render("{{ .Prompt | call }}", refused(500)),
    render("{{ range .Messages }}{{ .Nope }}{{ end }}", refused(500)),
    post(
      "/api/generate",
      {
        model,
        prompt: "Hi",
        template: "{{ len .Messages }}{{ .Tools }}",
        _debug_render_only: true,
      },
      shown("1null"),
      "template with no tools",
    ),
  ];
}

function ofRouting(model: string): readonly Case[] {
  const preflight = {
    origin: "http://localhost:3000",
    "access-control-request-method": "POST",
  };
  return [
    {
      name: "OPTIONS /api/chat",
      method: "OPTIONS",
      path: "/api/chat",
      headers: preflight,
      recorded: {
        status: 204,
        headers: {
          allow: "POST",
          vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
          "access-control-max-age": "43200",
        },
      },
    },
    {
      name: "GET //api/tags",
      method: "GET",
      path: "//api/tags",
      recorded: { status: 307, headers: { location: "/api/tags" } },
    },
    {
      name: "GET /api/tags/ with its body",
      method: "GET",
      path: "/api/tags/",
      recorded: { status: 301, type: "text/html", headers: { location: "/api/tags" } },
    },
    {
      name: "GET /v1/models of a namespace",
      method: "GET",
      path: `/v1/models/library%2F${model}`,
      recorded: { status: 404 },
    },
    ...["generate", "chat"].map((name) =>
      post(`/api/${name}`, { model: "x:cloud", prompt: "x", messages: HI }, refused(403))
    ),
  ];
}

function ofOpenAi(model: string): readonly Case[] {
  const chat = { model, messages: HI, max_tokens: 3 };
  const failed = (status: number): Answered => ({ status, type: JSON_TYPE, shape: OPENAI_ERROR });
  const answered: Answered = { status: 200, type: JSON_TYPE };
  return [
    post("/v1/chat/completions", { ...chat, stop: 5 }, answered),
    post("/v1/chat/completions", { ...chat, stop: [1] }, answered),
    post("/v1/chat/completions", { ...chat, reasoning_effort: "huge" }, failed(400)),
    post("/v1/chat/completions", { ...chat, model: "x:cloud" }, refused(403)),
    post("/v1/completions", { model, prompt: "" }, {
      ...answered,
      values: { "choices.0.text": "", "choices.0.finish_reason": "load" },
    }),
    ...[{}, { model, input: 1 }].map((body) => post("/v1/responses", body, failed(400))),
    post("/v1/responses", { model: "nope", input: "x" }, failed(404)),
    post("/v1/responses", { model, input: "Hi", max_output_tokens: 3 }, {
      ...answered,
      values: { object: "response", "output.0.type": "message" },
    }),
  ];
}

function ofAnthropic(model: string): readonly Case[] {
  const failed = (status: number, type: string, message?: string): Answered => ({
    status,
    type: JSON_TYPE,
    shape: { type: "string", error: { type: "string", message: "string" }, request_id: "string" },
    values: {
      type: "error",
      "error.type": type,
      ...(message === undefined ? {} : { "error.message": message }),
    },
  });
  const asked = { model, max_tokens: 3, messages: HI };
  const invalid = "invalid_request_error";
  return [
    post("/v1/messages", { ...asked, model: "" }, failed(400, invalid, "model is required")),
    post(
      "/v1/messages",
      { model, messages: HI },
      failed(400, invalid, "max_tokens is required and must be positive"),
    ),
    post("/v1/messages", { ...asked, messages: [] }, failed(400, invalid, "messages is required")),
    post("/v1/messages", { ...asked, model: "nope" }, failed(404, "not_found_error")),
    post("/v1/messages", asked, {
      status: 200,
      type: JSON_TYPE,
      values: { type: "message", role: "assistant", stop_reason: "max_tokens" },
    }),
  ];
}
