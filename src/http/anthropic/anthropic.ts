import type { Answer, ListedModel } from "../../ports/mod.ts";
import { answerChunks } from "../answer_shape.ts";
import { anthropicErrorBody, MessageAnswer } from "./anthropic_answers.ts";
import { parseCountTokens, parseMessageRequest } from "./anthropic_requests.ts";
import { type Exchange, type HttpParts, readOf } from "../exchange.ts";
import { type ApiFamily, resumableRoutes, routesFor } from "../routes.ts";
import { type Failure, plainJsonAnswer, withRetry } from "../wire/mod.ts";

/** What this API's clients send with every request, and no others do. */
const VERSION_HEADER = "anthropic-version";
/** Under which its clients show a request's id. */
const REQUEST_ID_HEADER = "request-id";
const MESSAGE_ID_LENGTH = 24;

/** Anthropic's Messages API. */
export function anthropicFamily(parts: HttpParts): ApiFamily {
  return {
    name: "anthropic",
    failureAnswer: anthropicFailureAnswer,
    routes: [
      ...resumableRoutes({ zstd: true }, {
        "POST /v1/messages": (it) => message(parts, it),
      }),
      ...routesFor("use", {
        "POST /v1/messages/count_tokens": (it) => countTokens(parts, it),
      }),
    ],
  };
}

/** True for clients that read Anthropic's shapes on the paths that two APIs share. */
export function wantsAnthropic(exchange: Exchange): boolean {
  return exchange.request.headers.has(VERSION_HEADER);
}

/** Answers on a shared path; what fails is worded in Anthropic's terms. */
export async function answerAnthropic(
  exchange: Exchange,
  answer: () => Promise<Response>,
): Promise<Response> {
  try {
    return await answer();
  } catch (error) {
    return anthropicFailureAnswer(exchange.describe(error));
  }
}

/** All models on one page. */
export async function listAnthropicModels(
  parts: HttpParts,
  exchange: Exchange,
): Promise<Response> {
  const read = readOf(exchange);
  const data = (await parts.client.listModels(read.options)).map((model) =>
    modelRow(model.name, model)
  );
  const ids = data.map((row) => row.id);
  const page = { has_more: false, first_id: ids[0] ?? null, last_id: ids.at(-1) ?? null };
  return read.answer(plainJsonAnswer({ data, ...page }));
}

export async function showAnthropicModel(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const model = exchange.params["model"] ?? "";
  const read = readOf(exchange);
  const request = { model, verbose: false, options: {} };
  const shown = await parts.client.showModel(request, read.options);
  return read.answer(plainJsonAnswer(modelRow(model, shown)));
}

function modelRow(id: string, { modifiedAtMs }: Pick<ListedModel, "modifiedAtMs">) {
  return {
    type: "model",
    id,
    display_name: id,
    created_at: new Date(modifiedAtMs).toISOString(),
  } as const;
}

function anthropicFailureAnswer(failure: Failure): Response {
  return withRetry(plainJsonAnswer(anthropicErrorBody(failure), failure.status), failure);
}

async function message(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields({ zstd: true });
  exchange.checkAdmitting();
  const { request, stream } = parseMessageRequest(fields);
  let promptUsage = () => ({ promptEvalCount: 0 });
  const shape = new MessageAnswer({
    id: `msg_${exchange.drawId(MESSAGE_ID_LENGTH)}`,
    model: request.model,
    stops: request.options.stop ?? [],
    promptUsage: () => promptUsage(),
  });
  const response = await exchange.whileWaiting(shape, stream, async () => {
    const answer = await parts.client.chat(exchange.labelled(request), exchange.signal);
    exchange.noteServing(answer);
    promptUsage = promptUsageOf(answer);
    return answer.kind === "stream"
      ? await answerChunks(answer.chunks, { exchange, shape, stream })
      : plainJsonAnswer(shape.empty());
  });
  response.headers.set(REQUEST_ID_HEADER, exchange.origin.requestId);
  return response;
}

function promptUsageOf(answer: Answer) {
  return (answer.kind === "stream" ? answer.promptUsage : undefined) ??
    (() => ({ promptEvalCount: 0 }));
}

async function countTokens(parts: HttpParts, exchange: Exchange): Promise<Response> {
  const fields = await exchange.readFields({ zstd: true });
  exchange.checkAdmitting();
  const request = parseCountTokens(fields);
  const tokens = await parts.client.countTokens(exchange.labelled(request), exchange.signal);
  return plainJsonAnswer({ input_tokens: tokens });
}
