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
  /** It is this node's alone, and not the cluster's. */
  readonly isLocal?: true;
}

/**
 * How much a read may miss. `linearizable`: nothing that was acknowledged before the read began, on any node; needs a
 * quorum. `stale`: what this node knows, always.
 */
export type Consistency = "linearizable" | "stale";

/** How to read; `stale` when left out. */
export interface ReadOptions {
  /** `available`: linearizable where a quorum answers within {@link ReadOptions.waitMs}, else stale. */
  readonly consistency?: Consistency | "available";
  /** Milliseconds, default 250. */
  readonly waitMs?: number;
  /** Told how it was read, before the answer. */
  readonly onRead?: (consistency: Consistency) => void;
}

/** How to read what a change is based on: it may wait as long as an election takes. */
export const BEFORE_CHANGE: ReadOptions = { consistency: "available", waitMs: 2_000 };

/** What a change of a name came to, as far as it can be told. */
export interface Replacement {
  /** What the name points at now. */
  readonly stored: CatalogEntry | undefined;
  readonly replaced: CatalogEntry | undefined;
}

/** Names to manifests. One node keeps them in its models folder; a cluster in its replicated catalogue. */
export interface ModelCatalog {
  /**
   * Case-insensitive; the first stored spelling wins.
   *
   * @throws UnavailableError `no_quorum` when a linearizable read can't be had.
   */
  find(name: ModelName, options?: ReadOptions): Promise<CatalogEntry | undefined>;
  /** Newest first. Manifests that don't parse are skipped. @throws as {@link ModelCatalog.find}. */
  list(options?: ReadOptions): Promise<readonly CatalogEntry[]>;
  /**
   * Atomically replaces what the name points at. `bytes` are kept exactly. Parts of the name that differ only in case
   * from a stored name take the stored spelling.
   *
   * @throws StorageError `disk_full` or `storage_failed`; the old manifest stays. UnavailableError `no_quorum` when the
   *   change can't be agreed on, or may have been and nobody can tell; RequestError when the catalogue can't take it.
   */
  put(name: ModelName, bytes: Uint8Array): Promise<Replacement>;
  /**
   * Points `destination` at what `source` points at, in one step where the catalogue is shared. False when there is no
   * source.
   *
   * @throws as {@link ModelCatalog.put}.
   */
  copy(source: ModelName, destination: ModelName): Promise<boolean>;
  /** False when there was none. @throws as {@link ModelCatalog.put}. */
  delete(name: ModelName): Promise<boolean>;
}
