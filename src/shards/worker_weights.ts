import { BoundedMap, type Digest, errorMessage, isEdgeError } from "../base/mod.ts";
import type { BlobPeers, BlobRange, BlobReader, BlobStore, Log, RangeStore } from "../ports/mod.ts";

/** Blobs whose bytes here were not the leader's that are remembered. */
const DOUBTED_MAX = 64;

/** Where weights of workers come from. */
export interface WorkerWeightsParts {
  readonly blobs: Pick<BlobStore, "find" | "open">;
  /** Layers of models that are not here as a whole; absent = their leader sends them each time. */
  readonly ranges?: RangeStore | undefined;
  readonly peers: Pick<BlobPeers, "bring">;
  readonly log: Log;
}

/** Which weights a worker needs. */
export interface WantedWeights {
  readonly blob: Digest;
  /** Absent = its leader doesn't say, and sends what isn't here. */
  readonly weights?:
    | { readonly blobBytes: number; readonly ranges: readonly BlobRange[] }
    | undefined;
}

/** Weights on this node, for a worker: of the whole file, or of some layers of it. */
export interface HeldWeights {
  readonly reader: BlobReader;
  readonly isWhole: boolean;
}

/** The weights of workers: from the file, where it is here, else their layers alone from nodes that hold it. */
export class WorkerWeights {
  readonly #parts: WorkerWeightsParts;
  readonly #doubted = new BoundedMap<Digest, true>(DOUBTED_MAX);

  constructor(parts: WorkerWeightsParts) {
    this.#parts = parts;
  }

  /**
   * Undefined where the leader has to send all: nobody else has them, the disk is full, or those here were not right.
   * `onProgress` is called with all that comes.
   *
   * @throws the signal's reason; StorageError when the disk fails.
   */
  async find(
    wanted: WantedWeights,
    options: { readonly signal: AbortSignal; readonly onProgress: () => void },
  ): Promise<HeldWeights | undefined> {
    const { blobs, ranges, log } = this.#parts;
    const { blob, weights } = wanted;
    if (this.#doubted.has(blob)) return undefined;
    if (await blobs.find(blob) !== undefined) {
      return { reader: await blobs.open(blob), isWhole: true };
    }
    if (ranges === undefined || weights === undefined) return undefined;
    try {
      await this.#bring(ranges, { blob, ...weights }, options);
    } catch (error) {
      options.signal.throwIfAborted();
      if (!isEdgeError(error)) throw error;
      log.log("warn", "layers_not_fetched", { digest: blob, reason: errorMessage(error) });
      return undefined;
    }
    const reader = await ranges.open(blob, weights.ranges);
    return reader && { reader, isWhole: false };
  }

  /** What is here of a blob is not what its leader has: the next worker is sent all. */
  async doubt(blob: Digest): Promise<void> {
    this.#doubted.set(blob, true);
    await this.#parts.ranges?.drop(blob);
  }

  async #bring(
    store: RangeStore,
    wanted: {
      readonly blob: Digest;
      readonly blobBytes: number;
      readonly ranges: readonly BlobRange[];
    },
    { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: () => void },
  ): Promise<void> {
    const { blob: digest, blobBytes, ranges } = wanted;
    if ((await store.missing(digest, ranges)).length === 0) return;
    await this.#parts.peers.bring({ digest, blobBytes }, async (source) => {
      // What an earlier try has stored is not asked for again.
      for (const range of await store.missing(digest, ranges)) {
        await store.write(digest, range, noted(source.read(range, signal), onProgress));
      }
    }, signal);
  }
}

async function* noted(
  parts: AsyncIterable<Uint8Array>,
  onPart: () => void,
): AsyncGenerator<Uint8Array> {
  for await (const part of parts) {
    onPart();
    yield part;
  }
}
