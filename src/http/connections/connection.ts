import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { ConnectionLimits } from "./limits.ts";
import { ConnectionProgress, type Overdue } from "./progress.ts";
import { sendAnswer } from "./send_answer.ts";

/** Headers of one request at most. */
const HEADERS_MAX = 256;
const CLOSE = ["content-length", "0", "connection", "close"];
const REQUEST_TIMEOUT =
  "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/** What comes with a request. */
export interface RequestConnection {
  readonly address: string;
  /** Tells that the client has left. */
  readonly gone: AbortSignal;
  /** As it comes in; absent when there is none. */
  readonly body?: AsyncIterable<Uint8Array>;
}

/** Answers one request, whose own body and signal are empty; never rejects. */
export type AnswerRequest = (
  request: Request,
  connection: RequestConnection,
) => Promise<Response>;

/** One client's connection and the requests on it. */
export class Connection {
  readonly address: string;
  readonly #socket: Socket;
  readonly #progress: ConnectionProgress;
  readonly #reading = new Set<IncomingMessage>();
  #openRequests = 0;
  #requests = 0;
  #discarded: IncomingMessage | undefined;
  /** The latest answer. */
  #outgoing: ServerResponse | undefined;
  #closing = false;
  #over = false;

  constructor(
    socket: Socket,
    options: { readonly limits: ConnectionLimits; readonly nowMs: number },
  ) {
    this.#socket = socket;
    this.address = socket.remoteAddress ?? "";
    this.#progress = new ConnectionProgress(options.limits, options.nowMs);
  }

  /** Milliseconds without a request, undefined while there is one. */
  idleMs(nowMs: number): number | undefined {
    return this.#openRequests > 0 ? undefined : this.#progress.idleMs(nowMs);
  }

  /** Ends the connection when it has kept its place for too long, and says why. */
  endOverdue(nowMs: number): Overdue | undefined {
    if (this.#over) return undefined;
    const socket = this.#socket;
    const overdue = this.#progress.look({
      openRequests: this.#openRequests,
      requests: this.#requests,
      awaitsBody: this.#reading.size > 0,
      discards: this.#discarded?.complete === false,
      bytesRead: socket.bytesRead,
      bytesPending: socket.writableLength,
      bytesTaken: socket.bytesWritten - socket.writableLength,
    }, nowMs);
    if (overdue === undefined) return undefined;
    const isLate = overdue === "headers_late" || overdue === "body_stalled";
    // Never into the middle of an answer.
    const mayAnswer = this.#openRequests === 0 || this.#outgoing?.headersSent === false;
    if (isLate && mayAnswer) this.refuse(REQUEST_TIMEOUT);
    else this.close();
    return overdue;
  }

  /** Says one thing and closes. */
  refuse(text: string): void {
    this.#over = true;
    this.#socket.end(text, () => this.#socket.destroy());
  }

  close(): void {
    this.#over = true;
    this.#socket.destroy();
  }

  /** Closes once nothing is asked on it any more. */
  closeWhenIdle(): void {
    this.#closing = true;
    if (this.#openRequests === 0) this.#socket.destroySoon();
  }

  async answer(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    answer: AnswerRequest,
  ): Promise<void> {
    this.#openRequests++;
    this.#requests++;
    this.#outgoing = outgoing;
    const gone = new AbortController();
    outgoing.once("close", () => {
      if (!outgoing.writableFinished) {
        gone.abort(new DOMException("The client went away", "AbortError"));
      }
      this.#openRequests--;
      // It holds its request and headers, and the connection may be idle for long.
      if (this.#outgoing === outgoing) this.#outgoing = undefined;
      this.#ended(incoming);
    });
    if (this.#closing) outgoing.shouldKeepAlive = false;
    if (incoming.rawHeaders.length > 2 * HEADERS_MAX) {
      outgoing.writeHead(431, CLOSE).end();
      return;
    }
    const request = webRequest(incoming);
    if (request === undefined) {
      outgoing.writeHead(400, CLOSE).end();
      return;
    }
    const connection = {
      address: this.address,
      gone: gone.signal,
      ...(mayHaveBody(incoming) ? { body: this.#parts(incoming) } : {}),
    };
    await sendAnswer(await answer(request, connection), outgoing);
  }

  /** What is left of a body must be read, or the next request never is. */
  #ended(incoming: IncomingMessage): void {
    if (this.#closing && this.#openRequests === 0) this.#socket.destroySoon();
    if (incoming.complete || this.#socket.destroyed) return;
    this.#discarded = incoming;
    incoming.resume();
  }

  /** Most bodies are here before anyone asks for them. Who stops reading still answers on this connection. */
  async *#parts(incoming: IncomingMessage): AsyncGenerator<Uint8Array> {
    for (;;) {
      const part = incoming.read();
      if (part !== null) yield part;
      else if (incoming.complete && incoming.readableLength === 0) return;
      else await this.#awaitPart(incoming);
    }
  }

  /** Resolves once there may be more of a body, or no more follows. Rejects when it broke off. */
  #awaitPart(incoming: IncomingMessage): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onClose = () => {
      if (incoming.complete) resolve();
      else reject(incoming.errored ?? new Error("The body broke off"));
    };
    this.#reading.add(incoming);
    incoming.on("readable", resolve).on("end", resolve).on("error", reject).on("close", onClose);
    if (incoming.destroyed) onClose();
    return promise.finally(() => {
      this.#reading.delete(incoming);
      incoming.off("readable", resolve).off("end", resolve).off("error", reject);
      incoming.off("close", onClose);
    });
  }
}

/**
 * The request as the app reads it, or undefined when it is none: no such method, a `Host` that is none, or two of them.
 * Without body and signal, which cost more in these classes than all the rest.
 */
function webRequest(incoming: IncomingMessage): Request | undefined {
  try {
    const url = urlOf(incoming);
    if (url === undefined) return undefined;
    return new Request(url, {
      method: incoming.method ?? "GET",
      headers: headersOf(incoming.rawHeaders),
    });
  } catch (error) {
    // What the classes of the web platform refuse is no request for them.
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** Whether a body may follow: one of GET and HEAD means nothing. */
function mayHaveBody({ method, headers }: IncomingMessage): boolean {
  if (method === "GET" || method === "HEAD") return false;
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function headersOf(raw: readonly string[]): [string, string][] {
  const headers: [string, string][] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    headers.push([raw[index] ?? "", raw[index + 1] ?? ""]);
  }
  return headers;
}

function urlOf({ url = "/", headers, rawHeaders }: IncomingMessage): string | undefined {
  const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && /^host$/i.test(name));
  if (hosts.length > 1) return undefined;
  const host = headers.host || "localhost";
  // Anything but a name and a port would become another part of the URL.
  if (/[^\w.:[\]%~!$&'()*+,;=-]/.test(host)) return undefined;
  if (url.startsWith("/")) return `http://${host}${url}`;
  // As proxies are asked; which name is meant is what Host says, and is checked.
  const [, path] = /^https?:\/\/[^/?#]*(.*)$/i.exec(url) ?? [];
  return path === undefined ? undefined : `http://${host}${path}`;
}
