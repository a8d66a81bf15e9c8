import { errorMessage, UnavailableError } from "../../base/mod.ts";
import type { LoadedFacts, LoadSettings } from "../../protocol/mod.ts";
import { Projector } from "../images/mod.ts";
import { Batch } from "./batch.ts";
import {
  CONTEXT_PARAMS,
  cText,
  FLASH_ATTENTION,
  KV_CACHE_TYPES,
  type Llama,
  LOAD_MODES,
  MODEL_PARAMS,
} from "../llama/mod.ts";
import { Vocabulary } from "./vocabulary.ts";

/** Sequences computed together when embedding; their tokens share one batch. */
const EMBED_SEQUENCES_MAX = 32;
/** Tokens of one physical batch; more gained nothing on CPUs and costs compute buffers. */
const MICRO_BATCH_TOKENS_MAX = 512;

/** A loaded model with its one context. Lives as long as the process. */
export interface RunnerModel {
  readonly llama: Llama;
  readonly settings: LoadSettings;
  readonly context: Deno.PointerValue;
  /** null for models without a KV cache, which only embed. */
  readonly memory: Deno.PointerValue;
  readonly vocabulary: Vocabulary;
  /** Undefined where `facts.imageFault` says why, or there is none. */
  readonly projector: Projector | undefined;
  /** Elements of what goes in for one position. */
  readonly embeddingWidth: number;
  readonly facts: LoadedFacts;
  /** Tokens of one batch at most. */
  readonly batchTokens: number;
  /** Tokens that are computed at once at most. */
  readonly microBatchTokens: number;
  /** Sequences of one batch at most. */
  readonly sequences: number;
  /** Width of the sliding attention window; 0 = none. */
  readonly slidingWindowTokens: number;
}

/** What loading uses besides its settings. */
export interface LoadContext {
  readonly onProgress: (fraction: number) => void;
  /** Where libmtmd lies; "" = it was not built. */
  readonly ownNativeFolder: string;
}

/**
 * Loads weights, adapters, projector and context and runs one token through, so that the first request meets warm pages.
 *
 * @throws UnavailableError `load_failed`; llama.cpp has written its reason to standard error.
 */
export async function loadModel(
  llama: Llama,
  settings: LoadSettings,
  { onProgress, ownNativeFolder }: LoadContext,
): Promise<RunnerModel> {
  const before = { resident: Deno.memoryUsage().rss, device: freeBytes(llama) };
  const weights = await loadWeights(llama, settings, onProgress);
  const { call } = llama;
  const trainingContextTokens = call.llama_model_n_ctx_train(weights);
  if (call.llama_model_has_encoder(weights)) {
    throw new UnavailableError("load_failed", "Models with a separate encoder are not supported");
  }
  const contextTokens = trainingContextTokens > 0
    ? Math.min(settings.contextTokens, trainingContextTokens)
    : settings.contextTokens;
  const shape = contextShape(settings, contextTokens);
  const context = await openContext(llama, weights, { settings, shape });
  setAdapters(llama, { weights, context, paths: settings.adapterPaths });
  const vocabulary = new Vocabulary(call, weights);
  const memory = call.llama_get_memory(context);
  await warmUp(llama, context, memory);
  const embeddingWidth = call.llama_model_n_embd_inp(weights);
  const { projector, fault } = await openProjector(settings, {
    ...{ weights, ownNativeFolder },
    ...{ width: embeddingWidth, usesGpu: llama.gpus.length > 0 && settings.gpuLayers !== 0 },
  });
  const device = Math.max(0, before.device - freeBytes(llama));
  const weightBytes = Number(call.llama_model_size(weights));
  // With mapped weights the resident size counts what the warm-up touched, which may be less than all.
  const grown = Math.max(0, Deno.memoryUsage().rss - before.resident);
  return {
    llama,
    settings,
    context,
    memory,
    vocabulary,
    projector,
    embeddingWidth,
    batchTokens: shape.batchTokens,
    microBatchTokens: shape.microBatchTokens,
    sequences: shape.sequences,
    slidingWindowTokens: call.llama_model_n_swa(weights),
    facts: {
      contextTokens,
      trainingContextTokens,
      vocabularyTokens: vocabulary.tokenCount,
      embeddingLength: call.llama_model_n_embd_out(weights),
      slots: settings.slots,
      memoryBytes: Math.max(weightBytes, grown + device),
      deviceMemoryBytes: device,
      bosText: vocabulary.bosText(),
      eosText: vocabulary.eosText(),
      canShift: memory !== null && call.llama_memory_can_shift(memory),
      ...(fault === undefined ? {} : { imageFault: fault }),
      numericClass: `${llama.buildText}/threads=${settings.threads}/kv=${settings.kvCacheType}`,
    },
  };
}

/** A model whose projector can't be used still answers to text. */
async function openProjector(
  settings: LoadSettings,
  parts: {
    readonly weights: Deno.PointerValue;
    readonly width: number;
    readonly usesGpu: boolean;
    readonly ownNativeFolder: string;
  },
): Promise<{ readonly projector: Projector | undefined; readonly fault: string | undefined }> {
  const { projectorPath, mode, threads } = settings;
  if (projectorPath === undefined || mode === "embed") {
    return { projector: undefined, fault: undefined };
  }
  try {
    const projector = await Projector.open({ ...parts, projectorPath, threads });
    return { projector, fault: "" };
  } catch (error) {
    return { projector: undefined, fault: errorMessage(error) };
  }
}

async function loadWeights(
  llama: Llama,
  settings: LoadSettings,
  onProgress: (fraction: number) => void,
): Promise<Deno.PointerValue> {
  const report = Deno.UnsafeCallback.threadSafe(
    { parameters: ["f32", "pointer"], result: "bool" },
    (fraction) => {
      onProgress(Number(fraction));
      return true;
    },
  );
  const params = asBytes(llama.call.llama_model_default_params());
  MODEL_PARAMS.set(params, "gpuLayers", llama.gpus.length === 0 ? 0 : settings.gpuLayers);
  MODEL_PARAMS.set(params, "loadMode", settings.mmap ? LOAD_MODES.mmap : LOAD_MODES.none);
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

interface ContextShape {
  readonly totalTokens: number;
  readonly batchTokens: number;
  readonly microBatchTokens: number;
  readonly sequences: number;
}

function contextShape(settings: LoadSettings, contextTokens: number): ContextShape {
  const batchTokens = Math.max(settings.batchTokens, settings.slots);
  if (settings.mode === "embed") {
    // Attention without a direction needs a whole input in one physical batch.
    const wholeTokens = Math.min(Math.max(batchTokens, 1), contextTokens);
    return {
      totalTokens: wholeTokens,
      batchTokens: wholeTokens,
      microBatchTokens: wholeTokens,
      sequences: EMBED_SEQUENCES_MAX,
    };
  }
  return {
    totalTokens: contextTokens * settings.slots,
    batchTokens,
    microBatchTokens: Math.min(batchTokens, MICRO_BATCH_TOKENS_MAX),
    sequences: settings.slots,
  };
}

async function openContext(
  llama: Llama,
  weights: Deno.PointerValue,
  options: { settings: LoadSettings; shape: ContextShape },
): Promise<Deno.PointerValue> {
  const { settings, shape } = options;
  const isEmbedding = settings.mode === "embed";
  const params = asBytes(llama.call.llama_context_default_params());
  const set = CONTEXT_PARAMS.set.bind(CONTEXT_PARAMS, params);
  set("contextTokens", shape.totalTokens);
  set("batchTokens", shape.batchTokens);
  set("microBatchTokens", shape.microBatchTokens);
  set("sequences", shape.sequences);
  // One output per slot is all that sampling needs; llama.cpp would otherwise reserve one per batch token.
  set("outputsMax", isEmbedding ? 0 : shape.sequences);
  set("threads", settings.threads);
  set("threadsBatch", settings.threads);
  set("flashAttention", FLASH_ATTENTION[settings.flashAttention]);
  set("keyType", KV_CACHE_TYPES[settings.kvCacheType]);
  set("valueType", KV_CACHE_TYPES[settings.kvCacheType]);
  set("embeddings", isEmbedding);
  set("swaFull", false);
  // A stream per slot: with one for all, each token's attention walks the cells of every slot (decision 0001).
  set("kvUnified", isEmbedding);
  const context = await llama.call.llama_init_later(weights, params);
  if (context === null) {
    throw new UnavailableError(
      "load_failed",
      `llama.cpp cannot make a context of ${shape.totalTokens} tokens for ${settings.modelPath}`,
    );
  }
  return context;
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

async function warmUp(
  llama: Llama,
  context: Deno.PointerValue,
  memory: Deno.PointerValue,
): Promise<void> {
  const batch = new Batch(1);
  batch.clear();
  batch.add(0, { position: 0, sequence: 0, wantsOutput: true });
  const result = memory === null
    ? await llama.call.llama_encode_later(context, batch.struct)
    : await llama.call.llama_decode_later(context, batch.struct);
  if (result !== 0) {
    throw new UnavailableError("load_failed", `llama.cpp cannot run the model (code ${result})`);
  }
  if (memory !== null) llama.call.llama_memory_clear(memory, false);
}

/** On all devices together. */
function freeBytes({ gpus }: Llama): number {
  return gpus.reduce((sum, gpu) => sum + gpu.memory().freeBytes, 0);
}

/** The type of a struct result is wider than what a call returns. */
function asBytes(result: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(result);
}

/** The file alone: where it lies is nobody's business on other nodes, which are told why a load failed. */
function fileNameOf(path: string): string {
  return path.replace(/^.*[/\\]/, "");
}
