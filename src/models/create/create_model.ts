import { RequestError } from "../../base/mod.ts";
import {
  BEFORE_CHANGE,
  type BlobStore,
  type CatalogEntry,
  type Clock,
  type CreateRequest,
  type Quantizer,
  type TransferProgress,
  WARNING_STATUS,
} from "../../ports/mod.ts";
import {
  type BlobLayer,
  encodeManifest,
  type Manifest,
  MANIFEST_MEDIA_TYPE,
} from "../../protocol/mod.ts";
import { blobsOf } from "../blob_holds.ts";
import { unknownNames } from "../families/mod.ts";
import type { Exclusive } from "../exclusive.ts";
import { parseReference, parseTarget } from "../model_reference.ts";
import {
  CONFIG_MEDIA_TYPE,
  type ContentReader,
  encodeModelConfig,
  type FactsCache,
  layerMediaType,
  type TemplateInspector,
} from "../stored/mod.ts";
import { type BlobUsers, removeUnused, type StoredHook } from "../unused_blobs.ts";
import type { GgufPart } from "./gguf_part.ts";
import { quantizeLayer } from "./quantization.ts";
import { type ParentModel, type PartToQuantize, type Recipe, writeRecipe } from "./recipe.ts";

/** What creating a model works with. */
export interface CreateContext extends BlobUsers, StoredHook {
  readonly facts: FactsCache;
  readonly contents: ContentReader;
  readonly templates: Pick<TemplateInspector, "inspect">;
  readonly clock: Clock;
  readonly quantizer: Quantizer;
  /** Held while blobs are checked and held, or removed, so that no blob about to be named is removed. */
  readonly changes: Exclusive;
  /** Brings a parent that is not here. Ends with the model in the catalog, or throws. */
  pullParent(model: string, signal: AbortSignal): AsyncIterable<TransferProgress>;
  /** Brings the blobs of a parent that only other nodes hold. */
  fetchMissing(entry: CatalogEntry, signal: AbortSignal): AsyncIterable<TransferProgress>;
}

/**
 * Makes a model (contract 1.11), with its progress lines. Everything is checked before the first blob is written.
 *
 * @throws RequestError when the request is bad and UnavailableError `no_quorum`, both before the first line; StorageError
 *   when the store can't take it. The old model stays then.
 */
export async function* createModel(
  request: CreateRequest,
  context: CreateContext,
  signal: AbortSignal,
): AsyncIterable<TransferProgress> {
  const { name } = parseTarget(request.model, "create");
  const hasFrom = request.from !== undefined && request.from !== "";
  if (!hasFrom && request.files === undefined) {
    throw new RequestError("invalid_request", "neither 'from' or 'files' was specified");
  }
  const from = hasFrom ? yield* findParent(request.from ?? "", context, signal) : undefined;
  using _parentHeld = context.holds.hold(from === undefined ? [] : blobsOf(from.manifest));
  const parent = from && (yield* readParent(from, context, signal));
  const recipe = await writeRecipe(request, parent, context);
  signal.throwIfAborted();
  if (recipe.readFiles) yield { status: "parsing GGUF" };
  yield* unknownNames(recipe.config).map((text) => ({ status: WARNING_STATUS + text }));
  if (recipe.detected !== undefined) {
    yield { status: `using autodetected template ${recipe.detected}` };
  }
  for (const part of recipe.merges) yield { status: await writeMerged(part, context) };
  let final = recipe;
  for (const wish of recipe.quantize) {
    final = yield* quantizePart(final, wish, { ...context, signal });
  }
  const stored = await context.changes.run(() => storeBlobs(final, context));
  using _held = stored.held;
  for (const status of stored.steps) yield { status };
  const result = await context.catalog.put(name, encodeManifest(stored.manifest));
  yield { status: "writing manifest" };
  const { replaced } = result;
  if (replaced !== undefined) {
    await context.changes.run(() => removeUnused(replaced.manifest, context));
  }
  yield* context.afterStored(result.stored);
  yield { status: "success" };
}

async function* findParent(
  from: string,
  context: CreateContext,
  signal: AbortSignal,
): AsyncGenerator<TransferProgress, CatalogEntry> {
  const { name } = parseReference(from, "create");
  let entry = await context.catalog.find(name, BEFORE_CHANGE);
  if (entry === undefined) {
    for await (const progress of context.pullParent(from, signal)) {
      // The parent's success is not this model's.
      if (progress.status !== "success") yield progress;
    }
    entry = await context.catalog.find(name);
  }
  if (entry === undefined) throw new RequestError("model_not_found", `model '${from}' not found`);
  return entry;
}

async function* readParent(
  entry: CatalogEntry,
  context: CreateContext,
  signal: AbortSignal,
): AsyncGenerator<TransferProgress, ParentModel> {
  yield* context.fetchMissing(entry, signal);
  return { entry, content: await context.contents.read(entry) };
}

async function* quantizePart(
  recipe: Recipe,
  { part, target, isModel }: PartToQuantize,
  context: CreateContext & { readonly signal: AbortSignal },
): AsyncGenerator<TransferProgress, Recipe> {
  const wish = { from: part.facts.quantization, target };
  const layer = yield* quantizeLayer(part.layer, wish, context);
  const { quantization } = await context.facts.get(layer.digest);
  const { digest, mediaType } = part.layer;
  const isReplaced = (old: BlobLayer) => old.digest === digest && old.mediaType === mediaType;
  return {
    ...recipe,
    ...(isModel ? { config: { ...recipe.config, quantization } } : {}),
    kept: recipe.kept.map((old) => isReplaced(old) ? layer : old),
  };
}

async function writeMerged(part: GgufPart, context: CreateContext): Promise<string> {
  const { digest } = part.layer;
  await part.merged?.((whole) => context.blobs.write(digest, ReadableStream.from(whole.read())));
  return `creating new layer ${digest}`;
}

/** Writes the blobs, which are held from then on. */
async function storeBlobs(
  recipe: Recipe,
  context: CreateContext,
): Promise<{
  readonly manifest: Manifest;
  readonly steps: readonly string[];
  readonly held: Disposable;
}> {
  const { blobs, holds } = context;
  for (const layer of recipe.kept) await requireBlob(layer, blobs);
  const steps = recipe.kept.map((layer) => `using existing layer ${layer.digest}`);
  const put = async (bytes: Uint8Array, mediaType: string): Promise<BlobLayer> => {
    const { digest, outcome } = await blobs.put(bytes);
    steps.push(
      outcome === "created" ? `creating new layer ${digest}` : `using existing layer ${digest}`,
    );
    return { mediaType, digest, size: bytes.length };
  };
  const layers = [...recipe.kept];
  for (const { kind, text } of recipe.added) {
    layers.push(await put(new TextEncoder().encode(text), layerMediaType(kind)));
  }
  const config = await put(encodeModelConfig(recipe.config), CONFIG_MEDIA_TYPE);
  const manifest = { schemaVersion: 2, mediaType: MANIFEST_MEDIA_TYPE, config, layers };
  return { manifest, steps, held: holds.hold(blobsOf(manifest)) };
}

async function requireBlob(layer: BlobLayer, blobs: BlobStore): Promise<void> {
  if (await blobs.find(layer.digest) !== undefined) return;
  throw new RequestError("blob_not_found", `blob ${layer.digest} not found`, { status: 400 });
}
