import type { Digest } from "../../base/mod.ts";
import type { TransferProgress } from "../../ports/mod.ts";
import type { BlobLayer } from "../../protocol/mod.ts";
import { downloadBlob, type DownloadContext } from "./blob_download.ts";
import type { RegistryClient } from "../registry/registry_client.ts";
import { Watched } from "../waiting.ts";

/** One blob on its way, with everybody who waits for it. */
interface SharedTransfer {
  waiters: number;
  completed: number;
  readonly controller: AbortController;
  /** Ends with the transfer; carries its failure. */
  readonly ended: Promise<void>;
}

/** Lets any number of pulls wait for one transfer per blob (contract 1.12). */
export class SharedDownloads {
  readonly #context: DownloadContext;
  // Invariant: a transfer is in here until its partial blob is closed, so a digest is never opened twice.
  readonly #transfers = new Map<Digest, SharedTransfer>();

  constructor(context: DownloadContext) {
    this.#context = context;
  }

  /**
   * Joins the blob's transfer or begins it. When the last one leaves, it stops, and its parts stay for resumption.
   *
   * @throws what `downloadBlob` throws; `signal`'s reason.
   */
  async *follow(
    layer: BlobLayer,
    client: RegistryClient,
    signal: AbortSignal,
  ): AsyncIterable<TransferProgress> {
    const { clock, limits } = this.#context;
    const transfer = await this.#join(layer, client);
    const line = (completed: number): TransferProgress => ({
      ...progressOf(layer),
      completed,
    });
    try {
      const watched = new Watched(transfer.ended);
      for (let hasEnded = false; !hasEnded;) {
        hasEnded = await watched.endsWithin(limits.progressMs, { clock, signal });
        yield line(hasEnded ? layer.size : transfer.completed);
      }
    } finally {
      transfer.waiters--;
      if (transfer.waiters === 0) await stopTransfer(transfer);
    }
  }

  async #join(layer: BlobLayer, client: RegistryClient): Promise<SharedTransfer> {
    let running = this.#transfers.get(layer.digest);
    while (running?.controller.signal.aborted) {
      await running.ended.catch(() => {}); // Its failure was told to those who waited for it.
      running = this.#transfers.get(layer.digest);
    }
    const transfer = running ?? this.#begin(layer, client);
    transfer.waiters++;
    return transfer;
  }

  #begin(layer: BlobLayer, client: RegistryClient): SharedTransfer {
    const controller = new AbortController();
    const transfer: SharedTransfer = {
      waiters: 0,
      completed: 0,
      controller,
      ended: downloadBlob(layer, client, {
        ...this.#context,
        signal: controller.signal,
        onProgress: (completed) => void (transfer.completed = completed),
      }).finally(() => this.#transfers.delete(layer.digest)),
    };
    transfer.ended.catch(() => {}); // Each waiter gets it from its own wait.
    this.#transfers.set(layer.digest, transfer);
    return transfer;
  }
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
