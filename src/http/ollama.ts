import { invalidRequest, RequestError } from "../base/mod.ts";
import type { Answer, ChatRequest, EmbedRequest, GenerateRequest } from "../ports/mod.ts";
import { answerChunks } from "./answer_shape.ts";
import { type Exchange, type HttpParts, requireModel } from "./exchange.ts";
import {
  ChatLines,
  GenerateLines,
  loadSpanNs,
  nativeErrorBody,
  type NativeLines,
  spanNs,
} from "./ollama_lines.ts";
import { type ApiFamily, resumableRoutes, routesFor } from "./routes.ts";
import {
  defined,
  type Failure,
  type Fields,
  jsonAnswer,
  longJsonAnswer,
  parseEmbedTexts,
  parseFormat,
  parseImages,
  parseKeepAlive,
  parseMessages,
  parseOptions,
  parseThink,
  parseTools,
  parseTopLogprobs,
  textAnswer,
  withRetry,
} from "./wire/mod.ts";

/**
 * The release of Ollama whose contract is answered. Clients refuse servers whose `version` is below what they need, and
 * what they need is the contract's, not odist's own, which stands beside it.
 */
const CONTRACT_VERSION = "0.33.0";

/** An error in the native API's words. */
export function nativeFailureAnswer(failure: Failure): Response {
  return withRetry(jsonAnswer(nativeErrorBody(failure), failure.status), failure);
}

/** The native inference endpoints (contract 1.4, 1.5, 1.9) and what identifies the server. */
export function ollamaFamily(parts: HttpParts): ApiFamily {
  return {
    name: "ollama",
    failureAnswer: nativeFailureAnswer,
    routes: [
      ...routesFor("use", {
        "GET /": ({ request }) => rootAnswer(parts, request),
        "GET /api/version": () => jsonAnswer({ version: CONTRACT_VERSION, odist: parts.version }),
        // There is no hosted service behind odist, which is what "disabled" tells clients.
        "GET /api/status": () => jsonAnswer({ cloud: { disabled: true, source: "config" } }),
      }),
      ...resumableRoutes({ zstd: false }, {
        "POST /api/generate": (exchange) => generate(parts, exchange),
        "POST /api/chat": (exchange) => chat(parts, exchange),
        "POST /api/embed": (exchange) => embed(parts, exchange),
        "POST /api/embeddings": (exchange) => embeddings(parts, exchange),
      }),
    ],
  };
}

/** Ollama's words, unless it is a browser that asks for something to show. */
function rootAnswer({ page }: HttpParts, { headers }: Request): Response {
  const isBrowser = headers.get("accept")?.includes("text/html") === true;
  if (page === undefined || !isBrowser) return textAnswer("Ollama is running");
  return new Response(null, { status: 302, headers: { location: "/ui", vary: "accept" } });
}

async function generate(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields();
  exchange.checkAdmitting();
  const request = parseGenerate(fields);
  // Read before anything is started: what is refused afterwards would hold its slot.
  const stream = fields.boolean("stream") ?? true;
  const lines = new GenerateLines(request.model, parts.clock, { raw: request.raw });
  return await exchange.whileWaiting(lines, stream, async () => {
    const answer = await parts.client.generate(exchange.labelled(request), exchange.signal);
    exchange.noteServing(answer);
    return await answerWith({ exchange, answer, lines, stream });
  });
}

async function chat(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields();
  exchange.checkAdmitting();
  const request = parseChat(fields);
  const stream = fields.boolean("stream") ?? true;
  const lines = new ChatLines(request.model, parts.clock, { tools: request.tools.length > 0 });
  return await exchange.whileWaiting(lines, stream, async () => {
    const answer = await parts.client.chat(exchange.labelled(request), exchange.signal);
    exchange.noteServing(answer);
    return await answerWith({ exchange, answer, lines, stream });
  });
}

function parseGenerate(fields: Fields): GenerateRequest {
  const request = defined({
    ...parseInference(fields),
    prompt: fields.string("prompt") ?? "",
    suffix: fields.string("suffix") ?? "",
    // Clients in Go send every field they know: empty is absent.
    system: fields.string("system") || undefined,
    template: fields.string("template") || undefined,
    context: nonEmpty(fields.integers("context")),
    raw: fields.boolean("raw") ?? false,
    images: parseImages(fields),
  });
  if (request.model.trim() === "") throw new RequestError("model_not_found", "model '' not found");
  if (request.raw && (request.template || request.system || request.context?.length)) {
    throw invalidRequest("raw mode does not support template, system, or context");
  }
  return request;
}

function nonEmpty<T>(list: readonly T[] | undefined): readonly T[] | undefined {
  return list?.length === 0 ? undefined : list;
}

function parseChat(fields: Fields): ChatRequest {
  const request = {
    ...parseInference(fields),
    messages: parseMessages(fields),
    tools: parseTools(fields),
  };
  requireModel(fields);
  return request;
}

function parseInference(fields: Fields) {
  return defined({
    model: fields.string("model") ?? "",
    topLogprobs: parseTopLogprobs(fields),
    think: parseThink(fields.raw("think")),
    keepAliveMs: parseKeepAlive(fields.raw("keep_alive")),
    options: parseOptions(fields.object("options")),
    format: parseFormat(fields.raw("format")),
    truncate: fields.boolean("truncate") ?? true,
    shift: fields.boolean("shift") ?? true,
    debugRenderOnly: fields.boolean("_debug_render_only") ?? false,
  });
}

async function answerWith(parts: {
  readonly exchange: Exchange;
  readonly answer: Answer;
  readonly lines: NativeLines;
  readonly stream: boolean;
}): Promise<Response> {
  const { exchange, answer, lines } = parts;
  switch (answer.kind) {
    case "load":
    case "unload":
      return jsonAnswer(lines.loadLine(answer.kind));
    case "rendered":
      return jsonAnswer(lines.renderedLine(answer));
    case "stream":
      return await answerChunks(answer.chunks, { exchange, shape: lines, stream: parts.stream });
  }
}

async function embed(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields();
  exchange.checkAdmitting();
  const model = fields.string("model") ?? "";
  const request: EmbedRequest = defined({
    model,
    inputs: parseEmbedInputs(fields.raw("input")),
    truncate: fields.boolean("truncate") ?? true,
    dimensions: fields.integer("dimensions") || undefined,
    keepAliveMs: parseKeepAlive(fields.raw("keep_alive")),
    options: parseOptions(fields.object("options")),
  });
  if (model.trim() === "") throw new RequestError("model_not_found", "model '' not found");
  const answer = await parts.client.embed(exchange.labelled(request), exchange.signal);
  exchange.noteServing(answer);
  exchange.countTokens({ promptEvalCount: answer.promptEvalCount, evalCount: 0 });
  checkFinite(answer.vectors);
  return longJsonAnswer({
    before: { model },
    listName: "embeddings",
    rows: answer.vectors,
    encodeRow: vectorJson,
    // Nothing was computed for an empty list, and its answer has no figures.
    after: request.inputs.length === 0 ? {} : {
      total_duration: spanNs(answer.totalNs),
      load_duration: loadSpanNs(answer.loadNs),
      prompt_eval_count: answer.promptEvalCount || undefined,
    },
  });
}

async function embeddings(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields();
  exchange.checkAdmitting();
  const prompt = fields.string("prompt") ?? "";
  const request: EmbedRequest = defined({
    model: fields.string("model") ?? "",
    inputs: prompt === "" ? [] : [prompt],
    truncate: true,
    keepAliveMs: parseKeepAlive(fields.raw("keep_alive")),
    options: parseOptions(fields.object("options")),
  });
  requireModel(fields);
  const answer = await parts.client.embed(exchange.labelled(request), exchange.signal);
  exchange.noteServing(answer);
  exchange.countTokens({ promptEvalCount: answer.promptEvalCount, evalCount: 0 });
  checkFinite(answer.vectors);
  const [vector] = answer.vectors;
  return jsonAnswer({ embedding: vector === undefined ? [] : vectorNumbers(vector) });
}

/** `""`, `[]`, null and absent only load the model. @throws RequestError `invalid_request`. */
function parseEmbedInputs(input: unknown): readonly string[] {
  if (input === undefined || input === "") return [];
  if (typeof input === "string") return [input];
  const texts = parseEmbedTexts(input);
  if (texts !== undefined) return texts;
  throw invalidRequest("invalid input type");
}

/** JSON has no NaN and no infinity. @throws RequestError `invalid_request`. */
export function checkFinite(vectors: readonly Float32Array[]): void {
  if (vectors.every((vector) => vector.every(Number.isFinite))) return;
  throw invalidRequest("embedding contains NaN or Inf values");
}

/** JSON text of one vector. */
export function vectorJson(vector: Float32Array): string {
  return JSON.stringify(vectorNumbers(vector));
}

/** A float32 needs nine digits at most; its double's seventeen would only say noise. */
function vectorNumbers(vector: Float32Array): number[] {
  return Array.from(vector, (value) => Number(value.toPrecision(9)));
}
