import { isEdgeError, PeerError, StorageError } from "../../base/mod.ts";
import type { TransferLimits, TransferProgress, TransferRequest } from "../../ports/mod.ts";
import {
  type BlobLayer,
  displayModelName,
  type Manifest,
  parseManifest,
} from "../../protocol/mod.ts";
import { blobsOf, isHere } from "../blob_holds.ts";
import type { Exclusive } from "../exclusive.ts";
import { parseTarget } from "../model_reference.ts";
import { type Arrivals, progressOf, type SharedDownloads } from "../transfer/mod.ts";
import { type BlobUsers, removeUnused, type StoredHook } from "../unused_blobs.ts";
import { RegistryBlob } from "./registry_blob.ts";
import { type RegistryAccess, RegistryClient } from "./registry_client.ts";

/** What pulling works with. */
export interface PullContext extends BlobUsers, StoredHook {
  readonly access: RegistryAccess;
  readonly limits: TransferLimits;
  readonly downloads: SharedDownloads;
  readonly arrivals: Arrivals;
  /** Held while blobs are checked and held, or removed. */
  readonly changes: Exclusive;
  /** False keeps blobs that only the replaced manifest named (`OLLAMA_NOPRUNE`). */
  readonly removesUnused: boolean;
}

/**
 * Brings a model from its registry (contract 2.5), with its progress lines. The manifest is written last and in the
 * registry's own bytes, so a model is in the catalog only when it is whole.
 *
 * @throws RequestError for a bad name before the first line; PeerError `registry_failed`; StorageError; what storing in the
 *   catalog throws.
 */
export async function* pullModel(
  request: TransferRequest,
  context: PullContext,
  signal: AbortSignal,
): AsyncIterable<TransferProgress> {
  const { name } = parseTarget(request.model, "pull");
  const client = new RegistryClient(name, context.access, { insecure: request.insecure });
  yield { status: "pulling manifest" };
  const { manifest, bytes } = await getManifest(client, signal);
  const layers = blobsOf(manifest);
  using _held = context.holds.hold(layers);
  using arrival = context.arrivals.begin(displayModelName(name), layers);
  for (const layer of layers) {
    if (await isHere(layer, context.blobs)) {
      arrival.note(layer, layer.size);
      yield { ...progressOf(layer), completed: layer.size };
      continue;
    }
    const { limits } = context;
    const fromRegistry = (ending: AbortSignal) =>
      new RegistryBlob(layer, client, { limits, signal: ending });
    for await (const line of context.downloads.follow(layer, fromRegistry, signal)) {
      arrival.note(layer, line.completed ?? 0);
      yield line;
    }
  }
  // Downloads are verified as they end; the line is what clients wait for.
  yield { status: "verifying sha256 digest" };
  signal.throwIfAborted();
  yield { status: "writing manifest" };
  // In turn with removals: one that began before the blobs were held must not end after this look.
  await context.changes.run(async () => {
    for (const layer of layers) {
      if (!await isHere(layer, context.blobs)) throw vanished(layer);
    }
  });
  const { stored, replaced } = await context.catalog.put(name, bytes);
  const isReplaced = replaced !== undefined &&
    blobsOf(replaced.manifest).some(({ digest }) =>
      !layers.some((layer) => layer.digest === digest)
    );
  if (isReplaced && context.removesUnused) {
    await context.changes.run(() => removeUnused(replaced.manifest, context));
    yield { status: "removing unused layers" };
  }
  yield* context.afterStored(stored);
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

function vanished(layer: BlobLayer): StorageError {
  return new StorageError(
    "storage_failed",
    `Cannot write the manifest: blob ${layer.digest} was deleted meanwhile; pull again`,
  );
}
