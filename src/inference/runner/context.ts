import { UnavailableError } from "../../base/mod.ts";
import type { LoadSettings } from "../../protocol/mod.ts";
import type { PolicyTraits } from "../exactness/mod.ts";
import {
  asBytes,
  CONTEXT_PARAMS,
  cText,
  FLASH_ATTENTION,
  KV_CACHE_TYPES,
  type Llama,
  LOAD_MODES,
  MODEL_PARAMS,
  type Placement,
  placeOf,
} from "../llama/mod.ts";
import { setShards, type ShardDevices } from "../sharding/mod.ts";

/** What loading weights uses besides the settings. */
export interface WeightsContext {
  readonly onProgress: (fraction: number) => void;
  /** Where their layers lie; undefined = all here. */
  readonly devices: ShardDevices | undefined;
  /** Which of those that are here lie on this machine's devices. */
  readonly placement: Placement;
}

/** The weights of a model, laid out for kernels in one way at a time. */
export class Weights {
  readonly #llama: Llama;
  readonly #settings: LoadSettings;
  readonly #how: WeightsContext;
  #loaded: { readonly pointer: Deno.PointerValue; readonly repacks: boolean } | undefined;

  constructor(llama: Llama, settings: LoadSettings, how: WeightsContext) {
    this.#llama = llama;
    this.#settings = settings;
    this.#how = how;
  }

  /** Where layers are computed, which changes the sums. */
  get place(): string {
    return placeOf(this.#how.placement);
  }

  /**
   * Loads them, again where they are laid out otherwise: no context may be open over them then.
   *
   * @throws UnavailableError `load_failed`; llama.cpp has written its reason to standard error.
   */
  async laidOut({ repacks }: Pick<PolicyTraits, "repacks">): Promise<Deno.PointerValue> {
    if (this.#loaded?.repacks === repacks) return this.#loaded.pointer;
    if (this.#loaded !== undefined) this.#llama.call.llama_model_free(this.#loaded.pointer);
    this.#loaded = undefined;
    const pointer = await loadWeights(this.#llama, this.#settings, { ...this.#how, repacks });
    this.#loaded = { pointer, repacks };
    return pointer;
  }
}

async function loadWeights(
  llama: Llama,
  settings: LoadSettings,
  how: WeightsContext & Pick<PolicyTraits, "repacks">,
): Promise<Deno.PointerValue> {
  const report = Deno.UnsafeCallback.threadSafe(
    { parameters: ["f32", "pointer"], result: "bool" },
    (fraction) => {
      how.onProgress(Number(fraction));
      return true;
    },
  );
  const params = how.placement.modelParams;
  if (how.devices !== undefined) setShards(params, how.devices);
  MODEL_PARAMS.set(params, "loadMode", settings.mmap ? LOAD_MODES.mmap : LOAD_MODES.none);
  MODEL_PARAMS.set(params, "useExtraBuffers", how.repacks);
  MODEL_PARAMS.set(params, "progressCallback", Deno.UnsafePointer.value(report.pointer));
  try {
    const path = cText(settings.modelPath);
    const weights = await llama.call.llama_model_load_later(path, params);
    if (weights === null) {
      throw new UnavailableError(
        "load_failed",
        `llama.cpp cannot load ${fileNameOf(settings.modelPath)}`,
      );
    }
    return weights;
  } finally {
    report.close();
  }
}

/** How large a context is, and what for. */
export interface ContextShape {
  readonly totalTokens: number;
  /** Tokens that are planned into one batch at most. */
  readonly batchTokens: number;
  /** Rows of one physical batch. */
  readonly microBatchTokens: number;
  readonly sequences: number;
  readonly traits: PolicyTraits;
  /** Rows of one sequence that all have an output, at most, where it is computed alone. */
  readonly draftedRows: number;
}

/** A context over loaded weights, with the settings' adapters. @throws UnavailableError `load_failed`. */
export async function openContext(
  llama: Llama,
  weights: Deno.PointerValue,
  options: { settings: LoadSettings; shape: ContextShape },
): Promise<Deno.PointerValue> {
  const { settings, shape } = options;
  const params = contextParams(llama, settings, shape);
  const context = await llama.call.llama_init_later(weights, params);
  if (context === null) {
    throw new UnavailableError(
      "load_failed",
      `llama.cpp cannot make a context of ${shape.totalTokens} tokens for ${
        fileNameOf(settings.modelPath)
      }`,
    );
  }
  setAdapters(llama, { weights, context, paths: settings.adapterPaths });
  return context;
}

/** `llama_context_params` of such a context. */
export function contextParams(
  llama: Llama,
  settings: LoadSettings,
  shape: ContextShape,
): Uint8Array<ArrayBuffer> {
  const { traits } = shape;
  // A token may take the one before it along.
  const pairs = traits.pairsRows ? shape.sequences : 0;
  const threads = traits.isSingleThread ? 1 : settings.threads;
  const isEmbedding = settings.mode === "embed";
  const params = asBytes(llama.call.llama_context_default_params());
  const set = CONTEXT_PARAMS.set.bind(CONTEXT_PARAMS, params);
  set("contextTokens", shape.totalTokens);
  set("batchTokens", shape.batchTokens + pairs);
  set("microBatchTokens", pairs > 0 ? shape.batchTokens + pairs : shape.microBatchTokens);
  set("sequences", shape.sequences);
  // One output per slot is all that sampling needs but for drafts; llama.cpp would otherwise reserve one per batch token.
  const outputs = Math.max(shape.sequences + pairs, shape.draftedRows);
  set("outputsMax", isEmbedding ? 0 : outputs);
  set("outputsMaxPerSequence", Math.max(pairs > 0 ? 2 : 1, shape.draftedRows));
  set("threads", threads);
  set("threadsBatch", threads);
  set("flashAttention", FLASH_ATTENTION[settings.flashAttention]);
  set("keyType", KV_CACHE_TYPES[settings.kvCacheType]);
  set("valueType", KV_CACHE_TYPES[settings.kvCacheType]);
  set("embeddings", isEmbedding);
  set("swaFull", traits.keepsAllCells);
  // A stream per slot: with one for all, each token's attention walks the cells of every slot (decision 0001).
  set("kvUnified", isEmbedding);
  set("offloadKqv", settings.kvOffload ?? true);
  return params;
}

function setAdapters(
  llama: Llama,
  parts: {
    readonly weights: Deno.PointerValue;
    readonly context: Deno.PointerValue;
    readonly paths: readonly string[];
  },
): void {
  if (parts.paths.length === 0) return;
  const addresses = new BigUint64Array(parts.paths.length);
  parts.paths.forEach((path, index) => {
    const adapter = llama.call.llama_adapter_lora_init(parts.weights, cText(path));
    if (adapter === null) {
      throw new UnavailableError(
        "load_failed",
        `llama.cpp cannot load the adapter ${fileNameOf(path)}`,
      );
    }
    addresses[index] = Deno.UnsafePointer.value(adapter);
  });
  const scales = new Float32Array(parts.paths.length).fill(1);
  const result = llama.call.llama_set_adapters_lora(
    parts.context,
    new Uint8Array(addresses.buffer),
    BigInt(addresses.length),
    new Uint8Array(scales.buffer),
  );
  if (result !== 0) {
    throw new UnavailableError("load_failed", "llama.cpp refuses the adapters for this model");
  }
}

/** The file alone: where it lies is nobody's business on other nodes, which are told why a load failed. */
function fileNameOf(path: string): string {
  return path.replace(/^.*[/\\]/, "");
}
