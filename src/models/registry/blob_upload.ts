import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { type IncomingHttpHeaders, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import { errorMessage, PeerError } from "../../base/mod.ts";
import type { BlobReader, BlobStore, Clock, TransferLimits } from "../../ports/mod.ts";
import { type BlobLayer, parseModelName } from "../../protocol/mod.ts";
import { parseUrl, type RegistryClient } from "./registry_client.ts";
import { partBytesOf } from "../transfer/mod.ts";
import { pause } from "../waiting.ts";

/** What an upload works with. */
export interface UploadContext {
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly limits: TransferLimits;
  readonly signal: AbortSignal;
  readonly onProgress: (completed: number) => void;
}

/** Bytes read from the blob and sent at once. */
const CHUNK_BYTES = 256 * 1024;

/**
 * Sends one blob in parts (contract 2.6), one after the other, unless the registry has it or mounts it.
 *
 * @throws PeerError `registry_failed`, StorageError `corrupt_file` when the blob is absent, `signal`'s reason.
 */
export async function uploadBlob(
  layer: BlobLayer,
  client: RegistryClient,
  context: UploadContext,
): Promise<void> {
  const { signal, onProgress } = context;
  const known = await client.request(client.url(`blobs/${layer.digest}`), {
    method: "HEAD",
    signal,
  });
  await known.body?.cancel();
  if (known.status === 404) {
    const uploadUrl = await beginUpload(layer, client, signal);
    if (uploadUrl !== undefined) await sendParts(layer, client, { ...context, uploadUrl });
  } else {
    await client.check(known);
  }
  onProgress(layer.size);
}

/** Where the first part goes, or undefined when the registry took the blob from another repository of its own. */
async function beginUpload(
  layer: BlobLayer,
  client: RegistryClient,
  signal: AbortSignal,
): Promise<string | undefined> {
  const origin = parseModelName(layer.from ?? "");
  // Only a repository of the same registry can lend a blob.
  const mount = origin === undefined || origin.host !== client.host ? "" : `?${new URLSearchParams({
    mount: layer.digest,
    from: `${origin.namespace}/${origin.model}`,
  })}`;
  const url = client.url(`blobs/uploads/${mount}`);
  const response = await client.check(
    await client.request(url, { method: "POST", signal }),
  );
  await response.body?.cancel();
  if (response.status === 201) return undefined;
  return nextAddress(Object.fromEntries(response.headers), url);
}

async function sendParts(
  layer: BlobLayer,
  client: RegistryClient,
  context: UploadContext & { readonly uploadUrl: string },
): Promise<void> {
  const { blobs, limits, signal } = context;
  const reader = await blobs.open(layer.digest);
  const partBytes = partBytesOf(layer.size, limits);
  let url = context.uploadUrl;
  const checksums: Buffer[] = [];
  try {
    for (let offset = 0; offset < layer.size; offset += partBytes) {
      const length = Math.min(partBytes, layer.size - offset);
      const part = new UploadPart(reader, { offset, length });
      url = await sendPart(part, client, { ...context, url });
      checksums.push(part.checksum());
    }
  } finally {
    reader.close();
  }
  const last = new URL(url);
  last.searchParams.set("digest", layer.digest);
  last.searchParams.set(
    "etag",
    `${md5(Buffer.concat(checksums)).toString("hex")}-${checksums.length}`,
  );
  const response = await client.check(
    await client.request(last.toString(), { method: "PUT", signal }),
  );
  await response.body?.cancel();
}

/** `[offset, offset + length)` of a blob; its checksum is that of what was read last. */
class UploadPart {
  readonly offset: number;
  readonly length: number;
  readonly #reader: BlobReader;
  #hash = createHash("md5");

  constructor(
    reader: BlobReader,
    range: { readonly offset: number; readonly length: number },
  ) {
    this.#reader = reader;
    this.offset = range.offset;
    this.length = range.length;
  }

  /** From the start each time, so a try can be repeated. */
  async *read(onSent: (bytes: number) => void): AsyncIterable<Uint8Array> {
    this.#hash = createHash("md5");
    for (let done = 0; done < this.length;) {
      const bytes = await this.#reader.read(
        this.offset + done,
        Math.min(CHUNK_BYTES, this.length - done),
      );
      if (bytes.length === 0) throw failed("the blob ended early");
      this.#hash.update(bytes);
      done += bytes.length;
      yield bytes;
      onSent(done);
    }
  }

  checksum(): Buffer {
    return this.#hash.digest();
  }
}

/** Sends a part, again after a failure; returns where the next one goes. */
async function sendPart(
  part: UploadPart,
  client: RegistryClient,
  context: UploadContext & { readonly url: string },
): Promise<string> {
  const { limits, clock, signal } = context;
  for (let tries = 1;; tries++) {
    try {
      return await trySendPart(part, client, context);
    } catch (error) {
      signal.throwIfAborted();
      if (tries >= limits.triesMax) {
        throw failed(`max retries exceeded: ${errorMessage(error)}`, error);
      }
      await pause(limits.pauseMs * 2 ** (tries - 1), clock, signal);
    }
  }
}

async function trySendPart(
  part: UploadPart,
  client: RegistryClient,
  context: UploadContext & { readonly url: string },
): Promise<string> {
  const { url, signal, onProgress } = context;
  const send = (method: "PATCH" | "PUT", address: string, headers: Record<string, string>) =>
    sendStream(address, {
      method,
      headers: { ...headers, "content-length": String(part.length) },
      body: part.read((bytes) => onProgress(part.offset + bytes)),
      signal,
    });
  const answer = await send("PATCH", url, {
    ...client.headers(),
    "content-type": "application/octet-stream",
    "content-range": `${part.offset}-${part.offset + part.length - 1}`,
    "x-redirect-uploads": "1",
  });
  if (answer.status === 401) {
    await client.authorize(oneHeader(answer.headers["www-authenticate"]) ?? null, signal);
    throw failed("the registry wanted a new token");
  }
  if (answer.status === 307) {
    const storage = parseUrl(oneHeader(answer.headers["location"]) ?? "", url);
    if (storage === undefined) throw failed("the registry redirects a part to nowhere");
    // No token: the address itself is what allows the upload.
    const stored = await send("PUT", storage.toString(), {});
    if (stored.status >= 300) throw failed(`${stored.status}: ${stored.text}`);
    return nextAddress({ ...answer.headers, location: undefined }, url) ?? url;
  }
  if (answer.status >= 300) throw failed(`${answer.status}: ${answer.text}`);
  return nextAddress(answer.headers, url) ?? url;
}

function nextAddress(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  base: string,
): string {
  const text = oneHeader(headers["docker-upload-location"]) ?? oneHeader(headers["location"]);
  const url = text === undefined ? undefined : parseUrl(text, base);
  if (url === undefined) throw failed("the registry gives no address to upload to");
  return url.toString();
}

function oneHeader(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

interface StreamAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Its first part, for messages. */
  readonly text: string;
}

/** Characters of an answer that are kept. */
const ANSWER_TEXT_MAX = 4_096;

/** Sends a stream with a `Content-Length`, which `fetch` leaves out and registries insist on. */
function sendStream(
  url: string,
  options: {
    readonly method: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: AsyncIterable<Uint8Array>;
    readonly signal: AbortSignal;
  },
): Promise<StreamAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<StreamAnswer>();
  const request = url.startsWith("https:") ? httpsRequest : httpRequest;
  const outgoing = request(url, {
    method: options.method,
    headers: options.headers,
    signal: options.signal,
  });
  outgoing.on("error", reject);
  outgoing.on("response", (incoming) => {
    let text = "";
    incoming.setEncoding("utf8");
    incoming.on("data", (chunk: string) => text = (text + chunk).slice(0, ANSWER_TEXT_MAX));
    incoming.on("error", reject);
    incoming.on(
      "end",
      () => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text }),
    );
  });
  const body = Readable.from(options.body, { objectMode: false });
  body.on("error", (error) => {
    reject(error);
    outgoing.destroy();
  });
  body.pipe(outgoing);
  return promise;
}

function md5(bytes: Uint8Array): Buffer {
  return createHash("md5").update(bytes).digest();
}

function failed(text: string, cause?: unknown): PeerError {
  return new PeerError("registry_failed", text, { cause });
}
