import { RequestError } from "../../base/mod.ts";
import type { Answer, RequestOptions } from "../../ports/mod.ts";
import { answerChunks } from "../answer_shape.ts";
import {
  answerAnthropic,
  listAnthropicModels,
  showAnthropicModel,
  wantsAnthropic,
} from "../anthropic/mod.ts";
import { type Exchange, type HttpParts, readOf } from "../exchange.ts";
import { checkFinite, vectorJson } from "../ollama.ts";
import { answerChoices } from "./choices.ts";
import {
  answerHead,
  ChatCompletion,
  NO_TOKENS,
  openAiErrorBody,
  TextCompletion,
} from "./openai_answers.ts";
import {
  parseChatCompletion,
  parseChoiceCount,
  parseCompletions,
  parseEmbedding,
  parseStreaming,
} from "./openai_requests.ts";
import { type ApiFamily, resumableRoutes, routesFor } from "../routes.ts";
import {
  type Failure,
  longJsonAnswer,
  PLAIN_JSON_CONTENT_TYPE,
  plainJsonAnswer,
  withRetry,
} from "../wire/mod.ts";

/** Who owns a model whose name has no namespace. */
const DEFAULT_NAMESPACE = "library";
/** The OpenAI-compatible endpoints (contract 1.13). */
export function openAiFamily(parts: HttpParts): ApiFamily {
  return {
    name: "openai",
    failureAnswer: openAiFailureAnswer,
    routes: [
      ...resumableRoutes({ zstd: true }, {
        "POST /v1/chat/completions": (it) => chatCompletion(parts, it),
        "POST /v1/completions": (it) => completion(parts, it),
        "POST /v1/embeddings": (it) => embedding(parts, it),
      }),
      ...routesFor("use", {
        "POST /v1/audio/transcriptions": () => {
          throw new RequestError("unsupported_capability", "no model of odist takes audio", {
            status: 501,
          });
        },
        "GET /v1/models": (it) => models(parts, it),
        "GET /v1/models/:model": (it) => model(parts, it),
      }),
    ],
  };
}

/** An error in the OpenAI API's words. */
export function openAiFailureAnswer(failure: Failure): Response {
  return withRetry(plainJsonAnswer(openAiErrorBody(failure), failure.status), failure);
}

async function chatCompletion(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields({ zstd: true });
  exchange.checkAdmitting();
  const request = parseChatCompletion(fields);
  const { stream, includeUsage } = parseStreaming(fields);
  const count = parseChoiceCount(fields);
  const head = answerHead("chatcmpl", request.model, exchange);
  if (count > 1) {
    const asks = copies([request], count).map((copy) => (signal: AbortSignal) =>
      parts.client.chat(exchange.labelled(copy), signal)
    );
    const shapes = asks.map((_, index) =>
      new ChatCompletion(head, { includeUsage, index, isOneOfMany: true })
    );
    return await answerChoices({ exchange, asks, shapes, answersPerPrompt: count, stream });
  }
  const shape = new ChatCompletion(head, { includeUsage });
  return await exchange.whileWaiting(shape, stream, async () => {
    const answer = await parts.client.chat(exchange.labelled(request), exchange.signal);
    exchange.noteServing(answer);
    return await answerWith({ exchange, answer, shape, stream });
  });
}

async function completion(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields({ zstd: true });
  exchange.checkAdmitting();
  const prompts = parseCompletions(fields);
  const [request] = prompts;
  const { stream, includeUsage } = parseStreaming(fields);
  const count = parseChoiceCount(fields, prompts.length);
  const head = answerHead("cmpl", request.model, exchange);
  if (count * prompts.length > 1) {
    const asks = copies(prompts, count).map((copy) => (signal: AbortSignal) =>
      parts.client.generate(exchange.labelled(copy), signal)
    );
    const shapes = asks.map((_, index) =>
      new TextCompletion(head, { includeUsage, index, isOneOfMany: true })
    );
    return await answerChoices({ exchange, asks, shapes, answersPerPrompt: count, stream });
  }
  const shape = new TextCompletion(head, { includeUsage });
  return await exchange.whileWaiting(shape, stream, async () => {
    const answer = await parts.client.generate(exchange.labelled(request), exchange.signal);
    exchange.noteServing(answer);
    return await answerWith({ exchange, answer, shape, stream });
  });
}

/** Each request so many times; a seed that was given is counted up, or all answers would be the same. */
function copies<T extends { readonly options: RequestOptions }>(
  requests: readonly T[],
  count: number,
): readonly T[] {
  return requests.flatMap((request) =>
    Array.from({ length: count }, (_, index): T => {
      const { seed } = request.options;
      if (seed === undefined) return request;
      return { ...request, options: { ...request.options, seed: seed + index } };
    })
  );
}

async function answerWith(parts: {
  readonly exchange: Exchange;
  readonly answer: Answer;
  readonly shape: ChatCompletion | TextCompletion;
  readonly stream: boolean;
}): Promise<Response> {
  const { exchange, answer, shape, stream } = parts;
  if (answer.kind === "rendered") {
    return plainJsonAnswer({
      ...emptyAnswer(shape),
      _debug_info: { rendered_template: answer.text, image_count: answer.imageCount || undefined },
    });
  }
  if (answer.kind !== "stream") return plainJsonAnswer(emptyAnswer(shape));
  return await answerChunks(answer.chunks, { exchange, shape, stream });
}

function emptyAnswer(shape: ChatCompletion | TextCompletion): object {
  return shape.whole({ doneReason: "stop", metrics: NO_TOKENS });
}

async function embedding(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields({ zstd: true });
  exchange.checkAdmitting();
  const { inputs, encoding, ...rest } = parseEmbedding(fields);
  const request = {
    ...rest,
    inputs: await textsOf(parts, exchange, { model: rest.model, inputs }),
  };
  const answer = await parts.client.embed(exchange.labelled(request), exchange.signal);
  exchange.noteServing(answer);
  exchange.countTokens({ promptEvalCount: answer.promptEvalCount, evalCount: 0 });
  checkFinite(answer.vectors);
  const encode = encoding === "float" ? vectorJson : vectorBase64;
  return longJsonAnswer({
    before: { object: "list" },
    listName: "data",
    contentType: PLAIN_JSON_CONTENT_TYPE,
    rows: answer.vectors,
    encodeRow: (vector, index) =>
      `{"object":"embedding","embedding":${encode(vector)},"index":${index}}`,
    after: {
      model: request.model,
      usage: { prompt_tokens: answer.promptEvalCount, total_tokens: answer.promptEvalCount },
    },
  });
}

/** Tokens are read in the model's own vocabulary, which a client that made them with another one is told. */
async function textsOf(
  parts: HttpParts,
  exchange: Exchange,
  { model, inputs }: {
    readonly model: string;
    readonly inputs: readonly (string | readonly number[])[];
  },
): Promise<readonly string[]> {
  const texts: string[] = [];
  for (const input of inputs) {
    if (typeof input === "string") {
      texts.push(input);
      continue;
    }
    const request = { model, tokens: input, options: {} };
    const { text } = await parts.client.detokenize(exchange.labelled(request), exchange.signal);
    texts.push(text);
  }
  if (inputs.some((input) => typeof input !== "string")) {
    exchange.warn(["token ids in input were read in the model's own vocabulary"]);
  }
  return texts;
}

/** JSON text: little-endian float32, as every machine odist runs on holds them. */
function vectorBase64(vector: Float32Array): string {
  const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  return `"${bytes.toBase64()}"`;
}

/** Two APIs have their models here; only the one's clients name its version. */
async function models(parts: HttpParts, exchange: Exchange): Promise<Response> {
  return wantsAnthropic(exchange)
    ? await answerAnthropic(exchange, () => listAnthropicModels(parts, exchange))
    : await listModels(parts, exchange);
}

async function model(parts: HttpParts, exchange: Exchange): Promise<Response> {
  return wantsAnthropic(exchange)
    ? await answerAnthropic(exchange, () => showAnthropicModel(parts, exchange))
    : await showModel(parts, exchange);
}

async function listModels(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const read = readOf(exchange);
  const models = await parts.client.listModels(read.options);
  const answer = plainJsonAnswer({
    object: "list",
    data: models.map((model) =>
      modelRow({ id: model.name, modifiedAtMs: model.modifiedAtMs, owner: model.namespace })
    ),
  });
  return read.answer(answer);
}

async function showModel(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const model = exchange.params["model"] ?? "";
  const read = readOf(exchange);
  const request = { model, verbose: false, options: {} };
  const shown = await parts.client.showModel(request, read.options);
  const owner = model.split("/").at(-2) ?? DEFAULT_NAMESPACE;
  const row = modelRow({ id: model, modifiedAtMs: shown.modifiedAtMs, owner });
  return read.answer(plainJsonAnswer(row));
}

function modelRow(
  model: { readonly id: string; readonly modifiedAtMs: number; readonly owner: string },
): object {
  return {
    id: model.id,
    object: "model",
    created: Math.floor(model.modifiedAtMs / 1000),
    owned_by: model.owner,
  };
}
