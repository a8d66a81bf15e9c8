import type { Digest } from "../base/mod.ts";

/** A full model name, defaults applied (contract 2.1). */
export interface ModelName {
  readonly host: string;
  readonly namespace: string;
  readonly model: string;
  readonly tag: string;
}

/** A manifest's entry (contract 2.3). */
export interface BlobLayer {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly from?: string;
  readonly name?: string;
}

/** What a tag points at (contract 2.3). */
export interface Manifest {
  readonly schemaVersion: number;
  readonly mediaType: string;
  readonly config: BlobLayer;
  readonly layers: readonly BlobLayer[];
}

/** A name with its manifest as stored. */
export interface CatalogEntry {
  /** Spelling as stored. */
  readonly name: ModelName;
  readonly manifest: Manifest;
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
  /** Atomically replaces what the name points at. `bytes` are kept exactly. */
  put(name: ModelName, bytes: Uint8Array): Promise<void>;
  /** False when there was none. */
  delete(name: ModelName): Promise<boolean>;
}
