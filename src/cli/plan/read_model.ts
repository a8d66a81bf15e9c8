import { RequestError } from "../../base/mod.ts";
import type { Config } from "../../config/mod.ts";
import { SHARD_LAYERS_MAX, type ShardModel } from "../../core/scheduler/mod.ts";
import { type GgufFacts, readModelLayers } from "../../models/gguf/mod.ts";
import { resolveOptions } from "../../models/mod.ts";

/** A model that a GGUF file's header tells of. */
export interface HeaderModel {
  readonly facts: GgufFacts;
  readonly model: ShardModel;
  /** Whether the file ends before its weights do. */
  readonly isHeaderAlone: boolean;
}

/**
 * Reads a file's header; the weights need not be there. Window, slots and cache are what a node with this configuration
 * loads the model with.
 *
 * @throws RequestError `invalid_gguf`; the system's error where the file can't be read.
 */
export async function readHeaderModel(
  path: string,
  defaults: Config["engine"],
): Promise<HeaderModel> {
  const { facts, layers, tensors, fileBytes } = await readModelLayers(path);
  if (facts.kind !== "model") throw unusable(path, `its kind is ${facts.kind}, wanted is a model`);
  if (facts.split !== undefined) {
    const { index, count } = facts.split;
    throw unusable(
      path,
      `it is part ${index + 1} of ${count}, and says only where its own layers would go`,
    );
  }
  if (facts.blockCount > SHARD_LAYERS_MAX) {
    throw unusable(
      path,
      `it has ${facts.blockCount} layers, at most ${SHARD_LAYERS_MAX} are planned`,
    );
  }
  const ends = [...tensors.values()].map(({ offset, tensorBytes }) => offset + tensorBytes);
  const isHeaderAlone = ends.some((end) => end > fileBytes);
  return { facts, model: { ...layers(), shape: shapeOf(facts, defaults) }, isHeaderAlone };
}

function shapeOf(facts: GgufFacts, defaults: Config["engine"]): ShardModel["shape"] {
  const mode = facts.hasPooling ? "embed" : "generate";
  const { load } = resolveOptions({
    request: {},
    model: {},
    defaults,
    bounds: { trainingContextTokens: facts.contextLength, mode },
  }, () => 0);
  return {
    ...facts,
    contextTokens: load.contextTokens,
    slots: load.slots,
    batchTokens: load.batchTokens,
    isBatchWhole: mode === "embed",
    kvCacheType: load.kvCacheType,
  };
}

function unusable(path: string, reason: string): RequestError {
  return new RequestError("invalid_gguf", `Cannot plan for ${path}: ${reason}`);
}
