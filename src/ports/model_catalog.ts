import type { Manifest, ModelName } from "../protocol/mod.ts";

/** A name with its manifest as stored. */
export interface CatalogEntry {
  /** Spelling as stored. */
  readonly name: ModelName;
  readonly manifest: Manifest;
  /** The manifest exactly as stored: a copy or a push must not change its digest. */
  readonly bytes: Uint8Array;
  /** SHA-256 hex of the manifest's bytes. */
  readonly manifestDigest: string;
  readonly modifiedAtMs: number;
}

/** Names to manifests. One node keeps them in its models folder; a cluster in its replicated catalogue. */
export interface ModelCatalog {
  /** Case-insensitive; the first stored spelling wins. */
  find(name: ModelName): Promise<CatalogEntry | undefined>;
  /** Newest first. Manifests that don't parse are skipped. */
  list(): Promise<readonly CatalogEntry[]>;
  /**
   * Atomically replaces what the name points at. `bytes` are kept exactly. Parts of the name that differ only in case
   * from a stored name take the stored spelling.
   *
   * @throws StorageError `disk_full` or `storage_failed`; the old manifest stays.
   */
  put(name: ModelName, bytes: Uint8Array): Promise<void>;
  /** False when there was none. */
  delete(name: ModelName): Promise<boolean>;
}
