import { type Digest, PeerError, StorageError, UnavailableError } from "../../base/mod.ts";
import type { BlobPeers, BlobSource, TransferProgress } from "../../ports/mod.ts";
import type { BlobLayer } from "../../protocol/mod.ts";
import { Watched } from "../waiting.ts";
import { type BlobDownloadContext, downloadBlob, type DownloadContext } from "./blob_download.ts";

/** Makes the source of last resort, for a transfer that ends with the signal. */
export type OpenSource = (signal: AbortSignal) => BlobSource;

/** What {@link SharedDownloads} works with. */
export interface SharedDownloadsContext extends DownloadContext {
  /** Other nodes of the cluster are asked first: a pull happens once per cluster. */
  readonly peers?: BlobPeers;
  /** Between two progress lines, in milliseconds. */
  readonly progressMs: number;
}

/** One blob on its way, with everybody who waits for it. */
interface SharedTransfer {
  waiters: number;
  completed: number;
  /** Of the first waiter that has one. */
  lastResort: OpenSource | undefined;
  readonly controller: AbortController;
  /** Ends with the transfer; carries its failure. */
  readonly ended: Promise<void>;
}

/** Lets any number of pulls wait for one transfer per blob (contract 1.12). */
export class SharedDownloads {
  readonly #context: SharedDownloadsContext;
  // Invariant: a transfer is in here until its partial blob is closed, so a digest is never opened twice.
  readonly #transfers = new Map<Digest, SharedTransfer>();

  constructor(context: SharedDownloadsContext) {
    this.#context = context;
  }

  /**
   * Joins the blob's transfer or begins it: from other nodes, and from `lastResort` where they don't have it. When the
   * last one leaves, it stops, and its parts stay for resumption.
   *
   * @throws what `downloadBlob` throws; UnavailableError `peer_lost` when no node has the blob and there is no last
   *   resort; `signal`'s reason.
   */
  async *follow(
    layer: BlobLayer,
    lastResort: OpenSource | undefined,
    signal: AbortSignal,
  ): AsyncIterable<TransferProgress> {
    const { clock, progressMs } = this.#context;
    const transfer = await this.#join(layer, lastResort);
    const line = (completed: number): TransferProgress => ({
      ...progressOf(layer),
      completed,
    });
    try {
      const watched = new Watched(transfer.ended);
      for (let hasEnded = false; !hasEnded;) {
        hasEnded = await watched.endsWithin(progressMs, { clock, signal });
        yield line(hasEnded ? layer.size : transfer.completed);
      }
    } finally {
      transfer.waiters--;
      if (transfer.waiters === 0) await stopTransfer(transfer);
    }
  }

  async #join(layer: BlobLayer, lastResort: OpenSource | undefined): Promise<SharedTransfer> {
    let running = this.#transfers.get(layer.digest);
    while (running?.controller.signal.aborted) {
      await running.ended.catch(() => {}); // Its failure was told to those who waited for it.
      running = this.#transfers.get(layer.digest);
    }
    const transfer = running ?? this.#begin(layer, lastResort);
    transfer.lastResort ??= lastResort;
    transfer.waiters++;
    return transfer;
  }

  #begin(layer: BlobLayer, lastResort: OpenSource | undefined): SharedTransfer {
    const controller = new AbortController();
    const { signal } = controller;
    const transfer: SharedTransfer = {
      waiters: 0,
      completed: 0,
      lastResort,
      controller,
      ended: this.#bring(layer, () => transfer.lastResort, {
        ...this.#context,
        signal,
        onProgress: (completed) => void (transfer.completed = completed),
      }).finally(() => this.#transfers.delete(layer.digest)),
    };
    transfer.ended.catch(() => {}); // Each waiter gets it from its own wait.
    this.#transfers.set(layer.digest, transfer);
    return transfer;
  }

  async #bring(
    layer: BlobLayer,
    lastResort: () => OpenSource | undefined,
    context: BlobDownloadContext,
  ): Promise<void> {
    const { digest, size: blobBytes } = layer;
    const download = (source: BlobSource) => downloadBlob(layer, source, context);
    try {
      const { peers } = this.#context;
      if (await peers?.bring({ digest, blobBytes }, download, context.signal)) return;
    } catch (error) {
      context.signal.throwIfAborted();
      if (lastResort() === undefined || isOwnDisk(error)) throw error;
      // What the other nodes could not give, the registry still can; the parts that came stay.
    }
    const openLast = lastResort();
    if (openLast !== undefined) return await download(openLast(context.signal)).catch(blameSource);
    throw new UnavailableError("peer_lost", `no node that can be reached holds blob ${digest}`);
  }
}

/** Whether this node's own disk is the reason: no other source would help. */
function isOwnDisk(error: unknown): boolean {
  return error instanceof StorageError && error.code !== "corrupt_file";
}

/** What a registry sent wrongly is no fault of this node's disk. */
function blameSource(error: unknown): never {
  const isCorrupt = error instanceof StorageError && error.code === "corrupt_file";
  throw isCorrupt ? new PeerError("registry_failed", error.message, { cause: error }) : error;
}

/** Resolves when the partial blob is closed and its progress on disk. */
async function stopTransfer(transfer: SharedTransfer): Promise<void> {
  transfer.controller.abort(new Error("nobody waits any more"));
  await transfer.ended.catch(() => {}); // A failure was told to those who waited for it.
}

/** What every progress line of a blob on its way here says. */
export function progressOf(layer: BlobLayer): TransferProgress {
  const short = layer.digest.slice("sha256:".length, "sha256:".length + 12);
  return { status: `pulling ${short}`, digest: layer.digest, total: layer.size };
}
