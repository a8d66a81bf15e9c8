import { errorMessage, invalidRequest, isEdgeError, UnavailableError } from "../../base/mod.ts";
import type {
  Answer,
  AnswerChunk,
  ChatRequest,
  FollowedAnswer,
  ResponseRecord,
} from "../../ports/mod.ts";
import { answerChunks } from "../answer_shape.ts";
import type { Exchange, HttpParts } from "../exchange.ts";
import { openAiFailureAnswer } from "../openai/mod.ts";
import { followedAnswer } from "../resuming/mod.ts";
import { type ApiFamily, resumableRoutes, routesFor } from "../routes.ts";
import { describeFailure, type Failure, Fields, plainJsonAnswer } from "../wire/mod.ts";
import { Background, type MakingView } from "./background.ts";
import type { Item } from "./items.ts";
import { eventsBehind, firstResponse } from "./event_numbers.ts";
import {
  bareResponse,
  EVENTS_CONTENT_TYPE,
  headOf,
  ResponseAnswer,
  type ResponseHead,
} from "./response_answers.ts";
import { chatRequestOf, parseResponseRequest, type ResponseRequest } from "./response_requests.ts";
import { type FoundStored, orphanedWork, recordOf, type ResponseWork, Stored } from "./stored.ts";
import { partsOf, partsOfKept, readPart, type ToldPart } from "./told_parts.ts";

const ID_LENGTH = 48;
const ID_PREFIX = "resp_";
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
    routes: [
      ...resumableRoutes({ zstd: true }, { [`POST ${path}`]: (it) => endpoints.create(it) }),
      ...routesFor("use", {
        [`POST ${path}/input_tokens`]: (it) => endpoints.countTokens(it),
        [`GET ${path}/:id`]: (it) => endpoints.find(it),
        [`DELETE ${path}/:id`]: (it) => endpoints.remove(it),
        [`POST ${path}/:id/cancel`]: (it) => endpoints.cancel(it),
        [`GET ${path}/:id/input_items`]: (it) => endpoints.inputItems(it),
      }),
    ],
  };
}

/** A request with the conversation before it. */
interface Asked {
  readonly request: ResponseRequest;
  readonly history: readonly Item[];
  readonly head: ResponseHead;
}

/** How a response is made without anybody waiting. */
interface Making {
  readonly chat: ChatRequest;
  /** With which another node can make it anew. */
  readonly work: ResponseWork;
  readonly describe: (error: unknown) => Failure;
}

class ResponseEndpoints {
  readonly #parts: HttpParts;
  readonly #stored: Stored;
  readonly #background = new Background();

  constructor(parts: HttpParts) {
    this.#parts = parts;
    this.#stored = new Stored(parts.responses, parts.log);
    parts.responses.attend((id) => void this.#goOn(id));
    parts.elsewhere?.attend({
      cancelResponse: (id) => this.#background.cancel(id),
      followResponse: (id, signal) => {
        const told = this.#background.follow(id, signal);
        return told && jsonOf(told);
      },
    });
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
    const streams = exchange.query("stream") === "true";
    const after = sequenceNumber(exchange.query("starting_after"));
    const id = idOf(exchange);
    const unfinished = streams ? await this.#streamUnfinished(id, exchange, after) : undefined;
    if (unfinished !== undefined) return unfinished;
    const begun = streams ? undefined : await this.#begun(id, exchange);
    if (begun !== undefined) return plainJsonAnswer(begun);
    const found = await this.#found(id);
    if (!streams) return plainJsonAnswer(found.response);
    return await this.#stream(found, exchange, after);
  }

  /** Whoever asks for what nobody works on any more has this node go on with it. */
  async #found(id: string): Promise<FoundStored> {
    const found = await this.#stored.find(id);
    if (orphanedWork(found) === undefined || !await this.#goOn(id)) return found;
    return await this.#stored.find(id);
  }

  /** Makes a response in the background anew whose node is gone; false = it can't be, or need not be. */
  async #goOn(id: string): Promise<boolean> {
    try {
      const found = await this.#stored.find(id);
      const work = orphanedWork(found);
      if (work === undefined || this.#background.has(id)) return work !== undefined;
      const request = {
        ...parseResponseRequest(new Fields({ ...work.fields, input: "-" })),
        input: found.input,
      };
      const asked = { request, history: found.history, head: headOf(found.response) };
      this.#parts.log.log("info", "response_taken_over", { response: id, from: found.maker?.node });
      const { account } = work;
      const chat = {
        ...chatRequestOf(request, found.history),
        ...(account && { account: { ...account, deadlineAtMs: Infinity } }),
        journal: { answer: nameOf(id), seed: work.seed, facts: [] },
      };
      await this.#begin(asked, {
        chat,
        work: { ...work, lives: work.lives + 1 },
        describe: (error) => ({
          ...describeFailure(error, new AbortController().signal),
          requestId: id,
        }),
      });
      return true;
    } catch (error) {
      if (!isEdgeError(error)) throw error;
      const seen = { response: id, reason: errorMessage(error) };
      this.#parts.log.log("warn", "response_not_taken_over", seen);
      return false;
    }
  }

  /** Of what is not stored yet, or never will be: as whoever asked for it came back, on any node. */
  async #streamUnfinished(
    id: string,
    exchange: Exchange,
    after: number,
  ): Promise<Response | undefined> {
    const followed = await this.#followed(id, exchange, exchange.signal);
    if (followed === undefined) return undefined;
    const { opening, bytes } = followed;
    if (opening.contentType === EVENTS_CONTENT_TYPE) {
      const behind = eventsBehind(bytes, after);
      return followedAnswer(exchange, { opening, bytes: behind }, nameOf(id));
    }
    // It was asked for as a whole, and is stored once it is one, if it is to be.
    for await (const _ of bytes);
    return undefined;
  }

  /** What is streamed to somebody, and stored once it is whole: as it was when it began. */
  async #begun(id: string, exchange: Exchange): Promise<Item | undefined> {
    const left = new AbortController();
    const signal = AbortSignal.any([exchange.signal, left.signal]);
    try {
      const followed = await this.#followed(id, exchange, signal);
      if (followed?.opening.contentType !== EVENTS_CONTENT_TYPE) return undefined;
      const response = await firstResponse(followed.bytes);
      return response?.["store"] === true ? response : undefined;
    } finally {
      left.abort();
    }
  }

  /** Undefined = it is stored, or unknown. */
  async #followed(
    id: string,
    exchange: Exchange,
    signal: AbortSignal,
  ): Promise<FollowedAnswer | undefined> {
    if (!id.startsWith(ID_PREFIX) || await this.#stored.has(id)) return undefined;
    const place = { id: nameOf(id), owner: await exchange.owner(), offset: 0 };
    return await this.#parts.journals?.follow(place, signal);
  }

  async remove(exchange: Exchange): Promise<Response> {
    const id = idOf(exchange);
    // Whoever still works on it would keep it once more.
    await this.#background.cancel(id);
    const { maker } = await this.#stored.find(id);
    if (maker?.isSelf === false && !maker.isGone) await this.#cancelThere(id, maker);
    await this.#stored.remove(id);
    return plainJsonAnswer({ id, object: "response", deleted: true });
  }

  async cancel(exchange: Exchange): Promise<Response> {
    const id = idOf(exchange);
    const found = await this.#stored.find(id);
    const { response, maker } = found;
    if (response["background"] !== true) {
      throw invalidRequest("only background responses can be cancelled");
    }
    if (!isPending(response)) return plainJsonAnswer(response);
    if (maker?.isGone === true) {
      const { input, history, cuts } = found;
      const ended = { ...response, status: "cancelled" };
      await this.#stored.keep({ response: ended, input, history, cuts }, true);
    } else if (maker?.isSelf === false) await this.#cancelThere(id, maker);
    else await this.#background.cancel(id);
    return plainJsonAnswer((await this.#stored.find(id)).response);
  }

  /** @throws UnavailableError `peer_lost`. */
  async #cancelThere(id: string, { nodeId, node }: Maker): Promise<void> {
    const { elsewhere } = this.#parts;
    if (elsewhere === undefined || nodeId === undefined) {
      throw new UnavailableError("peer_lost", `the node that makes it can't be asked: ${node}`);
    }
    await elsewhere.cancelResponse(id, nodeId);
  }

  async inputItems(exchange: Exchange): Promise<Response> {
    const limit = pageSize(exchange.query("limit"));
    const [order, after] = [exchange.query("order"), exchange.query("after")];
    const { input } = await this.#stored.find(idOf(exchange));
    const ordered = order === "asc" ? input : input.toReversed();
    const from = after === undefined ? 0 : ordered.findIndex((item) => item["id"] === after) + 1;
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
    // By what was drawn for the answer it is found while it is made, too.
    const id = `${ID_PREFIX}${exchange.drawId(ID_LENGTH)}`;
    const createdAt = Math.floor(exchange.startedAtMs / 1000);
    const asked = {
      request,
      history,
      head: { id, createdAt, model, background, store, summarizes, echo },
    };
    const isTooLong = store &&
      !this.#stored.hasRoomFor(recordOf(asked, bareResponse(asked.head, "queued")));
    if (!isTooLong) return asked;
    if (background) throw invalidRequest("input is too long to be stored");
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
        await this.#stored.keep(recordOf(asked, shape.whole(chunk), shape.cuts), true);
      }
      yield chunk;
    }
  }

  /** What of a request is wrong is told at once where it can be told without a model. */
  async #runInBackground(asked: Asked, exchange: Exchange): Promise<Response> {
    const { head, request, history } = asked;
    const chat = exchange.labelled(chatRequestOf(request, history));
    const { account, journal } = chat;
    const { input: _, ...fields } = (await exchange.readFields({ zstd: true })).all();
    const { tenant, priority } = account ?? {};
    const begun = await this.#begin(asked, {
      chat,
      work: {
        ...{ fields, lives: 1, seed: journal?.seed ?? 0 },
        ...(tenant !== undefined && priority !== undefined && { account: { tenant, priority } }),
      },
      describe: (error) => exchange.describe(error),
    });
    if (request.stream) return await this.#stream(await this.#stored.find(head.id), exchange, -1);
    return plainJsonAnswer({ ...begun, status: "queued" });
  }

  /** Resolves with what there is of it once that is kept; from then on it is made. */
  async #begin(asked: Asked, by: Making): Promise<Item> {
    const { head } = asked;
    const begun = bareResponse(head, "in_progress");
    const kept = Promise.withResolvers<void>();
    this.#background.start(head.id, async (view) => {
      if (!await kept.promise.then(() => true, () => false)) return;
      const shape = new ResponseAnswer(head);
      const response = await this.#finish(by.chat, shape, view).catch((error): Item =>
        view.signal.aborted ? shape.ended("cancelled") : shape.ended("failed", by.describe(error))
      );
      await this.#stored.keepOrLog(recordOf(asked, response, shape.cuts), true);
    });
    this.#stored.keep({ ...recordOf(asked, begun), work: by.work }, false)
      .then(kept.resolve, kept.reject);
    await kept.promise;
    return begun;
  }

  async #finish(
    chat: ChatRequest,
    shape: ResponseAnswer,
    { signal, say }: MakingView,
  ): Promise<Item> {
    const answer = await this.#parts.client.chat(chat, signal);
    for await (const chunk of chunksOf(answer)) {
      if (chunk.kind === "done") return shape.whole(chunk);
      for (const part of partsOf(chunk)) {
        shape.tell(part);
        say(part);
      }
    }
    throw new Error("The answer ended without its done chunk");
  }

  /** Tells a response from the event behind number `after` on, and goes on while it is made. */
  async #stream(found: FoundStored, exchange: Exchange, after: number): Promise<Response> {
    const shape = new ResponseAnswer(headOf(found.response), after);
    return await exchange.stream(this.#events(found, shape, exchange.signal), {
      contentType: shape.contentType,
      encode: (events) => events,
      encodeFailure: (error) => shape.encodeFailure(exchange.describe(error)),
    });
  }

  async *#events(
    found: FoundStored,
    shape: ResponseAnswer,
    signal: AbortSignal,
  ): AsyncGenerator<string> {
    yield shape.start();
    const { response } = found;
    if (!isPending(response)) {
      const { output } = response;
      const items = Array.isArray(output) ? output : [];
      for (const part of partsOfKept(items, found.cuts)) yield shape.tell(part);
      return yield shape.end(response);
    }
    const id = String(response["id"]);
    for await (const part of this.#told(id, found.maker, signal)) yield shape.tell(part);
    const { response: last } = await this.#stored.find(id);
    if (isPending(last)) throw new UnavailableError("peer_lost", "what came of it was not kept");
    yield shape.end(last);
  }

  async *#told(
    id: string,
    maker: Maker | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<ToldPart> {
    if (maker?.isSelf !== false) return yield* this.#background.follow(id, signal) ?? [];
    const { elsewhere } = this.#parts;
    if (elsewhere === undefined || maker.nodeId === undefined) return;
    for await (const json of elsewhere.followResponse(id, maker.nodeId, signal)) {
      yield readPart(json);
    }
  }
}

/** The name under which the answer of a response is kept while it is made. */
function nameOf(id: string): string {
  return id.slice(ID_PREFIX.length);
}

type Maker = NonNullable<FoundStored["maker"]>;

async function* jsonOf(told: AsyncIterable<ToldPart>): AsyncGenerator<string> {
  for await (const part of told) yield JSON.stringify(part);
}

/** Of the last event that a client has. @throws RequestError */
function sequenceNumber(text: string | undefined): number {
  if (text === undefined) return -1;
  const number = text === "" ? NaN : Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  const message = `starting_after: wants the sequence number of an event, got "${text}"`;
  throw invalidRequest(message);
}

/** A conversation always has something to generate. */
function chunksOf(answer: Answer): AsyncIterable<AnswerChunk> {
  if (answer.kind === "stream") return answer.chunks;
  throw invalidRequest("input: at least one item is required");
}

function isPending(response: ResponseRecord): boolean {
  return response["status"] === "in_progress" || response["status"] === "queued";
}

function idOf(exchange: Exchange): string {
  return exchange.params["id"] ?? "";
}

function pageSize(text: string | undefined): number {
  if (text === undefined) return PAGE_DEFAULT;
  const size = Number(text);
  if (Number.isInteger(size) && size >= 1 && size <= PAGE_MAX) return size;
  throw invalidRequest(`limit: wants 1 to ${PAGE_MAX}, got "${text}"`);
}
