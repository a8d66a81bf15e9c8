import { RequestError } from "../../base/mod.ts";
import type { FollowedAnswer, KeptAnswer, OwnJournal } from "../../ports/mod.ts";
import type { AnswerKey, JournalHead } from "../../protocol/mod.ts";
import { drawId } from "../draw_id.ts";
import type { Exchange, HttpParts } from "../exchange.ts";
import { bytesAnswer, LiveAnswer, type LiveAnswerParts } from "../wire/mod.ts";
import { keepMsOf, nameOf } from "./names.ts";
import { readRecorded } from "./recorded_body.ts";

/** Names the answer, for whoever comes back for it. */
const ANSWER_HEADER = "x-odist-answer";
/** Says how many nodes have it, or why nobody can come back for it. */
const RESUME_HEADER = "x-odist-resume";
/** What is kept of a request's headers: those that an answer depends on. */
const KEPT_HEADERS = [
  "content-type",
  "content-encoding",
  "anthropic-version",
  "anthropic-beta",
  "openai-beta",
  "x-odist-keep",
  "x-odist-volatile-lines",
];
const DRAWN_LENGTH = 48;

/** An answer that is gone on with. */
export interface Revival {
  readonly head: JournalHead;
  readonly live: LiveAnswer;
}

/** Who makes an answer that clients may come back for. */
export interface ResumableRoute {
  readonly resumable: { readonly zstd: boolean };
  handle(exchange: Exchange): Response | Promise<Response>;
}

/** Has a request answered once more, by whoever answers requests. */
type AskAgain = (request: Request, again: Revival) => Promise<Response>;

/** Answers requests so that their clients may come back. */
export class Resuming {
  readonly #parts: HttpParts;
  readonly #live = new Map<string, LiveAnswer>();
  #askAgain: AskAgain | undefined;

  constructor(parts: HttpParts) {
    this.#parts = parts;
    parts.journals?.attend({
      follow: (kept, offset, signal) => this.#follow(kept, offset, signal),
    });
  }

  /** From now on answers can be gone on with. */
  attend(askAgain: AskAgain): void {
    this.#askAgain = askAgain;
  }

  async answer(exchange: Exchange, route: ResumableRoute): Promise<Response> {
    const { journals } = this.#parts;
    const { headers } = exchange.request;
    const [name, keepMs] = [nameOf(headers), keepMsOf(headers)];
    // Whoever comes back for an answer takes nothing new.
    if (name === undefined) exchange.checkLimits();
    if (journals === undefined) return await route.handle(exchange);
    const body = readRecorded(exchange);
    await exchange.readFields(route.resumable);
    const asked = body();
    const owner = await exchange.owner();
    let id = name?.id ?? exchange.origin.requestId;
    const fingerprint = name && asked ? await fingerprintOf(exchange, asked) : "";
    if (name !== undefined && fingerprint !== "") {
      const joined = await this.#join({ id, owner, fingerprint }, name.isKey, exchange);
      if (joined !== undefined) return joined;
    }
    // What runs under a name keeps it: names of requests and conversations are not meant to be of one answer.
    if (journals.isBusy({ id, owner })) id = crypto.randomUUID();
    const head = this.#headOf(exchange, { id, owner, fingerprint, body: asked });
    const journal = asked === undefined ? tooLong : journals.begin(head);
    const live = this.#liveAnswer(head, { journal, entries: [], keepMs });
    const response = await this.#made(exchange, route, { head, live, leave: live.enter() });
    response.headers.set(ANSWER_HEADER, id);
    const copies = await journal.copies();
    const reason = journal.notKept();
    const resume = reason === undefined ? `copies=${copies}` : `no; ${reason}`;
    response.headers.set(RESUME_HEADER, resume);
    return response;
  }

  /** Goes on with what another node, or this one, has left. */
  async goOn(
    exchange: Exchange,
    route: Pick<ResumableRoute, "handle">,
    { head, live }: Revival,
  ): Promise<Response> {
    exchange.adopt(head);
    // Those who came back for it read it, and nobody here.
    return await this.#made(exchange, route, { head, live, leave: () => {} });
  }

  async #made(
    exchange: Exchange,
    route: Pick<ResumableRoute, "handle">,
    { head, live, leave }: Revival & { readonly leave: () => void },
  ): Promise<Response> {
    exchange.attach(live, { head, leave });
    live.attend({
      deserted: () => exchange.abandon(),
      over: () => live.isFed && exchange.ended(),
    });
    let response: Response;
    try {
      response = await route.handle(exchange);
    } catch (error) {
      await live.end("broken");
      throw error;
    }
    if (live.isFed || exchange.isEarly) return response;
    if (response.status >= 400) {
      await live.end("broken");
      return response;
    }
    return await this.#whole(response, live);
  }

  /** What is told as a whole is there for others before its client gets it. */
  async #whole(response: Response, live: LiveAnswer): Promise<Response> {
    const bytes = await response.bytes();
    const { status, headers } = response;
    live.open({ status, contentType: headers.get("content-type") ?? "" });
    await live.tell({ bytes, facts: "" }, { isLast: true });
    await live.end("whole");
    return new Response(bytes, { status, headers });
  }

  #liveAnswer(
    key: AnswerKey,
    of: Pick<LiveAnswerParts, "journal" | "entries" | "keepMs">,
  ): LiveAnswer {
    const name = mapKey(key);
    const live: LiveAnswer = new LiveAnswer({
      ...of,
      clock: this.#parts.clock,
      onOver: () => {
        if (this.#live.get(name) === live) this.#live.delete(name);
      },
    });
    this.#live.set(name, live);
    return live;
  }

  /** The same as was asked before is answered by the same. */
  async #join(
    of: AnswerKey & { readonly fingerprint: string },
    isKey: boolean,
    exchange: Exchange,
  ): Promise<Response | undefined> {
    const { journals } = this.#parts;
    const found = await journals?.find(of);
    if (found === undefined) return undefined;
    if (found.fingerprint !== of.fingerprint) {
      if (!isKey) return undefined;
      const text = `idempotency-key: "${of.id}" was used for another request`;
      throw new RequestError("invalid_request", text, { status: 422 });
    }
    const followed = await journals?.follow({ ...of, offset: 0 }, exchange.signal);
    return followed && followedAnswer(exchange, followed, of.id);
  }

  async #follow(
    kept: KeptAnswer,
    offset: number,
    signal: AbortSignal,
  ): Promise<FollowedAnswer | undefined> {
    const running = this.#live.get(mapKey(kept.head));
    if (running === undefined && kept.state === "ended" && kept.opening !== undefined) {
      return { opening: kept.opening, bytes: bytesOf(kept, offset) };
    }
    const live = running ?? this.#revive(kept);
    if (live === undefined) return undefined;
    const leave = live.enter();
    signal.addEventListener("abort", leave);
    if (signal.aborted) leave();
    try {
      const opening = await live.opening;
      return { opening, bytes: live.read(offset, leave) };
    } catch (error) {
      leave();
      throw error;
    }
  }

  #revive(kept: KeptAnswer): LiveAnswer | undefined {
    const { head, opening, entries } = kept;
    const { journals } = this.#parts;
    const askAgain = this.#askAgain;
    // Nobody knows what lies behind what was told.
    if (entries[0]?.facts === "" || journals === undefined || askAgain === undefined) {
      return undefined;
    }
    const request = new Request(new URL(head.path, "http://localhost"), {
      method: head.method,
      headers: head.headers.map(({ name, value }): [string, string] => [name, value]),
    });
    const keepMs = keepMsOf(request.headers);
    const live = this.#liveAnswer(head, { journal: journals.reopen(head), entries, keepMs });
    if (opening !== undefined) live.open(opening);
    void askAgain(request, { head, live }).then(async (response) => {
      // What can't be gone on with is refused as any request.
      if (response.status >= 400) await live.end("broken");
    });
    return live;
  }

  #headOf(
    { request, askedBy, lastingTraceparent: traceparent }: Exchange,
    of: AnswerKey & { readonly fingerprint: string; readonly body: Uint8Array | undefined },
  ): JournalHead {
    const { pathname, search } = new URL(request.url);
    const headers = KEPT_HEADERS.flatMap((name) => {
      const value = request.headers.get(name);
      return value === null ? [] : [{ name, value }];
    });
    const { who, from } = askedBy;
    // Whoever goes on with it does so in the same trace.
    if (traceparent !== undefined) headers.push({ name: "traceparent", value: traceparent });
    return {
      ...of,
      ...{ method: request.method, path: pathname + search, headers, who, from },
      body: of.body ?? new Uint8Array(),
      drawn: drawId(DRAWN_LENGTH),
      seed: crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
      startedAtMs: this.#parts.clock.nowMs(),
    };
  }
}

/** An answer that is told once more, with the headers of its own. */
export function followedAnswer(
  exchange: Exchange,
  { opening, bytes }: FollowedAnswer,
  id: string,
): Response {
  const { status, contentType } = opening;
  const headers = { "content-type": contentType, [ANSWER_HEADER]: id };
  const iterator = bytes[Symbol.asyncIterator]();
  return bytesAnswer(iterator, { status, headers }, () => exchange.abandon());
}

/** Of a request that is too long to be kept. */
const tooLong: OwnJournal = {
  open() {},
  tell: () => Promise.resolve(),
  stand: () => Promise.resolve(),
  drop() {},
  notKept: () => "its request is too long to be kept",
  copies: () => Promise.resolve(0),
};

async function* bytesOf({ entries }: KeptAnswer, offset: number): AsyncGenerator<Uint8Array> {
  let skip = offset;
  for (const { bytes } of entries) {
    if (skip < bytes.length) yield bytes.subarray(skip);
    skip = Math.max(0, skip - bytes.length);
  }
}

async function fingerprintOf({ request }: Exchange, body: Uint8Array): Promise<string> {
  const { pathname } = new URL(request.url);
  const of = new TextEncoder().encode(`${request.method} ${pathname}\n`);
  const joined = new Uint8Array(of.length + body.length);
  joined.set(of);
  joined.set(body, of.length);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", joined)).toHex();
}

function mapKey({ id, owner }: AnswerKey): string {
  return `${owner}\n${id}`;
}
