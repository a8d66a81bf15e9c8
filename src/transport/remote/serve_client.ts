import { isEdgeError, PeerError } from "../../base/mod.ts";
import type { Clock } from "../../ports/mod.ts";
import {
  clientHelloShape,
  type ClientVerdict,
  type RequestHead,
  requestHeadShape,
} from "../../protocol/mod.ts";
import { withDeadline } from "../connecting/mod.ts";
import { lostConnection, type StreamParts } from "../framing/mod.ts";
import type { TransportLimits } from "../limits.ts";
import type { ClientSession } from "./client_session.ts";
import { ClientStream } from "./client_stream.ts";

/** What a node does for clients that show a key. */
export interface ClientHandler {
  /** What a key is worth now: asked at the hello and before each request, so that a revoked one ends at once. */
  admit(key: string): Promise<ClientVerdict>;
  /** As if it had come to the HTTP API from whoever has the key. */
  answer(request: Request, client: AskingClient): Promise<Response>;
}

/** Whose request it is. */
export interface AskingClient {
  readonly key: string;
  /** Where it asks from. */
  readonly address: string;
  /** Aborts when it does not want the answer any more. */
  readonly gone: AbortSignal;
}

/** The client of a session that was greeted. */
type Greeted = Pick<AskingClient, "key" | "address">;

/** What a session is served with. */
export interface ServeParts {
  readonly handler: ClientHandler;
  readonly limits: TransportLimits;
  readonly clock: Clock;
}

/** Requests are rebuilt under a name that every guard of the HTTP API lets in. */
const OWN_URL = "http://localhost";

/**
 * Reads the key from the first stream and says what it is worth. Nothing else of the session is read before.
 *
 * @returns the key.
 * @throws PeerError `key_refused`, once the client was told; PeerError for everything else that is wrong with it;
 *   UnavailableError `peer_lost`.
 */
export async function greetClient(session: ClientSession, parts: ServeParts): Promise<string> {
  const first = await session.nextStream();
  if (first === undefined) throw lostConnection();
  const stream = new ClientStream(first, { nowMs: () => parts.clock.monotonicMs() });
  await stream.expectKind("hello");
  const { key } = await stream.readHead(clientHelloShape);
  const verdict = await parts.handler.admit(key);
  await stream.writeHead(verdict);
  await stream.writeEnd();
  stream.release();
  if (verdict.kind === "welcome") return key;
  throw new PeerError("key_refused", `A client was refused: ${verdict.reason}`);
}

/**
 * Answers a greeted client's requests until its session is over.
 *
 * @throws PeerError when the client breaks the protocol.
 */
export async function serveClient(
  session: ClientSession,
  parts: ServeParts & Greeted,
): Promise<void> {
  const gone = new AbortController();
  const fault = Promise.withResolvers<never>();
  fault.promise.catch(() => {});
  void session.closed.then(() => gone.abort(leftReason()));
  const open = new Set<Promise<void>>();
  const accept = async () => {
    for (;;) {
      while (open.size >= parts.limits.clientRequestsMax) await Promise.race(open);
      const streams = await session.nextStream();
      if (streams === undefined) return;
      const served = serveStream(streams, parts, gone.signal).catch((error) => fault.reject(error))
        .finally(() => open.delete(served));
      open.add(served);
    }
  };
  try {
    await Promise.race([accept(), fault.promise]);
  } catch (error) {
    if (!isEdgeError(error) || error instanceof PeerError) throw error;
  } finally {
    gone.abort(leftReason());
  }
}

/** One request. A client that goes away in the middle is no fault. */
async function serveStream(
  streams: StreamParts,
  parts: ServeParts & Greeted,
  sessionGone: AbortSignal,
): Promise<void> {
  const { clock, limits } = parts;
  const stream = new ClientStream(streams, { nowMs: () => clock.monotonicMs() });
  const exchange = new RemoteExchange(stream, sessionGone);
  try {
    const head = await withDeadline(readRequestHead(stream), {
      clock,
      limitMs: limits.frameStallMs,
      late: () => new PeerError("peer_stalled", "A client does not come to the end of a request"),
    });
    await exchange.answerWith(await answerTo(exchange.requestOf(head), parts, exchange.gone));
  } catch (error) {
    if (!isEdgeError(error) || error instanceof PeerError) throw error;
  } finally {
    exchange.end();
    stream.release();
  }
}

async function readRequestHead(stream: ClientStream): Promise<RequestHead> {
  await stream.expectKind("stream");
  return await stream.readHead(requestHeadShape);
}

async function answerTo(
  request: Request,
  { handler, key, address }: ServeParts & Greeted,
  gone: AbortSignal,
): Promise<Response> {
  const verdict = await handler.admit(key);
  if (verdict.kind === "welcome") return await handler.answer(request, { key, address, gone });
  return Response.json({ error: verdict.reason }, { status: 401 });
}

/** A request and its answer over one stream, in the shapes that the HTTP API works with. */
class RemoteExchange {
  readonly #stream: ClientStream;
  readonly #gone = new AbortController();
  readonly #sessionGone: AbortSignal;
  readonly #onSessionGone = () => this.#leave();

  constructor(stream: ClientStream, sessionGone: AbortSignal) {
    this.#stream = stream;
    this.#sessionGone = sessionGone;
    sessionGone.addEventListener("abort", this.#onSessionGone);
  }

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** @throws PeerError `malformed_frame` for what can't be a request. */
  requestOf(head: RequestHead): Request {
    const { method, path } = head;
    const hasBody = method !== "GET" && method !== "HEAD";
    try {
      const headers = new Headers(head.headers.map(({ name, value }) => [name, value]));
      const body = hasBody ? { body: this.#body() } : {};
      const request = new Request(OWN_URL + path, { method, headers, ...body });
      if (!hasBody) void this.#expectEnd();
      return request;
    } catch (cause) {
      throw new PeerError("malformed_frame", `A client's request makes no sense: ${cause}`);
    }
  }

  async answerWith(response: Response): Promise<void> {
    const headers = [...response.headers].map(([name, value]) => ({ name, value }));
    const reader = response.body?.getReader();
    const cancel = () => void reader?.cancel(leftReason()).catch(() => {});
    this.gone.addEventListener("abort", cancel);
    if (this.gone.aborted) cancel();
    try {
      await this.#stream.writeHead({ status: response.status, headers });
      for (let bytes; (bytes = await readBody(reader)) !== undefined;) {
        await this.#stream.writeBody(bytes);
      }
      await this.#stream.writeEnd();
    } catch (error) {
      this.#leave();
      if (error instanceof BodyFailed) await this.#stream.writeBrokenOff();
      else throw error;
    } finally {
      this.gone.removeEventListener("abort", cancel);
    }
  }

  end(): void {
    this.#sessionGone.removeEventListener("abort", this.#onSessionGone);
    this.#leave();
  }

  #body(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream({
      pull: async (controller) => {
        const piece = await this.#next();
        if (piece.kind === "bytes") return controller.enqueue(piece.bytes);
        if (piece.kind === "end") {
          controller.close();
          void this.#watch();
          return;
        }
        this.#leave();
        controller.error(leftReason());
      },
    }, { highWaterMark: 0 });
  }

  async #expectEnd(): Promise<void> {
    const piece = await this.#next();
    if (piece.kind === "end") await this.#watch();
    else this.#leave();
  }

  /** Behind its request a client says nothing but that it does not want the answer any more. */
  async #watch(): Promise<void> {
    const piece = await this.#next();
    // The stream's own end is what a finished request looks like to a runtime that tells of it.
    if (piece.kind !== "gone") this.#leave();
  }

  async #next(): ReturnType<ClientStream["readPiece"]> {
    try {
      return await this.#stream.readPiece();
    } catch (error) {
      if (!isEdgeError(error)) throw error;
      return { kind: "broken_off" };
    }
  }

  #leave(): void {
    this.#gone.abort(leftReason());
  }
}

/** The answer's own stream failed; its cause was logged where it happened. */
class BodyFailed extends Error {}

/** The next bytes; undefined at the end. */
async function readBody(
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return (await reader?.read())?.value;
  } catch {
    throw new BodyFailed();
  }
}

function leftReason(): DOMException {
  return new DOMException("The client went away", "AbortError");
}
