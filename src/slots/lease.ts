import type { NodeId } from "../base/mod.ts";
import { displayModelName, type LoadSettings } from "../protocol/mod.ts";
import type { ModelDefinition, ResolvedLoad } from "../models/mod.ts";
import type { Lease, SlotRequest } from "./scheduler_driver.ts";
import { estimateMemoryBytes, type MemoryShape, type ModelNeed } from "../core/scheduler/mod.ts";

/** A model and how it is to be loaded, in words that mean the same on every node. */
export interface WantedModel {
  /** As displayed; for people. */
  readonly name: string;
  /** SHA-256 hex of the manifest: which model it really is. */
  readonly manifestDigest: string;
  readonly load: ResolvedLoad;
  /** Milliseconds, Infinity = forever; undefined = as it is kept now. */
  readonly keepAliveMs: number | undefined;
}

/** Who asks for a slot, wherever it may be. */
export interface LeaseRequest extends SlotRequest {
  /** For this node, and useless (without a path) where its blobs are not here. */
  readonly settings: LoadSettings;
  readonly wanted: WantedModel;
  /** Estimated, >= 0. */
  readonly promptTokens: number;
  /** The prompt as far as it is a text, to find the node that has computed its beginning; "" = none. */
  readonly promptText: string;
  /** Whether the prompt has images. Default false. */
  readonly hasImages?: boolean;
  /** Of an exact answer that goes on: copies of this class write the rest in the same words, and come before others. */
  readonly numericClass?: string;
  /** Nodes under which this request was lost before, oldest first. */
  readonly avoid: readonly NodeId[];
  /** As in `AnswerJournalWish`: who goes on with an answer takes the slot of whoever made it before. */
  readonly answer?: string;
  /** What the client's answer is labelled with; not unique. */
  readonly label?: string;
  /** Where in a client's trace it is. */
  readonly traceparent?: string | undefined;
}

/** A model to be unloaded wherever it is loaded. */
export interface UnloadTarget {
  /** As displayed. */
  readonly name: string;
  readonly modelKey: string;
  readonly manifestDigest: string;
  readonly mode: LoadSettings["mode"];
}

/** Slots on loaded models, of this node or of a whole cluster. */
export interface LeaseSource {
  /**
   * Resolves with a slot on a loaded model.
   *
   * @throws RequestError `model_too_large`; UnavailableError `queue_full`, `stopping`, `load_failed`, `peer_lost`; the
   *   signal's reason.
   */
  acquire(request: LeaseRequest, signal: AbortSignal): Promise<Lease>;
  /** Unloads the model once idle; does nothing when it is not loaded. */
  requestUnload(model: UnloadTarget): void;
}

/** What the scheduler is asked for, and the settings it loads with; `wanted` says the same to other nodes. */
export interface NeededModel {
  readonly wanted: WantedModel;
  readonly need: ModelNeed;
  readonly settings: LoadSettings;
}

/** Names that share weights and adapters share the instance; vectors need one of their own, loaded in another mode. */
export function modelKeyOf(
  model: Pick<LoadSettings, "modelPath" | "adapterPaths"> & {
    readonly projectorPath?: string | undefined;
  },
  mode: LoadSettings["mode"],
): string {
  const projector = mode === "embed" ? undefined : model.projectorPath;
  const parts = [model.modelPath, ...model.adapterPaths, projector ?? []].flat();
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
    ...(model.projectorPath === undefined ? {} : { projectorPath: model.projectorPath }),
  };
  const name = displayModelName(model.name);
  const shape: MemoryShape = {
    ...model.facts,
    weightsBytes: model.weightsBytes - model.projectorBytes,
    projectorBytes: load.mode === "embed" ? 0 : model.projectorBytes,
    contextTokens: load.contextTokens,
    slots: load.slots,
    batchTokens: load.batchTokens,
    isBatchWhole: load.mode === "embed",
    kvCacheType: load.kvCacheType,
  };
  return {
    wanted: { name, manifestDigest: model.manifestDigest, load, keepAliveMs },
    settings,
    need: {
      modelKey: modelKeyOf(model, load.mode),
      settingsKey: JSON.stringify({ ...load, exact: undefined }),
      mustBeExact: load.exact === "on",
      displayName: name,
      memoryBytes: estimateMemoryBytes(shape),
      placing: {
        shape,
        gpuLayers: load.gpuLayers,
        ...(load.mainGpu === undefined ? {} : { mainGpu: load.mainGpu }),
      },
      slots: load.slots,
      contextTokens: load.contextTokens,
      keepAliveMs,
    },
  };
}
