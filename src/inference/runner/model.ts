import { errorMessage, UnavailableError } from "../../base/mod.ts";
import { DRAFT_TOKENS_MAX, DraftCosts } from "../../core/speculation/mod.ts";
import type { ExactProof, LoadedFacts, LoadSettings } from "../../protocol/mod.ts";
import { type PolicyTraits, traitsOf } from "../exactness/mod.ts";
import { measureProjector, Projector, type ProjectorSettings } from "../images/mod.ts";
import { type Llama, measurePlacement, type Placement, placeModel } from "../llama/mod.ts";
import { Batch } from "./batch.ts";
import { contextParams, type ContextShape, openContext, Weights } from "./context.ts";
import { settleExactness } from "./proof_stand.ts";
import { connectWorkers, withOwnDevice } from "../sharding/mod.ts";
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
  /** Proven at this load, to be kept for the next ones. */
  readonly proof?: ExactProof;
  /** How its answers are computed. */
  readonly traits: PolicyTraits;
  /** Present where an answer may be computed several tokens at once. */
  readonly draftCosts?: DraftCosts;
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
  /** Called with 1 again and again while the model is being proven exact. */
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
  const residentBefore = Deno.memoryUsage().rss;
  const { shards } = settings;
  const devices = shards && await connectWorkers(llama, ownNativeFolder, shards);
  const { call } = llama;
  const placement = await placeWished(llama, settings, ownNativeFolder);
  const weights = new Weights(llama, settings, { onProgress, devices, placement });
  const contextTokens = windowOf(llama, await weights.laidOut({ repacks: true }), settings);
  const parts = { llama, settings, weights, contextTokens };
  const settled = await settleExactness(parts, () => onProgress(1));
  const { exactness, proof, numericClass } = settled;
  const traits = traitsOf(exactness.policy);
  const draftCosts = new DraftCosts(settled.draftCosts);
  const speculates = settings.speculates === true && draftCosts.mayPay;
  const draftedRows = speculates ? DRAFT_TOKENS_MAX + 1 : 1;
  const shape = contextShape(settings, { contextTokens, traits, draftedRows });
  const pointer = await weights.laidOut(traits);
  const context = await openContext(llama, pointer, { settings, shape });
  const vocabulary = new Vocabulary(call, pointer);
  const memory = call.llama_get_memory(context);
  await warmUp(llama, context, memory);
  const embeddingWidth = call.llama_model_n_embd_inp(pointer);
  const { projector, fault } = await openProjector(settings, {
    ...{ llama, weights: pointer, ownNativeFolder },
    ...{ width: embeddingWidth, device: placement.projectorGpu?.pointer ?? null },
  });
  const placed = await measurePlacement(placement, {
    modelPath: settings.modelPath,
    contextParams: contextParams(llama, settings, shape),
    weightsBytes: shards?.ownBytes ?? Number(call.llama_model_size(pointer)),
    layerCount: call.llama_model_n_layer(pointer),
    // With mapped weights the resident size counts what the warm-up touched, which may be less than all.
    grownBytes: Math.max(0, Deno.memoryUsage().rss - residentBefore),
  });
  return {
    llama,
    settings,
    context,
    memory,
    vocabulary,
    projector,
    embeddingWidth,
    traits,
    ...(speculates ? { draftCosts } : {}),
    ...(proof === undefined ? {} : { proof }),
    batchTokens: shape.batchTokens,
    microBatchTokens: shape.microBatchTokens,
    sequences: shape.sequences,
    slidingWindowTokens: call.llama_model_n_swa(pointer),
    facts: {
      contextTokens,
      trainingContextTokens: call.llama_model_n_ctx_train(pointer),
      vocabularyTokens: vocabulary.tokenCount,
      embeddingLength: call.llama_model_n_embd_out(pointer),
      slots: settings.slots,
      ...shards === undefined ? placed : withOwnDevice(placed, llama, shards),
      bosText: vocabulary.bosText(),
      eosText: vocabulary.eosText(),
      canShift: memory !== null && call.llama_memory_can_shift(memory),
      ...(fault === undefined ? {} : { imageFault: fault }),
      numericClass,
      exactness,
      speculates,
    },
  };
}

function placeWished(
  llama: Llama,
  settings: LoadSettings,
  ownNativeFolder: string,
): Promise<Placement> {
  const { projectorPath = "" } = settings;
  return placeModel(llama, settings, {
    contextParams: wishedContext(llama, settings),
    measureProjector: seesImages(settings)
      ? (device) => measureProjector(llama, { ownNativeFolder, projectorPath }, device)
      : undefined,
  });
}

function seesImages({ projectorPath, mode }: LoadSettings): boolean {
  return projectorPath !== undefined && mode !== "embed";
}

/** A model whose projector can't be used still answers to text. */
async function openProjector(
  settings: LoadSettings,
  parts: Omit<ProjectorSettings, "projectorPath" | "threads">,
): Promise<{ readonly projector: Projector | undefined; readonly fault: string | undefined }> {
  const { projectorPath = "", threads } = settings;
  if (!seesImages(settings)) return { projector: undefined, fault: undefined };
  try {
    const projector = await Projector.open({ ...parts, projectorPath, threads });
    return { projector, fault: "" };
  } catch (error) {
    return { projector: undefined, fault: errorMessage(error) };
  }
}

/** Tokens of the window. @throws UnavailableError `load_failed` for a model of a kind that isn't served. */
function windowOf(llama: Llama, weights: Deno.PointerValue, settings: LoadSettings): number {
  const { call } = llama;
  if (call.llama_model_has_encoder(weights)) {
    throw new UnavailableError("load_failed", "Models with a separate encoder are not supported");
  }
  const trainingContextTokens = call.llama_model_n_ctx_train(weights);
  return trainingContextTokens > 0
    ? Math.min(settings.contextTokens, trainingContextTokens)
    : settings.contextTokens;
}

/** As it is planned with before the header was read, and for answers that are computed in the plain way. */
function wishedContext(llama: Llama, settings: LoadSettings): Uint8Array<ArrayBuffer> {
  const { contextTokens } = settings;
  const by = { contextTokens, traits: traitsOf("plain"), draftedRows: 1 };
  return contextParams(llama, settings, contextShape(settings, by));
}

function contextShape(
  settings: LoadSettings,
  by: Pick<ContextShape, "traits" | "draftedRows"> & { readonly contextTokens: number },
): ContextShape {
  const { contextTokens, traits, draftedRows } = by;
  const batchTokens = Math.max(settings.batchTokens, settings.slots);
  if (settings.mode === "embed") {
    // Attention without a direction needs a whole input in one physical batch.
    const wholeTokens = Math.min(Math.max(batchTokens, 1), contextTokens);
    return {
      totalTokens: wholeTokens,
      batchTokens: wholeTokens,
      microBatchTokens: wholeTokens,
      sequences: EMBED_SEQUENCES_MAX,
      traits,
      draftedRows,
    };
  }
  const microBatchTokens = Math.min(batchTokens, MICRO_BATCH_TOKENS_MAX);
  return {
    totalTokens: contextTokens * settings.slots,
    // A physical batch that ends within a pair would part it.
    batchTokens: traits.pairsRows ? Math.max(microBatchTokens, settings.slots) : batchTokens,
    microBatchTokens,
    sequences: settings.slots,
    traits,
    draftedRows,
  };
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
