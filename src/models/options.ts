import { invalidRequest, RequestError } from "../base/mod.ts";
import type { RequestOptions } from "../ports/mod.ts";
import { type LineRule, readLineRules } from "./modelfile/mod.ts";
import type { ExactWish, LoadSettings, SamplerSettings } from "../protocol/mod.ts";

/** Context window below which nothing works (contract 1.7). */
const CONTEXT_TOKENS_MIN = 4;
/** An answer is at most this many context windows long (contract 1.7). */
const PREDICT_CONTEXTS_MAX = 10;
/** Context windows above this are refused as a mistake, whatever the model says. */
const CONTEXT_TOKENS_MAX = 16 * 1024 * 1024;

/** More layers than any model has. */
const GPU_LAYERS_MAX = 100_000;
const MAIN_GPU_MAX = 1_000;
/** Subtracted from logits, whose own range is some tens. */
const PENALTY_RANGE = { low: -1e6, high: 1e6 };

/** Strings that may end an answer at most: every one is looked for in every piece of every answer. */
const STOPS_MAX = 64;
/** Characters of one at most: what may become one is held back. */
const STOP_CHARS_MAX = 256;

/** What the options of one request come to. */
export interface ResolvedOptions {
  readonly sampler: SamplerSettings;
  readonly predictTokensMax: number;
  readonly keepTokens: number;
  readonly stop: readonly string[];
  readonly lineRules: readonly LineRule[];
  /** Whether tokens may be computed ahead, where the node does so. */
  readonly speculates: boolean;
  readonly load: ResolvedLoad;
}

/** The load options without the parts only the scheduler and the model know. */
export type ResolvedLoad =
  & Pick<
    LoadSettings,
    | "contextTokens"
    | "slots"
    | "batchTokens"
    | "gpuLayers"
    | "mainGpu"
    | "mmap"
    | "flashAttention"
    | "kvCacheType"
    | "mode"
    | "exact"
    | "speculates"
  >
  & {
    /** 0 = the scheduler decides. */
    readonly threads: number;
    /** Over several nodes, also where one could hold it; absent = only where none could. */
    readonly shard?: "always";
  };

/** Where values come from when neither request nor model gives one. */
export interface OptionDefaults {
  /** 0 = {@link AUTO_CONTEXT_TOKENS}, of an embedding model {@link AUTO_EMBED_CONTEXT_TOKENS}. */
  readonly contextTokens: number;
  readonly slots: number;
  /** 0 = by context window, of an embedding model the whole window. */
  readonly batchTokens: number;
  readonly flashAttention: LoadSettings["flashAttention"];
  readonly kvCacheType: LoadSettings["kvCacheType"];
  /** Default `off`. */
  readonly exact?: ExactWish;
  /** Default `off`. */
  readonly speculate?: "auto" | "off";
}

/** Context window when nobody says one: the contract's for machines with little device memory. */
const AUTO_CONTEXT_TOKENS = 4096;
/**
 * The same for embedding models, and the most unless the request or the model says more: most of them take so much, and
 * what is computed at once grows with its square.
 */
const AUTO_EMBED_CONTEXT_TOKENS = 8192;

/** What the model brings into the decision. */
export interface ModelBounds {
  readonly trainingContextTokens: number;
  readonly mode: LoadSettings["mode"];
}

/**
 * Applies contract 1.7: request over model PARAMETERs over configuration over default.
 *
 * `drawSeed` is asked only when nobody gave a seed or gave a negative one.
 *
 * @throws RequestError `invalid_request` for values outside their range.
 */
export function resolveOptions(
  layers: {
    readonly request: RequestOptions;
    readonly model: RequestOptions;
    readonly defaults: OptionDefaults;
    readonly bounds: ModelBounds;
  },
  drawSeed: () => number,
): ResolvedOptions {
  const { request, model, defaults, bounds } = layers;
  const options: RequestOptions = { ...model, ...withoutUndefined(request) };
  const contextTokens = resolveContext(options.numCtx, defaults, bounds);
  const load: ResolvedLoad = {
    contextTokens,
    slots: bounds.mode === "embed" ? 1 : defaults.slots,
    batchTokens: resolveBatch(options.numBatch ?? defaults.batchTokens, bounds, contextTokens),
    gpuLayers: checkRange("num_gpu", options.numGpu ?? -1, { low: -1, high: GPU_LAYERS_MAX }),
    ...(options.mainGpu === undefined
      ? {}
      : { mainGpu: checkRange("main_gpu", options.mainGpu, { low: 0, high: MAIN_GPU_MAX }) }),
    mmap: options.useMmap ?? true,
    flashAttention: defaults.flashAttention,
    kvCacheType: defaults.kvCacheType,
    mode: bounds.mode,
    ...exactOf(options.exact, defaults, bounds),
    threads: checkRange("num_thread", options.numThread ?? 0, { low: 0, high: 1024 }),
    ...options.shard && { shard: "always" },
    ...speculationOf(bounds.mode, defaults),
  };
  return {
    sampler: resolveSampler(options, drawSeed),
    predictTokensMax: resolvePredict(options.numPredict, contextTokens),
    keepTokens: checkRange("num_keep", options.numKeep ?? 4, { low: -1, high: CONTEXT_TOKENS_MAX }),
    stop: checkStops(options.stop ?? []).filter((text) => text !== ""),
    lineRules: readLineRules(options.volatileLines ?? []),
    speculates: options.speculate ?? true,
    load,
  };
}

/** How a node loads a model so that several tokens of an answer may be computed at once. */
function speculationOf(
  mode: LoadSettings["mode"],
  { speculate = "off" }: Pick<OptionDefaults, "speculate">,
): Pick<ResolvedLoad, "speculates"> {
  return mode === "generate" && speculate === "auto" ? { speculates: true } : {};
}

/** Who doesn't need an exact answer gets one all the same where it is cheap. Vectors are none. */
function exactOf(
  asked: boolean | undefined,
  { exact = "off" }: OptionDefaults,
  { mode }: ModelBounds,
): Pick<ResolvedLoad, "exact"> {
  if (mode === "embed" || (exact === "off" && asked !== true)) return {};
  if (asked === true) return { exact: "on" };
  return { exact: asked === false ? "auto" : exact };
}

function checkStops(stops: readonly string[]): readonly string[] {
  const longest = Math.max(0, ...stops.slice(0, STOPS_MAX).map(({ length }) => length));
  if (stops.length <= STOPS_MAX && longest <= STOP_CHARS_MAX) return stops;
  throw new RequestError(
    "invalid_option",
    `option "stop" takes at most ${STOPS_MAX} strings of at most ${STOP_CHARS_MAX} characters: ` +
      `got ${stops.length}, the longest of ${longest}`,
    { status: 400 },
  );
}

function resolveSampler(options: RequestOptions, drawSeed: () => number): SamplerSettings {
  const seed = options.seed ?? -1;
  return {
    temperature: checkRange("temperature", options.temperature ?? 0.8, { low: 0, high: 1e6 }),
    // Clients write "off" as 0 or -1.
    topK: checkRange("top_k", options.topK ?? 40, { low: -1, high: CONTEXT_TOKENS_MAX }),
    topP: checkRange("top_p", options.topP ?? 0.9, { low: 0, high: 1 }),
    minP: checkRange("min_p", options.minP ?? 0, { low: 0, high: 1 }),
    typicalP: checkRange("typical_p", options.typicalP ?? 1, { low: 0, high: 1 }),
    repeatLastTokens: checkRange("repeat_last_n", options.repeatLastN ?? 64, {
      low: -1,
      high: CONTEXT_TOKENS_MAX,
    }),
    // Logits are divided by it, so 0 would make them infinite.
    repeatPenalty: checkRange("repeat_penalty", options.repeatPenalty ?? 1, {
      low: 0.001,
      high: 1e6,
    }),
    presencePenalty: checkRange("presence_penalty", options.presencePenalty ?? 0, PENALTY_RANGE),
    frequencyPenalty: checkRange("frequency_penalty", options.frequencyPenalty ?? 0, PENALTY_RANGE),
    seed: seed < 0 ? drawSeed() >>> 0 : seed >>> 0,
  };
}

function resolveContext(
  asked: number | undefined,
  defaults: OptionDefaults,
  bounds: ModelBounds,
): number {
  const automatic = automaticContext(defaults.contextTokens, bounds.mode);
  const wanted = checkRange("num_ctx", asked ?? automatic, { low: 0, high: CONTEXT_TOKENS_MAX });
  const floored = Math.max(CONTEXT_TOKENS_MIN, wanted === 0 ? automatic : wanted);
  return bounds.trainingContextTokens > 0
    ? Math.min(floored, bounds.trainingContextTokens)
    : floored;
}

/** `configured` 0 = nobody says one. */
function automaticContext(configured: number, mode: LoadSettings["mode"]): number {
  if (mode === "generate") return configured > 0 ? configured : AUTO_CONTEXT_TOKENS;
  return configured > 0
    ? Math.min(configured, AUTO_EMBED_CONTEXT_TOKENS)
    : AUTO_EMBED_CONTEXT_TOKENS;
}

/** `asked` 0 = by the context window. */
function resolveBatch(asked: number, bounds: ModelBounds, contextTokens: number): number {
  const wanted = checkRange("num_batch", asked, { low: 0, high: CONTEXT_TOKENS_MAX });
  if (wanted > 0) return Math.min(wanted, contextTokens);
  // An embedding's input is one batch: a shorter one would cut what the window promises.
  if (bounds.mode === "embed") return contextTokens;
  const automatic = contextTokens <= 4096 ? 512 : contextTokens <= 32_768 ? 1024 : 2048;
  return Math.min(automatic, contextTokens);
}

function resolvePredict(asked: number | undefined, contextTokens: number): number {
  const bound = PREDICT_CONTEXTS_MAX * contextTokens;
  return asked === undefined || asked < 0 ? bound : Math.min(asked, bound);
}

function checkRange(
  name: string,
  value: number,
  range: { readonly low: number; readonly high: number },
): number {
  if (value >= range.low && value <= range.high) return value;
  throw invalidRequest(
    `option "${name}" must be between ${range.low} and ${range.high}: current value is ${value}`,
  );
}

function withoutUndefined(options: RequestOptions): RequestOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
