import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { errorMessage, pause, PeerError } from "../../base/mod.ts";
import type { BlobReader, BlobStore, Clock, TransferLimits } from "../../ports/mod.ts";
import { type BlobLayer, parseModelName } from "../../protocol/mod.ts";
import { readErrorText, type RegistryAnswer, type RegistryClient } from "./registry_client.ts";
import { partBytesOf } from "../transfer/mod.ts";

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
/** Headers that say where the next part goes, the first one that is there. */
const NEXT_ADDRESS = ["docker-upload-location", "location"];

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
  known.leave();
  if (known.status === 404) {
    const uploadUrl = await beginUpload(layer, client, signal);
    if (uploadUrl !== undefined) await sendParts(layer, client, { ...context, uploadUrl });
  } else if (known.isOwn) {
    // Elsewhere only who reads may be let in; the registry that sends readers there has the blob.
    await client.check(known);
  }
  onProgress(layer.size);
}

/** Where the first part goes, or undefined when the registry took the blob from another repository of its own. */
async function beginUpload(
  layer: BlobLayer,
  client: RegistryClient,
  signal: AbortSignal,
): Promise<URL | undefined> {
  const origin = parseModelName(layer.from ?? "");
  // Only a repository of the same registry can lend a blob.
  const mount = origin === undefined || origin.host !== client.host ? "" : `?${new URLSearchParams({
    mount: layer.digest,
    from: `${origin.namespace}/${origin.model}`,
  })}`;
  const url = client.url(`blobs/uploads/${mount}`);
  const answer = await client.check(await client.request(url, { method: "POST", signal }));
  answer.leave();
  return answer.status === 201 ? undefined : nextAddress(answer, client);
}

async function sendParts(
  layer: BlobLayer,
  client: RegistryClient,
  context: UploadContext & { readonly uploadUrl: URL },
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
  (await client.check(await client.request(last, { method: "PUT", signal }))).leave();
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
  context: UploadContext & { readonly url: URL },
): Promise<URL> {
  const { limits, clock, signal } = context;
  for (let tries = 1;; tries++) {
    try {
      return await trySendPart(part, client, context);
    } catch (error) {
      signal.throwIfAborted();
      // No try changes where the registry sends us.
      if (error instanceof PeerError && error.code === "address_refused") throw error;
      if (tries >= limits.triesMax) {
        throw failed(`max retries exceeded: ${errorMessage(error)}`, error);
      }
      await pause(clock, limits.pauseMs * 2 ** (tries - 1), signal);
    }
  }
}

async function trySendPart(
  part: UploadPart,
  client: RegistryClient,
  context: UploadContext & { readonly url: URL },
): Promise<URL> {
  const { url, signal, onProgress } = context;
  const body = () => ({
    byteLength: part.length,
    chunks: part.read((bytes) => onProgress(part.offset + bytes)),
  });
  const answer = await client.send(url, {
    method: "PATCH",
    headers: {
      "content-type": "application/octet-stream",
      "content-range": `${part.offset}-${part.offset + part.length - 1}`,
      "x-redirect-uploads": "1",
    },
    body: body(),
    signal,
  });
  if (answer.status === 401) {
    answer.leave();
    await client.authorize(answer, signal);
    throw failed("the registry wanted a new token");
  }
  if (answer.status === 307) {
    answer.leave();
    const storage = client.next(answer, { purpose: "write", headers: ["location"] });
    // The address itself is what allows the upload.
    const stored = await client.send(storage, {
      method: "PUT",
      isBare: true,
      body: body(),
      signal,
    });
    await checkTaken(stored);
    return answer.header("docker-upload-location") === undefined
      ? url
      : nextAddress(answer, client);
  }
  await checkTaken(answer);
  const isNamed = NEXT_ADDRESS.some((name) => answer.header(name) !== undefined);
  return isNamed ? nextAddress(answer, client) : url;
}

/** @throws PeerError `registry_failed` unless the part was taken; what other hosts say of it stays with them. */
async function checkTaken(answer: RegistryAnswer): Promise<void> {
  const text = answer.status >= 300 && answer.isOwn ? await readErrorText(answer) : "";
  answer.leave();
  if (answer.status >= 300) throw failed(`${answer.status}: ${text}`);
}

function nextAddress(answer: RegistryAnswer, client: RegistryClient): URL {
  return client.next(answer, { purpose: "write", headers: NEXT_ADDRESS });
}

function md5(bytes: Uint8Array): Buffer {
  return createHash("md5").update(bytes).digest();
}

function failed(text: string, cause?: unknown): PeerError {
  return new PeerError("registry_failed", text, { cause });
}
