import type { Digest } from "../base/mod.ts";
import type { BlobStore } from "../ports/mod.ts";
import type { BlobLayer, Manifest } from "../protocol/mod.ts";

/**
 * Blobs that a manifest is about to name: nobody deletes them meanwhile. Whoever checks that a blob is there and holds it
 * must do both before others may delete; {@link ModelStore} does so with its changes taking turns.
 */
export class BlobHolds {
  readonly #counts = new Map<Digest, number>();

  /** Until the result is disposed of. */
  hold(layers: readonly BlobLayer[]): Disposable {
    const digests = layers.map((layer) => layer.digest);
    for (const digest of digests) this.#counts.set(digest, this.#count(digest) + 1);
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        for (const digest of digests) {
          const left = this.#count(digest) - 1;
          if (left > 0) this.#counts.set(digest, left);
          else this.#counts.delete(digest);
        }
      },
    };
  }

  has(digest: Digest): boolean {
    return this.#counts.has(digest);
  }

  #count(digest: Digest): number {
    return this.#counts.get(digest) ?? 0;
  }
}

/** Everything a manifest names, each blob once. */
export function blobsOf(manifest: Manifest): readonly BlobLayer[] {
  const layers = [...manifest.layers, manifest.config];
  return [...new Map(layers.map((layer) => [layer.digest, layer])).values()];
}

/** Whether the blob is in the store in the size its manifest says. */
export async function isHere(layer: BlobLayer, blobs: BlobStore): Promise<boolean> {
  return (await blobs.find(layer.digest))?.blobBytes === layer.size;
}

/** Whether all blobs of a manifest are in the store. */
export async function isWholeHere(manifest: Manifest, blobs: BlobStore): Promise<boolean> {
  for (const layer of blobsOf(manifest)) {
    if (!await isHere(layer, blobs)) return false;
  }
  return true;
}
