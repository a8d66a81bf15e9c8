import { errorMessage, invalidRequest, RequestError } from "../../base/mod.ts";
import type {
  FoundResponse,
  KeptResponses,
  Log,
  RequestAccount,
  ResponseRecord,
} from "../../ports/mod.ts";
import { isObject } from "../wire/mod.ts";
import type { Item } from "./items.ts";
import type { ResponseHead } from "./response_answers.ts";
import type { ResponseRequest } from "./response_requests.ts";
import type { Cuts } from "./told_parts.ts";

/** What it takes to make a response anew on another node. */
export interface ResponseWork {
  /** The request without its input. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Of its draws, so that the same is made again. */
  readonly seed: number;
  readonly account?: Pick<RequestAccount, "tenant" | "priority">;
  /** Nodes that were at it. */
  readonly lives: number;
}

/** A response with what it answers. */
export interface StoredResponse {
  readonly response: Item;
  /** What was said with its own request. */
  readonly input: readonly Item[];
  /** What was said before. */
  readonly history: readonly Item[];
  readonly cuts: Cuts;
  /** While it is made without anybody waiting for it. */
  readonly work?: ResponseWork;
}

/** Nodes that one response in the background may lose: a request that kills its nodes must end at some time. */
const LIVES_MAX = 3;

/** A response that was found. */
export interface FoundStored extends StoredResponse {
  /** Who works on it; undefined when nobody does any more. */
  readonly maker?: FoundResponse["maker"];
}

/** What is to be kept of a response. */
export function recordOf(
  asked: {
    readonly request: Pick<ResponseRequest, "input">;
    readonly history: readonly Item[];
    readonly head: ResponseHead;
  },
  response: Item,
  cuts: Cuts = [],
): StoredResponse {
  return { response, input: asked.request.input, history: asked.history, cuts };
}

/** What it takes to go on with it where nobody works on it any more, and somebody should. */
export function orphanedWork({ work, maker }: FoundStored): ResponseWork | undefined {
  return maker?.isGone === true && work !== undefined && work.lives < LIVES_MAX ? work : undefined;
}

/** Responses by their ids, as this API has them. */
export class Stored {
  readonly #kept: KeptResponses;
  readonly #log: Log;

  constructor(kept: KeptResponses, log: Log) {
    this.#kept = kept;
    this.#log = log;
  }

  /** Half of a record is left for the answer. */
  hasRoomFor(record: StoredResponse): boolean {
    return JSON.stringify(record).length < this.#kept.recordBytesMax / 2;
  }

  async keep(record: StoredResponse, isFinal: boolean): Promise<void> {
    // What is told part by part may be told as a whole, too.
    const isLong = JSON.stringify(record).length > this.#kept.recordBytesMax;
    const kept = isLong ? { ...record, cuts: [] } : { ...record };
    await this.#kept.keep(String(record.response["id"]), kept, { isFinal });
  }

  /** For work that nobody waits for. */
  async keepOrLog(record: StoredResponse, isFinal: boolean): Promise<void> {
    try {
      await this.keep(record, isFinal);
    } catch (error) {
      this.#log.log("warn", "response_not_kept", { reason: errorMessage(error) });
    }
  }

  async has(id: string): Promise<boolean> {
    return await this.#kept.find(id) !== undefined;
  }

  /** @throws RequestError with status 404. */
  async find(id: string): Promise<FoundStored> {
    const found = await this.#kept.find(id);
    if (found === undefined) throw notFound(id);
    const stored = read(found.record);
    const { maker } = found;
    const shown = { ...stored, ...(maker && { maker }) };
    if (maker?.isGone !== true || orphanedWork(shown) !== undefined) return shown;
    const message = `the node that made it is gone: ${maker.node}`;
    const error = { code: "server_error", message };
    return { ...stored, response: { ...stored.response, status: "failed", error } };
  }

  async remove(id: string): Promise<void> {
    if (!await this.#kept.remove(id)) throw notFound(id);
  }

  /** The conversation up to and with a response. @throws RequestError when there is none, or it has no answer yet. */
  async historyOf(id: string): Promise<readonly Item[]> {
    const found = await this.#kept.find(id);
    if (found === undefined) {
      throw invalidRequest(`previous_response_id: "${id}" was not found`);
    }
    const { response, input, history } = read(found.record);
    const status = response["status"];
    if (status !== "completed" && status !== "incomplete") {
      throw invalidRequest(`previous_response_id: "${id}" is ${status}`);
    }
    return [...history, ...input, ...items(response["output"])];
  }
}

function read(record: ResponseRecord): StoredResponse {
  const { response, work } = record;
  return {
    ...isObject(work) && { work: readWork(work) },
    response: isObject(response) ? response : {},
    input: items(record["input"]),
    history: items(record["history"]),
    cuts: readCuts(record["cuts"]),
  };
}

/** As this program wrote it; an older one wrote none. */
function readWork(work: Readonly<Record<string, unknown>>): ResponseWork {
  const { fields, seed, lives, account } = work;
  const { tenant, priority } = isObject(account) ? account : {};
  return {
    fields: isObject(fields) ? fields : {},
    seed: Number(seed) >>> 0,
    lives: Number(lives) || LIVES_MAX,
    ...typeof tenant === "string" && isPriority(priority) && { account: { tenant, priority } },
  };
}

function isPriority(value: unknown): value is RequestAccount["priority"] {
  return value === "high" || value === "normal" || value === "low";
}

function readCuts(value: unknown): Cuts {
  const isPair = (cut: unknown): cut is [number, number] =>
    Array.isArray(cut) && cut.length === 2 && cut.every(Number.isSafeInteger);
  return Array.isArray(value) && value.every(isPair) ? value : [];
}

function items(value: unknown): readonly Item[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function notFound(id: string): RequestError {
  return new RequestError("invalid_request", `Response with id '${id}' not found.`, {
    status: 404,
  });
}
