import { type Digest, formatBinaryBytes, StorageError } from "../base/mod.ts";
import type { BlobStore } from "../ports/mod.ts";

const GIBIBYTE = 1024 ** 3;

/** How much may be uploaded that no model uses yet. */
export interface UploadLimits {
  /** Bytes of all such blobs together, those on their way included. */
  readonly unusedBytesMax: number;
  /** Such blobs. */
  readonly unusedBlobsMax: number;
  /** Bytes that stay free on the disk: the node's own log needs room. */
  readonly freeBytesMin: number;
}

/** Larger than the files of any model that a machine could run. */
const UPLOAD_LIMITS: UploadLimits = {
  unusedBytesMax: 1_024 * GIBIBYTE,
  unusedBlobsMax: 10_000,
  freeBytesMin: GIBIBYTE,
};

/** Bytes after which the free ones are looked at again. */
const LOOK_BYTES = 64 * 1024 * 1024;

/** What uploads are measured against. */
export interface UploadQuotaParts {
  readonly blobs: Pick<BlobStore, "find" | "write">;
  /** Blobs that manifests name; costs more than a look, so it is only asked where the quota is reached. */
  readonly usedBlobs: () => ReadonlySet<Digest>;
  /** Undefined where the system does not say. */
  readonly freeBytes: () => Promise<number | undefined>;
  readonly limits?: UploadLimits;
}

/** Uploads of clients, bounded: they may never come back to make a model of them. Counts those since the node's start. */
export class UploadQuota {
  readonly #parts: UploadQuotaParts;
  readonly #limits: UploadLimits;
  readonly #unused = new Map<Digest, number>();
  // Invariant: the sum of #unused.
  #storedBytes = 0;
  /** Bytes of uploads under way. */
  #arriving = 0;

  constructor(parts: UploadQuotaParts) {
    this.#parts = parts;
    this.#limits = parts.limits ?? UPLOAD_LIMITS;
  }

  /** @throws StorageError `disk_full` naming limit and present value; as {@link BlobStore.write}. */
  async write(digest: Digest, bytes: ReadableStream<Uint8Array>): Promise<"created" | "exists"> {
    const { blobs } = this.#parts;
    let counted = 0;
    let unlookedBytes = LOOK_BYTES;
    const bounded = bytes.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform: async (chunk, controller) => {
          counted += chunk.length;
          this.#arriving += chunk.length;
          unlookedBytes += chunk.length;
          await this.#check({ looksAtDisk: unlookedBytes >= LOOK_BYTES });
          if (unlookedBytes >= LOOK_BYTES) unlookedBytes = 0;
          controller.enqueue(chunk);
        },
      }),
    );
    try {
      const outcome = await blobs.write(digest, bounded);
      if (outcome === "created") {
        this.#forget(digest);
        this.#unused.set(digest, counted);
        this.#storedBytes += counted;
      }
      return outcome;
    } finally {
      this.#arriving -= counted;
    }
  }

  async #check({ looksAtDisk }: { readonly looksAtDisk: boolean }): Promise<void> {
    const { unusedBytesMax, unusedBlobsMax, freeBytesMin } = this.#limits;
    if (this.#unusedBytes > unusedBytesMax || this.#unused.size >= unusedBlobsMax) {
      await this.#forgetUsed();
    }
    if (this.#unused.size >= unusedBlobsMax) {
      throw full(
        `${this.#unused.size} uploaded blobs are used by no model, at most ${unusedBlobsMax} may be`,
      );
    }
    if (this.#unusedBytes > unusedBytesMax) {
      throw full(
        `uploads that no model uses would take ${formatBinaryBytes(this.#unusedBytes)}, ` +
          `at most ${formatBinaryBytes(unusedBytesMax)} may be`,
      );
    }
    const free = looksAtDisk ? await this.#parts.freeBytes() : undefined;
    if (free === undefined || free >= freeBytesMin) return;
    throw full(
      `the disk has ${formatBinaryBytes(free)} free, uploads must leave ` +
        formatBinaryBytes(freeBytesMin),
    );
  }

  get #unusedBytes(): number {
    return this.#storedBytes + this.#arriving;
  }

  async #forgetUsed(): Promise<void> {
    const used = this.#parts.usedBlobs();
    for (const digest of [...this.#unused.keys()]) {
      const isGone = used.has(digest) || await this.#parts.blobs.find(digest) === undefined;
      if (isGone) this.#forget(digest);
    }
  }

  #forget(digest: Digest): void {
    this.#storedBytes -= this.#unused.get(digest) ?? 0;
    this.#unused.delete(digest);
  }
}

function full(reason: string): StorageError {
  return new StorageError(
    "disk_full",
    `Cannot take the upload: ${reason}; create a model of what is there, or free room`,
  );
}
