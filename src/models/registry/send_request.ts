import { type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { Readable } from "node:stream";
import { BoundedMap, errorMessage, joinBytes, PeerError, printable } from "../../base/mod.ts";
import type { AdmittedAddress } from "./address_policy.ts";

const HTTPS_PORT = 443;
/** Hosts that are remembered. */
const LISTENERS_MAX = 1_024;
/** Hosts, with their port, of which the last TLS connection was made. */
const LISTENERS = new BoundedMap<string, true>(LISTENERS_MAX);

/** One request as it goes out. */
export interface OutgoingRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: OutgoingBody;
  readonly signal: AbortSignal;
}

/** Bytes that can be sent again, or a stream with its length. */
export type OutgoingBody = Uint8Array | OutgoingStream;

export interface OutgoingStream {
  readonly byteLength: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** One answer. Its body is to be read or left. */
export interface IncomingAnswer {
  readonly status: number;
  /** By lower-case names. */
  header(name: string): string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  /** Closes the connection without reading on. */
  leave(): void;
}

/**
 * Sends one request to an admitted address and to no other; redirects are answers like any. One connection per request,
 * straight to the addresses that were looked at, so that a host name can't change its meaning in between.
 *
 * @throws PeerError `registry_failed` when nobody answers; the signal's reason.
 */
export async function sendRequest(
  target: AdmittedAddress,
  request: OutgoingRequest,
): Promise<IncomingAnswer> {
  request.signal.throwIfAborted();
  try {
    return target.addresses.length === 0
      ? await sendThroughProxy(target.url, request)
      : await sendStraight(target, request);
  } catch (cause) {
    if (request.signal.aborted) throw request.signal.reason;
    if (cause instanceof PeerError) throw cause;
    throw new PeerError(
      "registry_failed",
      `cannot reach ${target.url.host}: ${printable(reasonOf(cause))}`,
      { cause },
    );
  }
}

/** @throws PeerError `registry_failed` for an answer of more bytes. */
export async function readAnswer(answer: IncomingAnswer, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of answer.body) {
    total += chunk.length;
    if (total > bytesMax) {
      throw new PeerError("registry_failed", `the answer is larger than ${bytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return joinBytes(chunks);
}

async function sendStraight(
  target: AdmittedAddress,
  request: OutgoingRequest,
): Promise<IncomingAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingAnswer>();
  const { method, headers, body, signal } = request;
  const { url } = target;
  const lookup = lookupAmong(target.addresses);
  const isSecret = url.protocol === "https:";
  if (isSecret) await unlessAborted(expectListener(target), signal);
  const outgoing = (isSecret ? httpsRequest : httpRequest)(url, {
    method,
    headers: { ...headers, ...lengthOf(request) },
    signal,
    agent: false,
    lookup,
  });
  outgoing.on("error", (error) => {
    LISTENERS.delete(url.host);
    reject(error);
  });
  outgoing.on("response", (incoming) => resolve(answerOf(incoming, signal)));
  if (body === undefined || body instanceof Uint8Array) {
    outgoing.end(body);
    return promise;
  }
  const source = Readable.from(body.chunks, { objectMode: false });
  source.on("error", (error) => {
    reject(error);
    outgoing.destroy();
  });
  source.pipe(outgoing);
  return promise;
}

/**
 * Resolves once somebody answers at the address: of TLS over a connection that never comes about, the runtime keeps half a
 * mebibyte for good. Whoever answered before is not asked again.
 */
async function expectListener({ url, addresses }: AdmittedAddress): Promise<void> {
  if (LISTENERS.get(url.host) !== undefined) return;
  const port = Number(url.port || HTTPS_PORT);
  let failure: unknown;
  for (const hostname of addresses) {
    try {
      (await Deno.connect({ hostname, port })).close();
      LISTENERS.set(url.host, true);
      return;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** `work`, or the signal's reason as soon as it is aborted: what is left of the work is nobody's. */
async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  try {
    await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Answers every question for a host name with what was found before. */
function lookupAmong(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  const [first] = found;
  return (_hostname, options, callback) => {
    if (options.all) callback(null, found);
    else callback(null, first?.address ?? "", first?.family);
  };
}

function lengthOf({ method, body }: OutgoingRequest): Readonly<Record<string, string>> {
  if (body !== undefined) return { "content-length": String(body.byteLength) };
  return method === "GET" || method === "HEAD" ? {} : { "content-length": "0" };
}

function answerOf(incoming: IncomingMessage, signal: AbortSignal): IncomingAnswer {
  // Who reads the body gets the failure; of a body nobody reads it is no news.
  incoming.on("error", () => {});
  return {
    status: incoming.statusCode ?? 0,
    header: (name) => {
      const value = incoming.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    body: readUnlessAborted(incoming, signal),
    leave: () => void incoming.destroy(),
  };
}

async function* readUnlessAborted(
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  try {
    yield* body;
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new PeerError("registry_failed", `the answer broke off: ${printable(reasonOf(cause))}`, {
      cause,
    });
  }
}

/** `fetch` knows the environment's proxies. */
async function sendThroughProxy(url: URL, request: OutgoingRequest): Promise<IncomingAnswer> {
  const { method, headers, body, signal } = request;
  const response = await fetch(url, {
    method,
    headers,
    redirect: "manual",
    signal,
    ...(body !== undefined && {
      body: body instanceof Uint8Array ? new Uint8Array(body) : ReadableStream.from(body.chunks),
    }),
  });
  return {
    status: response.status,
    header: (name) => response.headers.get(name) ?? undefined,
    body: readUnlessAborted(response.body ?? ReadableStream.from([]), signal),
    leave: () => void response.body?.cancel().catch(() => {}), // Left because nobody wants it.
  };
}

function reasonOf(cause: unknown): string {
  // The text quotes the address, which may carry a signature.
  return errorMessage(cause).replace(/ for url \([^)]*\)/, "");
}
