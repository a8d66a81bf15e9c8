import { basename } from "node:path";
import { assert, type Digest, parseDigest } from "../base/mod.ts";
import { outputActiveBytes, type ShardModel } from "../core/scheduler/mod.ts";
import { readModelLayers } from "../models/mod.ts";
import type { BlobRange } from "../ports/mod.ts";
import type { LoadSettings } from "../protocol/mod.ts";
import type { TensorPlace } from "./weight_references.ts";

/** A model's file, as those see it who compute it together. */
export interface ShardedFile {
  /** For people. */
  readonly name: string;
  readonly digest: Digest;
  readonly model: ShardModel;
  readonly tensors: ReadonlyMap<string, TensorPlace>;
  readonly fileBytes: number;
}

/** Where some layers lie in the file, one range for each. */
export function layerRanges(
  { tensors }: Pick<ShardedFile, "tensors">,
  { firstLayer, layerCount }: { readonly firstLayer: number; readonly layerCount: number },
): readonly BlobRange[] {
  const spans = new Map<number, { first: number; end: number }>();
  for (const [name, { offset, tensorBytes }] of tensors) {
    const layer = Number(LAYER_TENSOR.exec(name)?.[1] ?? -1);
    if (layer < firstLayer || layer >= firstLayer + layerCount) continue;
    const span = spans.get(layer) ?? { first: Infinity, end: 0 };
    span.first = Math.min(span.first, offset);
    span.end = Math.max(span.end, offset + tensorBytes);
    spans.set(layer, span);
  }
  return [...spans.values()].map(({ first, end }) => ({ offset: first, length: end - first }));
}

const LAYER_TENSOR = /^blk\.(\d{1,6})\./;

/** Headers that are remembered: a load reads one twice within a moment. */
const REMEMBERED_MAX = 8;
const remembered = new Map<string, ReturnType<typeof readModelLayers>>();

/** Bytes of weights that one token reads of a model; undefined where its file can't be read, or isn't known by its digest. */
export async function tokenBytesOf(settings: LoadSettings): Promise<number | undefined> {
  if (parseDigest(basename(settings.modelPath)) === undefined) return undefined;
  try {
    const { model } = await readShardedFile(settings);
    return model.layers.reduce((sum, layer) => sum + layer.activeBytes, outputActiveBytes(model));
  } catch {
    // Whoever loads it says why.
    return undefined;
  }
}

/**
 * Reads what lies where in the file of a model. A blob's file never changes.
 *
 * @throws RequestError `invalid_gguf`; the system's error where the file can't be read.
 */
export async function readShardedFile(settings: LoadSettings): Promise<ShardedFile> {
  const { modelPath } = settings;
  const digest = parseDigest(basename(modelPath));
  assert(digest !== undefined, "A model's file is a blob", { modelPath });
  const reading = remembered.get(digest) ?? readModelLayers(modelPath);
  remembered.set(digest, reading);
  const [oldest] = remembered.keys();
  if (remembered.size > REMEMBERED_MAX && oldest !== undefined) remembered.delete(oldest);
  try {
    const { facts, layers, tensors, fileBytes } = await reading;
    const { contextTokens, slots, batchTokens, kvCacheType, mode } = settings;
    const isBatchWhole = mode === "embed";
    const shape = { ...facts, contextTokens, slots, batchTokens, kvCacheType, isBatchWhole };
    return { name: facts.architecture, digest, model: { ...layers(), shape }, tensors, fileBytes };
  } catch (error) {
    remembered.delete(digest);
    throw error;
  }
}
