import { RequestError } from "../../base/mod.ts";
import type { Answer, AnswerChunk, ResponseRecord } from "../../ports/mod.ts";
import { answerChunks } from "../answer_shape.ts";
import { drawId } from "../draw_id.ts";
import type { Exchange, HttpParts } from "../exchange.ts";
import { openAiFailureAnswer } from "../openai/mod.ts";
import { type ApiFamily, routesFor } from "../routes.ts";
import { plainJsonAnswer } from "../wire/mod.ts";
import { Background } from "./background.ts";
import type { Item } from "./items.ts";
import { bareResponse, ResponseAnswer, type ResponseHead } from "./response_answers.ts";
import { chatRequestOf, parseResponseRequest, type ResponseRequest } from "./response_requests.ts";
import { recordOf, Stored } from "./stored.ts";

const ID_LENGTH = 48;
/** Items of one page of a response's input. */
const PAGE_DEFAULT = 20;
const PAGE_MAX = 100;

/** OpenAI's Responses API, with what is kept of it. */
export function responsesFamily(parts: HttpParts): ApiFamily {
  const endpoints = new ResponseEndpoints(parts);
  const path = "/v1/responses";
  return {
    name: "responses",
    failureAnswer: openAiFailureAnswer,
    routes: routesFor("use", {
      [`POST /v1/responses`]: (it) => endpoints.create(it),
      [`POST ${path}/input_tokens`]: (it) => endpoints.countTokens(it),
      [`GET ${path}/:id`]: (it) => endpoints.find(it),
      [`DELETE ${path}/:id`]: (it) => endpoints.remove(it),
      [`POST ${path}/:id/cancel`]: (it) => endpoints.cancel(it),
      [`GET ${path}/:id/input_items`]: (it) => endpoints.inputItems(it),
    }),
  };
}

/** A request with the conversation before it. */
interface Asked {
  readonly request: ResponseRequest;
  readonly history: readonly Item[];
  readonly head: ResponseHead;
}

class ResponseEndpoints {
  readonly #parts: HttpParts;
  readonly #stored: Stored;
  readonly #background = new Background();

  constructor(parts: HttpParts) {
    this.#parts = parts;
    this.#stored = new Stored(parts.responses, parts.log);
  }

  async create(exchange: Exchange): Promise<Response> {
    const asked = await this.#read(exchange);
    exchange.warn(asked.request.warnings);
    if (asked.request.background) return await this.#runInBackground(asked, exchange);
    const { request, history, head } = asked;
    const chat = exchange.labelled(chatRequestOf(request, history));
    const answer = await this.#parts.client.chat(chat, exchange.signal);
    exchange.noteServing(answer);
    const shape = new ResponseAnswer(head);
    const chunks = this.#keeping(chunksOf(answer), asked, shape);
    return await answerChunks(chunks, { exchange, shape, stream: request.stream });
  }

  async countTokens(exchange: Exchange): Promise<Response> {
    const { request, history } = await this.#read(exchange);
    const chat = exchange.labelled(chatRequestOf(request, history));
    const tokens = await this.#parts.client.countTokens(chat, exchange.signal);
    return plainJsonAnswer({ object: "response.input_tokens", input_tokens: tokens });
  }

  async find(exchange: Exchange): Promise<Response> {
    if (new URL(exchange.request.url).searchParams.get("stream") === "true") {
      const message = "stream: a stored response can't be streamed: leave it out and poll";
      throw new RequestError("invalid_request", message);
    }
    return plainJsonAnswer((await this.#stored.find(idOf(exchange))).response);
  }

  async remove(exchange: Exchange): Promise<Response> {
    const id = idOf(exchange);
    this.#background.cancel(id);
    await this.#stored.remove(id);
    return plainJsonAnswer({ id, object: "response", deleted: true });
  }

  async cancel(exchange: Exchange): Promise<Response> {
    const id = idOf(exchange);
    const stored = await this.#stored.find(id);
    const { response } = stored;
    if (response["background"] !== true) {
      throw new RequestError("invalid_request", "only background responses can be cancelled");
    }
    if (!isPending(response)) return plainJsonAnswer(response);
    if (!this.#background.cancel(id)) {
      const message = `this response is made by another node: ask ${stored.madeBy} to cancel it`;
      throw new RequestError("invalid_request", message, { status: 409 });
    }
    const cancelled = { ...response, status: "cancelled" };
    await this.#stored.keep({ ...stored, response: cancelled }, true);
    return plainJsonAnswer(cancelled);
  }

  async inputItems(exchange: Exchange): Promise<Response> {
    const { input } = await this.#stored.find(idOf(exchange));
    const asked = new URL(exchange.request.url).searchParams;
    const limit = pageSize(asked.get("limit"));
    const ordered = asked.get("order") === "asc" ? input : input.toReversed();
    const after = asked.get("after");
    const from = after === null ? 0 : ordered.findIndex((item) => item["id"] === after) + 1;
    const data = ordered.slice(from, from + limit);
    return plainJsonAnswer({
      object: "list",
      data,
      first_id: data[0]?.["id"] ?? null,
      last_id: data.at(-1)?.["id"] ?? null,
      has_more: from + limit < ordered.length,
    });
  }

  async #read(exchange: Exchange): Promise<Asked> {
    const fields = await exchange.readFields({ zstd: true });
    exchange.checkAdmitting();
    const request = parseResponseRequest(fields);
    const { model, background, store, summarizes, echo, previousId } = request;
    const history = previousId === undefined ? [] : await this.#stored.historyOf(previousId);
    const id = `resp_${drawId(ID_LENGTH)}`;
    const createdAt = Math.floor(this.#parts.clock.nowMs() / 1000);
    const asked = {
      request,
      history,
      head: { id, createdAt, model, background, store, summarizes, echo },
    };
    const isTooLong = store &&
      !this.#stored.hasRoomFor(recordOf(asked, bareResponse(asked.head, "queued")));
    if (!isTooLong) return asked;
    if (background) throw new RequestError("invalid_request", "input is too long to be stored");
    exchange.warn(["the conversation is too long to be stored: store is false"]);
    return {
      ...asked,
      request: { ...request, store: false },
      head: { ...asked.head, store: false },
    };
  }

  /** Before its last event is told, an answer is where it can be found. */
  async *#keeping(
    chunks: AsyncIterable<AnswerChunk>,
    asked: Asked,
    shape: ResponseAnswer,
  ): AsyncGenerator<AnswerChunk> {
    for await (const chunk of chunks) {
      if (chunk.kind === "done" && asked.head.store) {
        await this.#stored.keep(recordOf(asked, shape.whole(chunk)), true);
      }
      yield chunk;
    }
  }

  /** What of a request is wrong is told at once where it can be told without a model. */
  async #runInBackground(asked: Asked, exchange: Exchange): Promise<Response> {
    const { head, request, history } = asked;
    const chat = exchange.labelled(chatRequestOf(request, history));
    const begun = recordOf(asked, bareResponse(head, "in_progress"));
    const kept = Promise.withResolvers<void>();
    this.#background.start(head.id, async (signal) => {
      if (!await kept.promise.then(() => true, () => false)) return;
      const response = await this.#finish(asked, chat, signal).catch((error): Item => {
        return bareResponse(head, "failed", exchange.describe(error));
      });
      // Who cancelled it or deleted it has kept what is to be found, or nothing.
      if (signal.aborted) return;
      await this.#stored.keepOrLog(recordOf(asked, response), true);
    });
    this.#stored.keep(begun, false).then(kept.resolve, kept.reject);
    await kept.promise;
    return plainJsonAnswer({ ...begun.response, status: "queued" });
  }

  async #finish(
    { head }: Asked,
    chat: Parameters<HttpParts["client"]["chat"]>[0],
    signal: AbortSignal,
  ): Promise<Item> {
    const shape = new ResponseAnswer(head);
    const answer = await this.#parts.client.chat(chat, signal);
    for await (const chunk of chunksOf(answer)) {
      if (chunk.kind === "done") return shape.whole(chunk);
      shape.gather(chunk);
    }
    throw new Error("The answer ended without its done chunk");
  }
}

/** A conversation always has something to generate. */
function chunksOf(answer: Answer): AsyncIterable<AnswerChunk> {
  if (answer.kind === "stream") return answer.chunks;
  throw new RequestError("invalid_request", "input: at least one item is required");
}

function isPending(response: ResponseRecord): boolean {
  return response["status"] === "in_progress" || response["status"] === "queued";
}

function idOf(exchange: Exchange): string {
  return exchange.params["id"] ?? "";
}

function pageSize(text: string | null): number {
  if (text === null) return PAGE_DEFAULT;
  const size = Number(text);
  if (Number.isInteger(size) && size >= 1 && size <= PAGE_MAX) return size;
  throw new RequestError("invalid_request", `limit: wants 1 to ${PAGE_MAX}, got "${text}"`);
}
