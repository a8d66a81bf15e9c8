import type { Digest } from "../base/mod.ts";
import type { BlobStore, CatalogEntry, ModelCatalog, TransferProgress } from "../ports/mod.ts";
import type { Manifest } from "../protocol/mod.ts";
import { type BlobHolds, blobsOf } from "./blob_holds.ts";

/** What decides whether a blob is still needed. */
export interface BlobUsers {
  readonly blobs: BlobStore;
  readonly catalog: ModelCatalog;
  /** What is named besides, where the catalog is not this node's folder. */
  readonly localCatalog?: Pick<ModelCatalog, "list">;
  readonly holds: BlobHolds;
}

/** What is done once a manifest is in the catalog: whoever reads the last line of progress may list the model at once. */
export interface StoredHook {
  readonly afterStored: (entry: CatalogEntry | undefined) => AsyncIterable<TransferProgress>;
}

/**
 * Deletes the blobs of a manifest that is no longer in the catalog, except those that another model names or that are
 * held. The caller lets no other change of this store run meanwhile.
 */
export async function removeUnused(manifest: Manifest, users: BlobUsers): Promise<void> {
  const used = new Set<Digest>();
  for (const catalog of [users.catalog, users.localCatalog]) {
    for (const entry of await catalog?.list() ?? []) {
      for (const { digest } of blobsOf(entry.manifest)) used.add(digest);
    }
  }
  for (const { digest } of blobsOf(manifest)) {
    if (!used.has(digest) && !users.holds.has(digest)) await users.blobs.delete(digest);
  }
}
