import type { Digest } from "../base/mod.ts";
import type { BlobStore, ModelCatalog } from "../ports/mod.ts";
import type { Manifest } from "../protocol/mod.ts";

/** Deletes the blobs of a manifest that is no longer in the catalog, except those that another model names. */
export async function removeUnused(
  manifest: Manifest,
  parts: { readonly blobs: BlobStore; readonly catalog: ModelCatalog },
): Promise<void> {
  const used = new Set<Digest>();
  for (const entry of await parts.catalog.list()) {
    for (const digest of digestsOf(entry.manifest)) used.add(digest);
  }
  for (const digest of digestsOf(manifest)) {
    if (!used.has(digest)) await parts.blobs.delete(digest);
  }
}

function digestsOf(manifest: Manifest): readonly Digest[] {
  return [manifest.config, ...manifest.layers].map((layer) => layer.digest);
}
