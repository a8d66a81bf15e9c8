import {
  invalidRequest,
  isEdgeError,
  isTraceparent,
  RequestError,
  type RequestIds,
  requestIdsOf,
  UnavailableError,
} from "../base/mod.ts";
import { type Span, startSpan } from "../telemetry/mod.ts";
import type {
  Answer,
  AnswerChunk,
  AnswerJournals,
  AnswerJournalWish,
  AnswerMetrics,
  ChangeMaker,
  Clock,
  ClusterAdmin,
  Consistency,
  EmbedAnswer,
  KeptResponses,
  KeyAccess,
  Log,
  Metrics,
  ModelApi,
  PageFiles,
  PromptUsage,
  QueueWait,
  ReadOptions,
  RequestAccount,
  RequestAsker,
  RequestOptions,
  RequestRow,
  VocabularyFigures,
  WorkElsewhere,
} from "../ports/mod.ts";
import type { KeyMeter, KeyStanding } from "../core/queue/mod.ts";
import {
  type Admission,
  admitKey,
  checkKey,
  type Payer,
  QUEUE_HEADER,
  readAccount,
  setLimitHeaders,
  statusText,
  waitText,
  wantsStatus,
} from "./account.ts";
import {
  authorizationOf,
  authorize,
  type Authorized,
  type Caller,
  ownerOf,
  shownKey,
} from "./trust/mod.ts";
import type { JournalHead, Scope } from "../protocol/mod.ts";
import { drawId } from "./draw_id.ts";
import type { HttpSettings } from "./settings.ts";
import {
  type BodyRules,
  bytesAnswer,
  describeFailure,
  earlyAnswer,
  type Failure,
  Fields,
  LINES_HEADER,
  type LiveAnswer,
  readJsonBody,
  readLinesWish,
  streamAnswer,
  type StreamEncoder,
  withLinkedImages,
} from "./wire/mod.ts";

/** Header that names the node which computed an answer: for inference the one of the first token, else the one asked. */
export const NODE_HEADER = "x-odist-node";
/** Header that tells whether an answer is the same whatever is computed beside it, and wherever it goes on. */
const EXACT_HEADER = "x-odist-exact";

/** Header that tells what of a request is not followed, such as keywords of a JSON schema. */
const WARNING_HEADER = "x-odist-warning";
const MS_PER_SECOND = 1_000;
/** A stream that was asked to tells where its request stands so often, and for the first time after so long. */
const STATUS_GAP_MS = 1_000;
/** Characters of that header at most. */
const WARNING_CHARS_MAX = 2_000;

const encoder = new TextEncoder();

/** What every handler works with. */
export interface HttpParts {
  readonly client: ModelApi;
  readonly responses: KeptResponses;
  /** Absent = nobody can come back for an answer. */
  readonly journals?: AnswerJournals;
  /** Absent = there are no other nodes. */
  readonly elsewhere?: WorkElsewhere;
  /** Without one there is no `/api/cluster`. */
  readonly admin?: ClusterAdmin;
  /** Absent = nobody needs a key. */
  readonly access?: KeyAccess;
  /** Counts what keys use of their limits, here and on other nodes. Absent = here alone. */
  readonly keyMeter?: KeyMeter;
  /** Reads an image that a request names by address. Absent = none is fetched. */
  readonly fetchImage?: (
    address: string,
    how: { readonly bytesMax: number; readonly signal: AbortSignal },
  ) => Promise<Uint8Array>;
  /** Has what `act` changes written down as made by somebody. Absent = it is not. */
  readonly attribute?: <T>(by: ChangeMaker, act: () => T) => T;
  /** Absent = there is no page. */
  readonly page?: PageFiles;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: Clock;
  readonly config: HttpSettings;
  /** odist's own version, which `/api/version` names beside the contract's. */
  readonly version: string;
}

/** Where a request was routed to. */
export interface ExchangeOrigin {
  /** API family, a metrics label. */
  readonly family: string;
  /** The route's pattern, a metrics label: never the path as sent. */
  readonly route: string;
  readonly requestId: string;
  readonly admitting: () => boolean;
  /** Counts what keys use of their limits. */
  readonly meter: KeyMeter;
  readonly caller: Caller;
  /** Tells that the client has left. */
  readonly gone: AbortSignal;
  readonly body: AsyncIterable<Uint8Array> | undefined;
}

/** An answer that others may come back for, and the way in which this request reads it. */
interface Attached {
  readonly live: LiveAnswer;
  /** It reads no more. */
  readonly leave: () => void;
  readonly head: JournalHead;
  /** Chunks so far, those that were made before included. */
  chunks: number;
}

/** How an endpoint words what is no part of an answer. */
interface Spoken {
  readonly contentType: string;
  /** Says nothing but that the stream lives. */
  readonly beat?: string;
  encodeFailure(failure: Failure): string;
}

/** One request on its way through a handler: its body, its cancellation and what is measured about it. */
export class Exchange {
  readonly request: Request;
  readonly params: Readonly<Record<string, string>>;
  readonly origin: ExchangeOrigin;
  readonly #parts: HttpParts;
  readonly #startedMs: number;
  readonly #startedAtMs: number;
  readonly #abort = new AbortController();
  readonly #onAbort = () => {
    if (this.#attached === undefined) this.#abort.abort(this.origin.gone.reason);
    else this.#attached.leave();
  };
  #attached: Attached | undefined;
  #fields: Fields | undefined;
  #record: ((part: Uint8Array) => void) | undefined;
  #authorized: Authorized | undefined;
  #streaming = false;
  #servedBy: () => string | undefined = () => undefined;
  #exact: () => boolean | undefined = () => undefined;
  #promptUsage: (() => PromptUsage) | undefined;
  #warnings: readonly string[] = [];
  #model: string | undefined;
  #firstTokenMs: number | undefined;
  #tokens: { readonly promptTokens: number; readonly tokens: number } | undefined;
  #status: number | undefined;
  #durationMs: number | undefined;
  #onEnd: () => void = () => {};
  #payer: Payer | undefined;
  #admission: Admission | undefined;
  #standing: KeyStanding | undefined;
  #wait: QueueWait | undefined;
  readonly #queued = Promise.withResolvers<void>();
  #isEarly = false;
  /** Of a request for an answer. */
  #span: Span | undefined;

  constructor(
    parts: HttpParts,
    origin: ExchangeOrigin,
    sent: { readonly request: Request; readonly params: Readonly<Record<string, string>> },
  ) {
    this.#parts = parts;
    this.origin = origin;
    this.request = sent.request;
    this.params = sent.params;
    this.#startedMs = parts.clock.monotonicMs();
    this.#startedAtMs = parts.clock.nowMs();
    origin.gone.addEventListener("abort", this.#onAbort);
    // The client may have left before anyone listened.
    if (origin.gone.aborted) this.#onAbort();
  }

  /** Called once, when nothing of the answer is left to be sent. */
  onEnd(heard: () => void): void {
    this.#onEnd = heard;
  }

  /** Who asks, as far as it is known; the same words for all that need no key on one machine. */
  get asker(): string {
    const { who, from } = this.#authorized ?? { who: "", from: "" };
    return `${who} ${from}`;
  }

  get isAdmin(): boolean {
    return this.scopes.includes("admin");
  }

  /** Who asks, in words that mean the same on every node; those of this machine are the same on every machine. */
  get askerAnywhere(): RequestAsker {
    return { asker: this.isOwn ? "" : this.asker, isAdmin: this.isAdmin };
  }

  /** Ends the work for the answer, which then says so. */
  cancel(): void {
    this.#abort.abort(new DOMException("The request was canceled by its id", "AbortError"));
  }

  /** Aborted when the client goes away before its answer is complete. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The JSON body as fields. @throws RequestError when it is empty, malformed, too large or not an object. */
  async readFields(
    options: Pick<BodyRules, "zstd" | "blank"> = { zstd: false },
  ): Promise<Fields> {
    if (this.#fields !== undefined) return this.#fields;
    const { bodyBytesMax, mediaBytesMax } = this.#parts.config;
    const rules = { bodyBytesMax, mediaBytesMax, record: this.#record, ...options };
    const { fetchImage } = this.#parts;
    const { signal } = this;
    try {
      const sent = { headers: this.request.headers, body: this.origin.body };
      const body = await readJsonBody(sent, rules);
      const shown = fetchImage === undefined ? body : await withLinkedImages(
        body,
        (address, bytesMax) => fetchImage(address, { bytesMax, signal }),
      );
      return this.#fields = new Fields(shown);
    } catch (error) {
      if (!isEdgeError(error)) this.#lose(error);
      throw error;
    }
  }

  /** Shows the parts of the body while it is read. */
  recordBody(record: (part: Uint8Array) => void): void {
    this.#record = record;
  }

  /** A parameter of the query; undefined without it. */
  query(name: string): string | undefined {
    return new URL(this.request.url).searchParams.get(name) ?? undefined;
  }

  /** As {@link readFields}; no body at all means no fields. */
  async readOptionalFields(): Promise<Fields> {
    return await this.readFields({ zstd: false, blank: {} });
  }

  /** The body as it comes in, for uploads. */
  bodyStream(): ReadableStream<Uint8Array> {
    return ReadableStream.from(this.#bodyParts());
  }

  async *#bodyParts(): AsyncGenerator<Uint8Array> {
    try {
      yield* this.origin.body ?? [];
    } catch (error) {
      this.#lose(error);
      throw error;
    }
  }

  /** See `authorize`. */
  async authorize(scope: Scope): Promise<Authorized> {
    const authorization = authorizationOf(this.request.headers);
    const { access } = this.#parts;
    this.#authorized = await authorize(this.origin.caller, scope, { access, authorization });
    if (scope === "use" && this.request.method === "POST") this.#payer = await this.#findPayer();
    return this.#authorized;
  }

  async #findPayer(): Promise<Payer> {
    const { caller } = this.origin;
    const by = { access: this.#parts.access, authorization: authorizationOf(this.request.headers) };
    const { keyId, limits } = this.#authorized?.keyId === undefined
      ? await shownKey(caller, by) ?? {}
      : this.#authorized;
    if (keyId === undefined || limits === undefined) return { tenant: `at ${caller.address}` };
    return { tenant: `key ${keyId}`, key: { keyId, limits } };
  }

  /** Once for each request, however many answers it asks for. @throws UnavailableError `rate_limited`. */
  #admit(): RequestAccount | undefined {
    const payer = this.#payer;
    if (payer === undefined) return undefined;
    const nowMs = this.#parts.clock.nowMs();
    const account = {
      ...readAccount(payer.tenant, this.request.headers, this.#startedAtMs),
      onQueued: (wait: QueueWait) => {
        this.#wait ??= wait;
        this.#queued.resolve();
      },
    };
    if (payer.key === undefined || this.#admission !== undefined) return account;
    const refused = (standing: KeyStanding) => void (this.#standing = standing);
    this.#admission = admitKey(payer.key, { meter: this.origin.meter, nowMs, refused });
    this.#standing = this.#admission.standing;
    return account;
  }

  /** Before its body is read. @throws UnavailableError `rate_limited` where {@link labelled} would. */
  checkLimits(): void {
    const { key } = this.#payer ?? {};
    if (key === undefined) return;
    const refused = (standing: KeyStanding) => void (this.#standing = standing);
    const nowMs = this.#parts.clock.nowMs();
    checkKey(key, { meter: this.origin.meter, nowMs, refused });
  }

  /** Whose answer this is, in words that mean the same on every node. */
  async owner(): Promise<string> {
    const { access, journals, config } = this.#parts;
    const authorization = authorizationOf(this.request.headers);
    const by = { access, authorization, authorized: this.#authorized };
    const origin = this.request.headers.get("origin");
    const at = {
      ownAddress: journals?.ownAddress() ?? "",
      origin,
      isMemberOrigin: config.isMemberOrigin?.(origin ?? "") === true,
    };
    return await ownerOf(this.origin.caller, by, at);
  }

  /** Who asks, for whoever goes on with it. */
  get askedBy(): Pick<Authorized, "who" | "from"> {
    return this.#authorized ?? { who: "", from: "" };
  }

  /** As {@link authorize} of the one who asked first. */
  adopt({ who, from }: Pick<Authorized, "who" | "from">): void {
    this.#authorized = { scopes: ["use"], who, from };
  }

  /** Where in a client's trace its answer is; where the client has none, one begins. */
  get traceparent(): string | undefined {
    this.#span ??= startSpan("odist.request", {
      ...{ under: givenTraceparent(this.request.headers), isAsked: true, begins: true },
      agoMs: this.#elapsedSeconds() * MS_PER_SECOND,
      attributes: { "http.route": this.origin.route, "odist.request_id": this.origin.requestId },
    });
    return this.#span.traceparent;
  }

  /** The same for who goes on with it: this node's own span may die with the node. */
  get lastingTraceparent(): string | undefined {
    return givenTraceparent(this.request.headers) ?? this.traceparent;
  }

  /** From now on others may read what this request is answered. */
  attach(live: LiveAnswer, { head, leave }: Pick<Attached, "head" | "leave">): void {
    this.#attached = { live, head, leave, chunks: 0 };
  }

  /** Small letters and digits, the same wherever the answer is gone on with. */
  drawId(length: number): string {
    return this.#attached?.head.drawn.slice(0, length).padEnd(length, "0") ?? drawId(length);
  }

  /** When the answer was begun, wherever that was. */
  get startedAtMs(): number {
    return this.#attached?.head.startedAtMs ?? this.#parts.clock.nowMs();
  }

  /** Runs `act`, whose changes are `by`'s. */
  attribute<T>({ who, from }: Authorized, act: () => T): T {
    const { attribute } = this.#parts;
    return attribute === undefined ? act() : attribute({ who, from }, act);
  }

  /** What the caller may do besides what the route asks for; nothing before it was asked. */
  get scopes(): readonly Scope[] {
    return this.#authorized?.scopes ?? [];
  }

  /** @throws UnavailableError `stopping` once the node no longer admits inference. */
  checkAdmitting(): void {
    if (this.origin.admitting()) return;
    throw new UnavailableError("stopping", "server is stopping and takes no new requests");
  }

  /** Streams items to the client; a client that leaves aborts {@link signal}. Rejects with an error before the first item. */
  async stream<T>(items: AsyncIterable<T>, encode: StreamEncoder<T>): Promise<Response> {
    return this.#attached === undefined
      ? await this.#streamOwn(items, encode)
      : await this.#streamLive(items, encode, this.#attached);
  }

  /**
   * Answers with what `act` makes; where that is asked for and it is a stream, its head is sent once it is known to wait for a
   * slot, and where it stands is told until there is something of it.
   */
  async whileWaiting(
    shape: Spoken,
    stream: boolean,
    act: () => Promise<Response>,
  ): Promise<Response> {
    const isTold = wantsStatus(this.request.headers) && stream;
    const made = act();
    if (!isTold || !await this.#waitsLong(made)) return await made;
    this.#isEarly = this.#streaming = true;
    return earlyAnswer({
      headers: { "content-type": shape.contentType },
      made,
      status: () => {
        const place = this.#wait?.place();
        return place === undefined ? "" : statusText(place, shape);
      },
      pause: () => this.#pause(STATUS_GAP_MS),
      failed: async (error) => {
        await this.#attached?.live.end("broken");
        return shape.encodeFailure(this.describe(error));
      },
      left: () => this.#attached === undefined ? this.abandon() : this.#attached.leave(),
      over: () => this.#end(200),
    });
  }

  async #streamOwn<T>(items: AsyncIterable<T>, encode: StreamEncoder<T>): Promise<Response> {
    const response = await streamAnswer(items, encode, {
      gone: () => this.abandon(),
      ended: () => this.#end(200),
    });
    this.#streaming = true;
    return response;
  }

  /** Whether it is known to wait for a slot before anything of its answer is made. Rejects as `made` does. */
  async #waitsLong(made: Promise<Response>): Promise<boolean> {
    const waits = this.#queued.promise.then(() => this.#pause(STATUS_GAP_MS))
      .then(() => this.#wait?.place() !== undefined);
    return await Promise.race([made.then(() => false), waits]);
  }

  #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#parts.clock.after(ms, resolve);
    return promise;
  }

  /** Its head is sent before anything of its answer is made. */
  get isEarly(): boolean {
    return this.#isEarly;
  }

  /** As {@link stream}, for others, too: each may read from any byte on. */
  async #streamLive<T>(
    items: AsyncIterable<T>,
    encode: StreamEncoder<T>,
    attached: Attached,
  ): Promise<Response> {
    const { live, leave } = attached;
    const iterator = items[Symbol.asyncIterator]();
    let first: IteratorResult<T> | undefined = await iterator.next();
    live.open({ status: 200, contentType: encode.contentType });
    live.feed({
      next: async () => {
        for (;;) {
          const next = first ?? await iterator.next();
          first = undefined;
          if (next.done === true) return undefined;
          const bytes = encoder.encode(encode.encode(next.value));
          if (attached.chunks++ < live.toldBefore.length) continue;
          return { bytes, facts: factsOf(next.value) };
        }
      },
      failure: (error) => encoder.encode(encode.encodeFailure(error)),
    });
    // Whoever makes it may be between two pieces, and holds a slot.
    this.signal.addEventListener("abort", () => void iterator.return?.().catch(() => {}));
    this.#streaming = true;
    const headers = { ...encode.headers, "content-type": encode.contentType };
    return bytesAnswer(live.read(0, leave), { headers }, leave);
  }

  /** Tells what is behind a chunk of an answer that is told as a whole. @throws UnavailableError `peer_lost`. */
  async noteChunk({ facts }: AnswerChunk): Promise<void> {
    const attached = this.#attached;
    if (attached === undefined || attached.chunks++ < attached.live.toldBefore.length) return;
    await attached.live.tell({ bytes: new Uint8Array(), facts: facts ?? "" }, { isLast: false });
  }

  /** Nobody wants its answer. */
  abandon(): void {
    this.#abort.abort(new DOMException("The client went away", "AbortError"));
  }

  /** A stream of this request has ended. */
  ended(): void {
    this.#end(200);
  }

  /** The request as it is asked on, under the id that its answer carries. */
  labelled<T extends { readonly model: string; readonly options?: RequestOptions }>(
    request: T,
  ): T & {
    readonly label: string;
    readonly traceparent?: string | undefined;
    readonly account?: RequestAccount;
    readonly journal?: AnswerJournalWish;
  } {
    this.#model = request.model;
    const account = this.#admit();
    const { traceparent } = this;
    const volatileLines = readLinesWish(this.request.headers);
    const labelled = {
      ...request,
      ...(volatileLines && { options: { volatileLines, ...request.options } }),
      label: this.origin.requestId,
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(account === undefined ? {} : { account }),
    };
    const attached = this.#attached;
    if (attached === undefined) return labelled;
    const facts = attached.live.toldBefore.map((entry) => entry.facts).filter((one) => one !== "");
    const { drawn: answer, seed } = attached.head;
    return { ...labelled, journal: { answer, seed, facts } };
  }

  /** Has the answer's headers tell what of the request is not followed; before the answer is handed over. */
  warn(warnings: readonly string[]): void {
    this.#warnings = [...this.#warnings, ...warnings];
  }

  /** Keeps who computes the answer, whether it is exact, and what of the request it doesn't follow, for its headers. */
  noteServing(answer: Answer | EmbedAnswer | VocabularyFigures): void {
    if ("warnings" in answer && answer.warnings !== undefined) this.warn(answer.warnings);
    if ("exact" in answer && answer.exact !== undefined) this.#exact = answer.exact;
    if ("promptUsage" in answer) this.#promptUsage = answer.promptUsage;
    if (!("servedBy" in answer)) return;
    const { servedBy } = answer;
    this.#servedBy = typeof servedBy === "function" ? servedBy : () => servedBy;
  }

  /** Marks the first output of an answer, for the time to first token. */
  markFirstOutput(): void {
    const seconds = this.#elapsedSeconds();
    this.#firstTokenMs = seconds * MS_PER_SECOND;
    const { family } = this.origin;
    const name = "odist_time_to_first_token_seconds";
    this.#parts.metrics.observe(name, seconds, { family }, this.#ids);
  }

  /** Counts the tokens of a complete answer. */
  countTokens(
    metrics: PromptUsage & Pick<AnswerMetrics, "evalCount" | "drafts">,
  ): void {
    this.#tokens = { promptTokens: metrics.promptEvalCount, tokens: metrics.evalCount };
    this.#admission?.addTokens(metrics.promptEvalCount + metrics.evalCount);
    const labels = { family: this.origin.family };
    this.#parts.metrics.increment("odist_prompt_tokens_total", labels, metrics.promptEvalCount);
    if (metrics.promptCachedCount !== undefined) {
      const name = "odist_prompt_tokens_cached_total";
      const { source = "unknown", end = "unknown" } = metrics.prefix ?? {};
      this.#parts.metrics.increment(name, { ...labels, source }, metrics.promptCachedCount);
      this.#parts.metrics.increment("odist_prompt_prefixes_total", { end });
    }
    this.#parts.metrics.increment("odist_generated_tokens_total", labels, metrics.evalCount);
    const { drafted, accepted } = metrics.drafts ?? { drafted: 0, accepted: 0 };
    this.#parts.metrics.increment("odist_drafted_tokens_total", labels, drafted);
    this.#parts.metrics.increment("odist_drafted_tokens_accepted_total", labels, accepted);
  }

  /** Sorts an error and logs one that no one foresaw. */
  describe(error: unknown): Failure {
    const { requestId } = this.origin;
    const failure = { ...describeFailure(error, this.signal), requestId };
    if (failure.unforeseen) {
      this.#parts.log.log("error", "request_failed", {
        ...this.#ids,
        route: this.origin.route,
        error: error instanceof Error ? error.stack ?? error.message : String(error),
      });
    }
    return this.isOwn ? failure : { ...failure, message: this.#withoutFolders(failure.message) };
  }

  /** Whether the client is on this machine, and so could look for itself. */
  get isOwn(): boolean {
    return this.origin.caller.kind === "own";
  }

  #withoutFolders(text: string): string {
    return this.#parts.config.hiddenFolders.reduce(
      (shown, { path, shownAs }) => shown.replaceAll(path, shownAs),
      text,
    );
  }

  /** The handler returned; a stream goes on until its last byte. */
  answered(response: Response): void {
    this.origin.gone.removeEventListener("abort", this.#onAbort);
    // By now a stream has its first token, and so the node that made it.
    const servedBy = this.#servedBy();
    if (servedBy !== undefined) response.headers.set(NODE_HEADER, headerText(servedBy));
    const exact = this.#exact();
    if (exact !== undefined) response.headers.set(EXACT_HEADER, exact ? "yes" : "no");
    const lines = this.#promptUsage?.().volatileLines;
    if (lines !== undefined) {
      response.headers.set(LINES_HEADER, `dropped=${lines.dropped}; moved=${lines.moved}`);
    }
    if (this.#warnings.length > 0) {
      response.headers.set(WARNING_HEADER, warningText(this.#warnings));
    }
    if (this.#wait !== undefined) response.headers.set(QUEUE_HEADER, waitText(this.#wait));
    if (this.#standing !== undefined) setLimitHeaders(response.headers, this.#standing);
    if (!this.#streaming) this.#end(response.status);
  }

  /** A body breaks off when its sender goes away, which may be known here before the request's own signal says so. */
  #lose(reason: unknown): void {
    this.#abort.abort(reason);
  }

  #end(status: number): void {
    if (this.#status !== undefined) return;
    this.#status = status;
    this.#durationMs = this.#elapsedSeconds() * MS_PER_SECOND;
    this.#admission?.end();
    this.#onEnd();
    this.#span?.note({ "http.response.status_code": status, "odist.model": this.#model });
    this.#span?.end(this.row?.state === "failed" ? "failed" : undefined);
    const { family, route } = this.origin;
    const seconds = this.#elapsedSeconds();
    const { metrics, log } = this.#parts;
    metrics.increment("odist_http_requests_total", { family, route, status: String(status) });
    const timed = { family, route };
    metrics.observe("odist_http_request_duration_seconds", seconds, timed, this.#ids);
    log.log("debug", "request_answered", {
      ...this.#ids,
      method: this.request.method,
      route,
      status,
      durationMs: Math.round(seconds * 1000),
    });
  }

  get #ids(): RequestIds {
    const traceparent = this.#span?.traceparent ?? givenTraceparent(this.request.headers);
    return requestIdsOf({ requestId: this.origin.requestId, traceparent });
  }

  /** As people are shown it; undefined where no answer was asked for. */
  get row(): RequestRow | undefined {
    if (this.#model === undefined) return undefined;
    const { requestId: id, route: path } = this.origin;
    return {
      ...{ id, path, model: this.#model, atMs: this.#startedAtMs, entry: "", moves: 0 },
      state: this.#state(),
      ...queuedField(this.#wait),
      ...(this.#status === undefined ? {} : { status: this.#status }),
      ...this.#tokens,
      ...(this.#firstTokenMs === undefined ? {} : { firstTokenMs: this.#firstTokenMs }),
      durationMs: this.#durationMs ?? this.#elapsedSeconds() * MS_PER_SECOND,
    };
  }

  /** A stream's status is sent before its failure: one that ends without its figures has failed. */
  #state(): RequestRow["state"] {
    if (this.#status === undefined) return "running";
    if (this.#abort.signal.aborted) return "canceled";
    const isWhole = !this.#streaming || this.#tokens !== undefined;
    return this.#status < 400 && isWhole ? "answered" : "failed";
  }

  #elapsedSeconds(): number {
    return (this.#parts.clock.monotonicMs() - this.#startedMs) / MS_PER_SECOND;
  }
}

function queuedField(wait: QueueWait | undefined): Pick<RequestRow, "queued"> {
  const queued = wait?.place();
  return queued === undefined ? {} : { queued };
}

function givenTraceparent(headers: Headers): string | undefined {
  const text = headers.get("traceparent")?.trim();
  return text !== undefined && isTraceparent(text) ? text : undefined;
}

function factsOf(item: unknown): string {
  return typeof item === "object" && item !== null && "facts" in item &&
      typeof item.facts === "string"
    ? item.facts
    : "";
}

/** Says how much the answer to a read may have missed. */
const CONSISTENCY_HEADER = "x-odist-consistency";

/** A read on its way: what to ask for it, and how it was read in the end. */
export interface HttpRead {
  readonly options: ReadOptions;
  /** The answer, saying how it was read. */
  answer(response: Response): Response;
}

/**
 * How the request wants its read: of a quorum, or without one of what this node knows; `?consistency=` asks for either alone.
 *
 * @throws RequestError for another value of `consistency`.
 */
export function readOf(exchange: Exchange): HttpRead {
  const given = exchange.query("consistency");
  if (given !== undefined && given !== "linearizable" && given !== "stale") {
    throw invalidRequest(`consistency must be "linearizable" or "stale": got "${given}"`);
  }
  let consistency: Consistency = given ?? "linearizable";
  return {
    options: { consistency: given ?? "available", onRead: (was) => consistency = was },
    answer(response) {
      response.headers.set(CONSISTENCY_HEADER, consistency);
      return response;
    },
  };
}

/** Other nodes choose their names, and a header carries printable ASCII only. */
function headerText(text: string): string {
  return text.replaceAll(/[^\x21-\x7e]/g, "?");
}

function warningText(warnings: readonly string[]): string {
  const text = warnings.join("; ").replaceAll(/[^\x20-\x7e]/g, "?");
  return text.length > WARNING_CHARS_MAX ? `${text.slice(0, WARNING_CHARS_MAX)}...` : text;
}

/** A model name that must be there. @throws RequestError `model_required`. */
export function requireModel(fields: Fields): string {
  const model = modelField(fields);
  if (model.trim() !== "") return model;
  throw new RequestError("model_required", "model is required");
}

/** `model`, or `name` as older clients send it; "" when neither is there. */
export function modelField(fields: Fields): string {
  // Both are read, as a wrong type is refused in either.
  const name = fields.string("name");
  return fields.string("model") || name || "";
}
