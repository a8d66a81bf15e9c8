import { estimateMemoryBytes, type ModelNeed } from "../core/scheduler/mod.ts";
import type { ModelDefinition, ResolvedLoad } from "../models/mod.ts";
import { displayModelName, type LoadSettings } from "../protocol/mod.ts";
import type { WantedModel } from "./lease.ts";

/** What the scheduler is asked for, and the settings it loads with; `wanted` says the same to other nodes. */
export interface NeededModel {
  readonly wanted: WantedModel;
  readonly need: ModelNeed;
  readonly settings: LoadSettings;
}

/** Names that share weights and adapters share the instance; vectors need one of their own, loaded in another mode. */
export function modelKeyOf(model: ModelDefinition, mode: LoadSettings["mode"]): string {
  const parts = [model.modelPath, ...model.adapterPaths];
  return `${mode}:${parts.join("+")}`;
}

/** Works out what loading `model` with `load` takes. */
export function neededModel(
  model: ModelDefinition,
  load: ResolvedLoad,
  keepAliveMs: number | undefined,
): NeededModel {
  const settings: LoadSettings = {
    ...load,
    modelPath: model.modelPath,
    adapterPaths: model.adapterPaths,
  };
  const name = displayModelName(model.name);
  return {
    wanted: { name, manifestDigest: model.manifestDigest, load, keepAliveMs },
    settings,
    need: {
      modelKey: modelKeyOf(model, load.mode),
      settingsKey: JSON.stringify(load),
      displayName: name,
      memoryBytes: estimateMemoryBytes({
        ...model.facts,
        weightsBytes: model.weightsBytes,
        contextTokens: load.contextTokens,
        slots: load.slots,
        batchTokens: load.batchTokens,
        isBatchWhole: load.mode === "embed",
        kvCacheType: load.kvCacheType,
      }),
      slots: load.slots,
      contextTokens: load.contextTokens,
      keepAliveMs,
    },
  };
}
