import {
  errorMessage,
  InvariantError,
  pause,
  PeerError,
  StorageError,
  UnavailableError,
} from "../../base/mod.ts";
import type {
  BlobSource,
  BlobStore,
  Clock,
  PartialBlob,
  PartialBlobPart,
} from "../../ports/mod.ts";
import type { BlobLayer } from "../../protocol/mod.ts";
import { StalledError, StallWatch } from "../waiting.ts";
import { partBytesOf } from "./transfer_limits.ts";

/** What a download works with. */
export interface DownloadContext {
  readonly blobs: BlobStore;
  readonly clock: Clock;
}

/** A {@link DownloadContext} for one blob. */
export interface BlobDownloadContext extends DownloadContext {
  readonly signal: AbortSignal;
  readonly onProgress: (completed: number) => void;
}

/**
 * Fetches one blob in parallel parts and verifies it (contract 2.5). What was there from an earlier try is kept; what is
 * there when this fails or is aborted stays for a later one.
 *
 * @throws what the source fails with in the end; StorageError `disk_full`, or `corrupt_file` when the bytes have another
 *   digest; `signal`'s reason.
 */
export async function downloadBlob(
  layer: BlobLayer,
  source: BlobSource,
  context: BlobDownloadContext,
): Promise<void> {
  const partial = await openPartial(layer, source, context);
  const download = new Download(source, { ...context, partial });
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
  source: BlobSource,
  context: BlobDownloadContext,
): Promise<PartialBlob> {
  const { blobs, signal } = context;
  const begun = await blobs.findPartial(layer.digest);
  if (begun !== undefined && begun.blobBytes === layer.size) return begun;
  begun?.close();
  await source.check(signal);
  return await blobs.createPartial(layer.digest, {
    blobBytes: layer.size,
    partBytes: partBytesOf(layer.size, source.limits),
  });
}

/** The source sends whole blobs only. */
export class RangesRefusedError extends PeerError {
  constructor() {
    super("registry_failed", "the sender sends no parts of a blob");
  }
}

/** One reading of bytes that is tried again until nothing of them is missing. */
interface Reading {
  isDone(): boolean;
  read(watch: StallWatch): Promise<void>;
}

class Download {
  readonly #source: BlobSource;
  readonly #context: BlobDownloadContext & { readonly partial: PartialBlob };
  #unsyncedBytes = 0;

  constructor(
    source: BlobSource,
    context: BlobDownloadContext & { readonly partial: PartialBlob },
  ) {
    this.#source = source;
    this.#context = context;
  }

  /** Ends when every part is there, or all of them have stopped and the first failure is thrown. */
  async run(): Promise<void> {
    const { partial, onProgress } = this.#context;
    onProgress(completedBytes(partial));
    try {
      await this.#readParts();
    } catch (error) {
      if (!(error instanceof RangesRefusedError)) throw error;
      await this.#readWhole();
    }
    await partial.sync();
  }

  /** Several at once; the failure of one ends the others. */
  async #readParts(): Promise<void> {
    const { partial } = this.#context;
    const stop = new AbortController();
    const signal = AbortSignal.any([this.#context.signal, stop.signal]);
    const open = partial.parts.filter((part) => part.completedBytes < part.partBytes);
    const work = async () => {
      for (let part = open.shift(); part !== undefined; part = open.shift()) {
        const { index } = part;
        const read = (watch: StallWatch) => this.#readPart(index, watch);
        await this.#complete({ isDone: () => this.#isDone(index), read }, signal);
      }
    };
    const lanes = Array.from(
      { length: this.#source.limits.partsAtOnceMax },
      () =>
        work().catch((error) => {
          stop.abort(error);
          throw error;
        }),
    );
    const outcomes = await Promise.allSettled(lanes);
    const failure = outcomes.find((outcome) => outcome.status === "rejected");
    if (this.#context.signal.aborted) throw this.#context.signal.reason;
    if (failure !== undefined) throw stop.signal.reason;
  }

  /** From the first byte, keeping what is missing: all that a sender without ranges allows. */
  async #readWhole(): Promise<void> {
    const { partial, signal } = this.#context;
    const range = { offset: 0, length: partial.blobBytes };
    const read = async (watch: StallWatch) => {
      let offset = 0;
      for await (const chunk of this.#source.read(range, watch.signal)) {
        watch.report();
        if (offset + chunk.length > partial.blobBytes) throw otherBytes();
        await this.#appendMissing(offset, chunk);
        offset += chunk.length;
      }
    };
    const isDone = () => completedBytes(partial) === partial.blobBytes;
    await this.#complete({ isDone, read }, signal);
  }

  async #complete(reading: Reading, signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    const { limits } = this.#source;
    let tries = 0;
    let stalls = 0;
    while (!reading.isDone()) {
      try {
        await this.#tryReading(reading, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (isFinal(error)) throw error;
        if (error instanceof StalledError && stalls++ < limits.stallsMax) continue;
        tries++;
        if (tries >= limits.triesMax) {
          // What other nodes fail with names them; a registry's failure is worded by the contract.
          if (error instanceof UnavailableError) throw error;
          throw failed(`max retries exceeded: ${errorMessage(error)}`, error);
        }
        this.#source.retry();
        await pause(clock, limits.pauseMs * 2 ** (tries - 1), signal);
      }
    }
  }

  async #tryReading(reading: Reading, signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    const { stallMs } = this.#source.limits;
    const watch = new StallWatch({ stallMs, clock, signal });
    try {
      await reading.read(watch);
    } catch (error) {
      throw watch.signal.aborted ? watch.signal.reason : error;
    } finally {
      watch.end();
    }
    if (!reading.isDone()) throw otherBytes();
  }

  async #readPart(index: number, watch: StallWatch): Promise<void> {
    const part = this.#part(index);
    const range = {
      offset: part.offset + part.completedBytes,
      length: part.partBytes - part.completedBytes,
    };
    for await (const chunk of this.#source.read(range, watch.signal)) {
      watch.report();
      await this.#append(index, chunk);
    }
  }

  /** What is missing of the bytes from `offset` on, where everything before `offset` is there. */
  async #appendMissing(offset: number, chunk: Uint8Array): Promise<void> {
    for (const part of this.#context.partial.parts) {
      const from = part.offset + part.completedBytes;
      const end = Math.min(part.offset + part.partBytes, offset + chunk.length);
      if (from < end) await this.#append(part.index, chunk.subarray(from - offset, end - offset));
    }
  }

  async #append(index: number, chunk: Uint8Array): Promise<void> {
    const { partial, onProgress } = this.#context;
    const part = this.#part(index);
    if (part.completedBytes + chunk.length > part.partBytes) {
      throw otherBytes();
    }
    await partial.append(index, chunk);
    onProgress(completedBytes(partial));
    this.#unsyncedBytes += chunk.length;
    if (this.#unsyncedBytes < this.#source.limits.syncBytes) return;
    this.#unsyncedBytes = 0;
    await partial.sync();
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

/** Whether another try would change nothing: the own disk, a broken promise, or where the source sends us. */
function isFinal(error: unknown): boolean {
  return error instanceof StorageError || error instanceof InvariantError ||
    error instanceof RangesRefusedError ||
    (error instanceof PeerError && error.code === "address_refused");
}

/** One text for too few and too many: two would tell the size of what was sent. */
function otherBytes(): PeerError {
  return failed("the sender sent other bytes than were asked for");
}

function failed(text: string, cause?: unknown): PeerError {
  return new PeerError("registry_failed", text, { cause });
}
