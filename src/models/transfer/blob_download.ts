import { errorMessage, PeerError, StorageError } from "../../base/mod.ts";
import type { BlobStore, Clock, PartialBlob, PartialBlobPart } from "../../ports/mod.ts";
import type { BlobLayer } from "../../protocol/mod.ts";
import { parseUrl, type RegistryClient, sendOrFail } from "../registry/registry_client.ts";
import { partBytesOf, type TransferLimits } from "./transfer_limits.ts";
import { pause, StalledError, StallWatch } from "../waiting.ts";

/** What a download works with. */
export interface DownloadContext {
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly limits: TransferLimits;
}

/**
 * Fetches one blob in parallel parts and verifies it (contract 2.5). What was there from an earlier try is kept; what is
 * there when this fails or is aborted stays for a later one.
 *
 * @throws PeerError `registry_failed`, StorageError `disk_full` or `corrupt_file`, `signal`'s reason.
 */
export async function downloadBlob(
  layer: BlobLayer,
  client: RegistryClient,
  context: BlobDownloadContext,
): Promise<void> {
  const partial = await openPartial(layer, client, context);
  const download = new Download(layer, client, { ...context, partial });
  try {
    await download.run();
    await partial.commit();
  } catch (error) {
    // Whatever ended it, the bytes that came are worth keeping; its own failure would hide the cause.
    await partial.sync().catch(() => {});
    throw error;
  } finally {
    partial.close();
  }
}

async function openPartial(
  layer: BlobLayer,
  client: RegistryClient,
  context: DownloadContext & { readonly signal: AbortSignal },
): Promise<PartialBlob> {
  const { blobs, limits, signal } = context;
  const begun = await blobs.findPartial(layer.digest);
  if (begun !== undefined && begun.blobBytes === layer.size) return begun;
  begun?.close();
  const url = client.url(`blobs/${layer.digest}`);
  const response = await client.check(await client.request(url, { method: "HEAD", signal }));
  await response.body?.cancel();
  const blobBytes = Number(response.headers.get("content-length") ?? layer.size);
  if (blobBytes !== layer.size) {
    throw failed(
      `blob ${layer.digest} has ${blobBytes} bytes, its manifest says ${layer.size}`,
    );
  }
  return await blobs.createPartial(layer.digest, {
    blobBytes,
    partBytes: partBytesOf(blobBytes, limits),
  });
}

/** Where parts are read from, and whether that is the registry itself. */
interface DirectAddress {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A {@link DownloadContext} for one blob. */
interface BlobDownloadContext extends DownloadContext {
  readonly signal: AbortSignal;
  readonly onProgress: (completed: number) => void;
}

class Download {
  readonly #layer: BlobLayer;
  readonly #client: RegistryClient;
  readonly #context: BlobDownloadContext & { readonly partial: PartialBlob };
  /** Aborts the other parts when one has failed for good. */
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #address: Promise<DirectAddress> | undefined;
  #unsyncedBytes = 0;

  constructor(
    layer: BlobLayer,
    client: RegistryClient,
    context: BlobDownloadContext & { readonly partial: PartialBlob },
  ) {
    this.#layer = layer;
    this.#client = client;
    this.#context = context;
    this.#signal = AbortSignal.any([context.signal, this.#stop.signal]);
  }

  /** Ends when every part is there, or all of them have stopped and the first failure is thrown. */
  async run(): Promise<void> {
    const { partial, limits, onProgress } = this.#context;
    onProgress(completedBytes(partial));
    const open = partial.parts.filter((part) => part.completedBytes < part.partBytes);
    const work = async () => {
      for (let part = open.shift(); part !== undefined; part = open.shift()) {
        await this.#runPart(part.index);
      }
    };
    const lanes = Array.from({ length: limits.partsAtOnceMax }, () =>
      work().catch((error) => {
        this.#stop.abort(error);
        throw error;
      }));
    const outcomes = await Promise.allSettled(lanes);
    const failure = outcomes.find((outcome) => outcome.status === "rejected");
    if (this.#context.signal.aborted) throw this.#context.signal.reason;
    if (failure !== undefined) throw this.#stop.signal.reason;
    await partial.sync();
  }

  async #runPart(index: number): Promise<void> {
    const { limits, clock } = this.#context;
    let tries = 0;
    let stalls = 0;
    while (!this.#isDone(index)) {
      try {
        await this.#readPart(index);
      } catch (error) {
        this.#signal.throwIfAborted();
        if (error instanceof StorageError) throw error;
        if (error instanceof StalledError && stalls++ < limits.stallsMax) continue;
        tries++;
        if (tries >= limits.triesMax) {
          throw failed(`max retries exceeded: ${errorMessage(error)}`, error);
        }
        this.#address = undefined; // Direct addresses expire.
        await pause(limits.pauseMs * 2 ** (tries - 1), clock, this.#signal);
      }
    }
  }

  async #readPart(index: number): Promise<void> {
    const { limits, clock } = this.#context;
    const { url, headers } = await (this.#address ??= this.#findAddress());
    const part = this.#part(index);
    const first = part.offset + part.completedBytes;
    const last = part.offset + part.partBytes - 1;
    const watch = new StallWatch({ stallMs: limits.stallMs, clock, signal: this.#signal });
    try {
      const response = await sendOrFail(url, {
        // A compressed answer would make a range of other bytes.
        headers: { ...headers, range: `bytes=${first}-${last}`, "accept-encoding": "identity" },
        signal: watch.signal,
      });
      await this.#checkRange(response, { first, last });
      for await (const chunk of response.body ?? []) {
        watch.report();
        await this.#append(index, chunk);
      }
    } catch (error) {
      throw watch.signal.aborted ? watch.signal.reason : error;
    } finally {
      watch.end();
    }
    if (!this.#isDone(index)) throw failed("the registry ended a part early");
  }

  async #append(index: number, chunk: Uint8Array): Promise<void> {
    const { partial, limits, onProgress } = this.#context;
    const part = this.#part(index);
    if (part.completedBytes + chunk.length > part.partBytes) {
      throw failed("the registry sent more than was asked for");
    }
    await partial.append(index, chunk);
    onProgress(completedBytes(partial));
    this.#unsyncedBytes += chunk.length;
    if (this.#unsyncedBytes < limits.syncBytes) return;
    this.#unsyncedBytes = 0;
    await partial.sync();
  }

  async #checkRange(
    response: Response,
    range: { readonly first: number; readonly last: number },
  ): Promise<void> {
    const isWhole = range.first === 0 && range.last === this.#context.partial.blobBytes - 1;
    if (response.status === 206 || (response.status === 200 && isWhole)) return;
    await response.body?.cancel();
    throw failed(`the registry answered ${response.status} to a request for a range`);
  }

  /** Follows redirects on the registry's host; the first address elsewhere is where the bytes are. */
  async #findAddress(): Promise<DirectAddress> {
    const { limits } = this.#context;
    let url = this.#client.url(`blobs/${this.#layer.digest}`);
    const host = new URL(url).hostname;
    for (let step = 0; step <= limits.redirectsMax; step++) {
      const response = await this.#client.request(url, { method: "GET", signal: this.#signal });
      await (await this.#client.check(response)).body?.cancel();
      const location = response.headers.get("location");
      // Stricter clients want a Location here; a registry that just sends the bytes is as good.
      if (location === null) return { url, headers: this.#client.headers() };
      const next = parseUrl(location, url);
      if (next === undefined) throw failed(`the registry redirects to "${location}"`);
      // The token is for the registry alone: another host must not see it.
      if (next.hostname !== host) return { url: next.toString(), headers: {} };
      if (response.status === 200) return { url: next.toString(), headers: {} };
      url = next.toString();
    }
    throw failed(`more than ${limits.redirectsMax} redirects to blob ${this.#layer.digest}`);
  }

  #part(index: number): PartialBlobPart {
    const part = this.#context.partial.parts[index];
    if (part === undefined) throw failed(`no part ${index}`);
    return part;
  }

  #isDone(index: number): boolean {
    const part = this.#part(index);
    return part.completedBytes === part.partBytes;
  }
}

function completedBytes(partial: PartialBlob): number {
  return partial.parts.reduce((sum, part) => sum + part.completedBytes, 0);
}

function failed(text: string, cause?: unknown): PeerError {
  return new PeerError("registry_failed", text, { cause });
}
