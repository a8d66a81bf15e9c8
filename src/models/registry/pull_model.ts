import { isEdgeError, PeerError, StorageError } from "../../base/mod.ts";
import type {
  BlobStore,
  ModelCatalog,
  TransferProgress,
  TransferRequest,
} from "../../ports/mod.ts";
import { type BlobLayer, type Manifest, parseManifest } from "../../protocol/mod.ts";
import type { Exclusive } from "../exclusive.ts";
import { parseReference } from "../model_reference.ts";
import { removeUnused } from "../unused_blobs.ts";
import { type RegistryAccess, RegistryClient } from "./registry_client.ts";
import { progressOf, type SharedDownloads } from "../transfer/shared_downloads.ts";

/** What pulling works with. */
export interface PullContext {
  readonly blobs: BlobStore;
  readonly catalog: ModelCatalog;
  readonly access: RegistryAccess;
  readonly downloads: SharedDownloads;
  /** Held while the catalog changes. */
  readonly changes: Exclusive;
  /** False keeps blobs that only the replaced manifest named (`OLLAMA_NOPRUNE`). */
  readonly removesUnused: boolean;
}

/**
 * Brings a model from its registry (contract 2.5), with its progress lines. The manifest is written last and in the
 * registry's own bytes, so a model is in the catalog only when it is whole.
 *
 * @throws RequestError for a bad name before the first line; PeerError `registry_failed`; StorageError.
 */
export async function* pullModel(
  request: TransferRequest,
  context: PullContext,
  signal: AbortSignal,
): AsyncIterable<TransferProgress> {
  const { name } = parseReference(request.model, "pull");
  const client = new RegistryClient(name, context.access, { insecure: request.insecure });
  yield { status: "pulling manifest" };
  const { manifest, bytes } = await getManifest(client, signal);
  let isFresh = false;
  for (const layer of distinct([...manifest.layers, manifest.config])) {
    if (await isHere(layer, context.blobs)) {
      yield { ...progressOf(layer), completed: layer.size };
      continue;
    }
    isFresh = true;
    yield* context.downloads.follow(layer, client, signal);
  }
  // Downloads are verified as they end; the line is what clients wait for.
  if (isFresh) yield { status: "verifying sha256 digest" };
  signal.throwIfAborted();
  yield { status: "writing manifest" };
  const hasRemoved = await context.changes.run(async () => {
    for (const layer of [...manifest.layers, manifest.config]) {
      if (!await isHere(layer, context.blobs)) throw vanished(layer);
    }
    const old = await context.catalog.find(name);
    await context.catalog.put(name, bytes);
    if (old === undefined || !context.removesUnused) return false;
    await removeUnused(old.manifest, context);
    return true;
  });
  if (hasRemoved) yield { status: "removing unused layers" };
  yield { status: "success" };
}

async function getManifest(
  client: RegistryClient,
  signal: AbortSignal,
): Promise<{ readonly manifest: Manifest; readonly bytes: Uint8Array }> {
  try {
    const bytes = await client.getManifest(signal);
    const manifest = parseManifest(bytes);
    if (manifest !== undefined) return { manifest, bytes };
    throw new PeerError("registry_failed", "the registry's answer is no manifest");
  } catch (cause) {
    if (!isEdgeError(cause)) throw cause;
    throw new PeerError("registry_failed", `pull model manifest: ${cause.message}`, { cause });
  }
}

async function isHere(layer: BlobLayer, blobs: BlobStore): Promise<boolean> {
  return (await blobs.find(layer.digest))?.blobBytes === layer.size;
}

/** A blob named twice is one transfer. */
function distinct(layers: readonly BlobLayer[]): readonly BlobLayer[] {
  return [...new Map(layers.map((layer) => [layer.digest, layer])).values()];
}

function vanished(layer: BlobLayer): StorageError {
  return new StorageError(
    "storage_failed",
    `Cannot write the manifest: blob ${layer.digest} was deleted meanwhile; pull again`,
  );
}
