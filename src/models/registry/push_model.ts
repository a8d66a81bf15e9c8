import {
  BEFORE_CHANGE,
  type BlobStore,
  type CatalogEntry,
  type Clock,
  type ModelCatalog,
  type TransferLimits,
  type TransferProgress,
  type TransferRequest,
} from "../../ports/mod.ts";
import type { BlobLayer } from "../../protocol/mod.ts";
import { modelNotFound, parseReference } from "../model_reference.ts";
import { uploadBlob } from "./blob_upload.ts";
import { type RegistryAccess, RegistryClient } from "./registry_client.ts";
import { Watched } from "../waiting.ts";

/** What pushing works with. */
export interface PushContext {
  readonly blobs: BlobStore;
  readonly catalog: ModelCatalog;
  readonly access: RegistryAccess;
  readonly clock: Clock;
  readonly limits: TransferLimits;
  /** Brings the blobs that are not here. */
  fetchMissing(entry: CatalogEntry, signal: AbortSignal): AsyncIterable<TransferProgress>;
}

/**
 * Sends a model to the registry in its name (contract 2.6), with its progress lines. The manifest goes last, in its
 * stored bytes.
 *
 * @throws RequestError for a bad or unknown name, PeerError `registry_failed`, StorageError, `signal`'s reason.
 */
export async function* pushModel(
  request: TransferRequest,
  context: PushContext,
  signal: AbortSignal,
): AsyncIterable<TransferProgress> {
  const reference = parseReference(request.model, "push");
  const entry = await context.catalog.find(reference.name, BEFORE_CHANGE);
  yield { status: "retrieving manifest" };
  if (entry === undefined) {
    yield { status: "couldn't retrieve manifest" };
    throw modelNotFound(reference, "push");
  }
  yield* context.fetchMissing(entry, signal);
  const client = new RegistryClient(entry.name, context.access, { insecure: request.insecure });
  for (const layer of [...entry.manifest.layers, entry.manifest.config]) {
    yield* followUpload(layer, client, { ...context, signal });
  }
  yield { status: "pushing manifest" };
  await client.putManifest(entry.bytes, signal);
  yield { status: "success" };
}

/** One line at once, one per interval, one at the end. Leaving early stops the upload. */
async function* followUpload(
  layer: BlobLayer,
  client: RegistryClient,
  context: PushContext & { readonly signal: AbortSignal },
): AsyncIterable<TransferProgress> {
  const left = new AbortController();
  const signal = AbortSignal.any([context.signal, left.signal]);
  let completed = 0;
  const line = () => ({
    status: `pushing ${layer.digest.slice("sha256:".length, "sha256:".length + 12)}`,
    digest: layer.digest,
    total: layer.size,
    completed,
  });
  const upload = uploadBlob(layer, client, {
    ...context,
    signal,
    onProgress: (bytes) => void (completed = bytes),
  });
  const watched = new Watched(upload);
  try {
    for (let hasEnded = false; !hasEnded;) {
      yield line();
      hasEnded = await watched.endsWithin(context.limits.progressMs, context);
    }
    yield line();
  } finally {
    left.abort(new Error("nobody waits any more"));
  }
}
