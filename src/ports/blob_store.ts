import type { Digest } from "../base/mod.ts";

/** Content-addressed immutable files. A name is never visible before its bytes are synced and verified. */
export interface BlobStore {
  /** Size in bytes, or undefined when absent. */
  find(digest: Digest): Promise<{ readonly blobBytes: number } | undefined>;
  /** Where the file lies; the runner opens it. The file may be absent. */
  path(digest: Digest): string;
  /** @throws StorageError `corrupt_file` when absent or unreadable. */
  read(digest: Digest): Promise<Uint8Array>;
  /**
   * Stores a stream under the digest it is said to have.
   *
   * @throws RequestError `digest_mismatch` (nothing is stored under the wanted name), StorageError `disk_full`.
   */
  write(digest: Digest, bytes: ReadableStream<Uint8Array>): Promise<"created" | "exists">;
  /** Stores small bytes under their own digest. */
  put(
    bytes: Uint8Array,
  ): Promise<{ readonly digest: Digest; readonly outcome: "created" | "exists" }>;
  /** Absent is fine. */
  delete(digest: Digest): Promise<void>;
  list(): Promise<readonly Digest[]>;
}
