import type { Digest } from "../base/mod.ts";
import type { BlobRange } from "./blob_source.ts";

/** Content-addressed immutable files. A name is never visible before its bytes are synced and verified. */
export interface BlobStore {
  /** Size in bytes, or undefined when absent. */
  find(digest: Digest): Promise<{ readonly blobBytes: number } | undefined>;
  /** Where the file lies; the runner opens it. The file may be absent. */
  path(digest: Digest): string;
  /** Whole content, for small blobs. @throws StorageError `corrupt_file` when absent or unreadable. */
  read(digest: Digest): Promise<Uint8Array>;
  /** For parts of large blobs. The caller closes it. @throws StorageError `corrupt_file` when absent or unreadable. */
  open(digest: Digest): Promise<BlobReader>;
  /**
   * Stores a stream under the digest it is said to have. A stream for a blob that is already there is cancelled unread.
   *
   * @throws RequestError `digest_mismatch`, StorageError `disk_full` or `storage_failed`, or what the stream failed with;
   *   in each case nothing is stored.
   */
  write(digest: Digest, bytes: ReadableStream<Uint8Array>): Promise<"created" | "exists">;
  /** Stores small bytes under their own digest. */
  put(
    bytes: Uint8Array,
  ): Promise<{ readonly digest: Digest; readonly outcome: "created" | "exists" }>;
  /**
   * Stores what another program writes: `make` gets the path of a file to create and resolves once it is whole. What it
   * throws passes through, and nothing is stored.
   *
   * @throws StorageError as {@link BlobStore.write}.
   */
  putFile(
    make: (path: string) => Promise<void>,
  ): Promise<{ readonly digest: Digest; readonly blobBytes: number }>;
  /** Takes up a download where it was left, or undefined when none was begun. The caller closes it. */
  findPartial(digest: Digest): Promise<PartialBlob | undefined>;
  /**
   * Begins a download in parts of `partBytes` (the last one may be shorter), none of it there yet. Only one may be open
   * per digest. The caller closes it.
   *
   * @throws StorageError `disk_full` when `blobBytes` can't fit.
   */
  createPartial(
    digest: Digest,
    size: { readonly blobBytes: number; readonly partBytes: number },
  ): Promise<PartialBlob>;
  /** Absent is fine. */
  delete(digest: Digest): Promise<void>;
  list(): Promise<readonly Digest[]>;
}

/** An open blob. */
export interface BlobReader {
  readonly blobBytes: number;
  /**
   * Bytes from `offset` on; fewer than `length` only at the end.
   *
   * @param options `into`: memory that they may take where it is long enough; what was read into it before is gone then.
   */
  read(
    offset: number,
    length: number,
    options?: { readonly into?: ArrayBuffer },
  ): Promise<Uint8Array>;
  close(): void;
}

/** A blob on its way, kept over restarts. */
export interface PartialBlob {
  readonly blobBytes: number;
  readonly parts: readonly PartialBlobPart[];
  /**
   * Appends to part `index`; calls for one part must not overlap. What was reported complete is on disk before the
   * progress that says so.
   *
   * @throws StorageError `disk_full` or `storage_failed`.
   */
  append(index: number, bytes: Uint8Array): Promise<void>;
  /** Makes the progress of all parts durable. */
  sync(): Promise<void>;
  /**
   * Verifies the whole and gives it its name. Closes this.
   *
   * @throws StorageError `corrupt_file` when the digest differs; then all of it is deleted.
   */
  commit(): Promise<void>;
  close(): void;
}

/** One part of a {@link PartialBlob}: `[offset, offset + partBytes)`, of which the first `completedBytes` are there. */
export interface PartialBlobPart {
  readonly index: number;
  readonly offset: number;
  readonly partBytes: number;
  readonly completedBytes: number;
}

/** Parts of blobs that are not here as a whole. A cache: what is longest unused goes first. */
export interface RangeStore {
  /** A reader of just these ranges; undefined where one of them is missing. The caller closes it. */
  open(digest: Digest, ranges: readonly BlobRange[]): Promise<BlobReader | undefined>;
  /** Those that are missing. */
  missing(digest: Digest, ranges: readonly BlobRange[]): Promise<readonly BlobRange[]>;
  /**
   * Stores one range; nothing of it where it ends early. Ranges that are open stay, whatever has to go.
   *
   * @throws StorageError `disk_full` where it can't have so much, `storage_failed`; what `bytes` throws.
   */
  write(digest: Digest, range: BlobRange, bytes: AsyncIterable<Uint8Array>): Promise<void>;
  /** Drops all of a blob's. */
  drop(digest: Digest): Promise<void>;
}
