import type { Digest } from "../base/mod.ts";
import type {
  ChatMessage,
  DraftUse,
  PrefixUse,
  ThinkLevel,
  Tool,
  ToolCall,
} from "../protocol/mod.ts";
import type { SplitView } from "./engine.ts";
import type { ReadOptions } from "./model_catalog.ts";

/**
 * The public API: what HTTP may ask of the node, and so of the cluster. Names are as the client wrote them; the implementation trims,
 * parses and resolves them (contract 1.2), checks capabilities and throws the errors of contract 1.3. Shapes are parsed,
 * never trusted beyond their types.
 *
 * HTTP has already refused what needs no model: wrong types, bad `think`, `format`, `keep_alive` and base64,
 * `top_logprobs` out of range, raw mode with template or system, and empty model names (copy's two names apart, which
 * arrive as sent). Option ranges, names, `from`/`files` and everything about models are the implementation's.
 */
export interface ModelApi {
  generate(request: GenerateRequest, signal: AbortSignal): Promise<Answer>;
  chat(request: ChatRequest, signal: AbortSignal): Promise<Answer>;
  embed(request: EmbedRequest, signal: AbortSignal): Promise<EmbedAnswer>;
  /** Tokens of the prompt that {@link chat} would send; loads the model. Nothing is shortened. */
  countTokens(request: ChatRequest, signal: AbortSignal): Promise<number>;
  /** @throws RequestError `invalid_request` for more text than is taken at once. */
  tokenize(request: TokenizeRequest, signal: AbortSignal): Promise<TokenizeAnswer>;
  /** @throws RequestError `invalid_request` for tokens that the model doesn't have, or too many. */
  detokenize(request: DetokenizeRequest, signal: AbortSignal): Promise<DetokenizeAnswer>;
  /** Newest `modifiedAtMs` first. @throws UnavailableError `no_quorum` when a linearizable read can't be had. */
  listModels(options?: ReadOptions): Promise<readonly ListedModel[]>;
  /**
   * Every loaded copy, of all nodes, as they told last. Latest expiry first; loading models included. What the models are
   * is read as {@link ModelApi.listModels} does.
   */
  listLoaded(options?: ReadOptions): Promise<readonly LoadedModelRow[]>;
  /** @throws as {@link ModelApi.listModels}, besides what is wrong with the request. */
  showModel(request: ShowRequest, options?: ReadOptions): Promise<ShownModel>;
  /** Progress until `success`; throws RequestError before the first line when the request is bad. */
  createModel(request: CreateRequest, signal: AbortSignal): AsyncIterable<TransferProgress>;
  copyModel(request: { readonly source: string; readonly destination: string }): Promise<void>;
  deleteModel(request: { readonly model: string }): Promise<void>;
  pullModel(request: TransferRequest, signal: AbortSignal): AsyncIterable<TransferProgress>;
  pushModel(request: TransferRequest, signal: AbortSignal): AsyncIterable<TransferProgress>;
  /** Those on their way to this node alone. */
  arrivingModels(): readonly ArrivingModel[];
  findBlob(digest: Digest): Promise<{ readonly blobBytes: number } | undefined>;
  writeBlob(digest: Digest, bytes: ReadableStream<Uint8Array>): Promise<"created" | "exists">;
  /** Ready = would admit a request now. */
  readiness(): Readiness;
}

/** Whether the node serves; `reasons` say why not. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
  /** Whether the cluster takes changes: a node without a quorum answers all the same. Absent = it is not known. */
  readonly changes?: ChangesView;
}

/** Whether a cluster takes changes. */
export interface ChangesView {
  readonly possible: boolean;
  /** Why not, for people and without names; absent when they are. */
  readonly reason?: string;
  /** Since when not, in milliseconds since the epoch; absent when not known. */
  readonly sinceMs?: number;
}

/**
 * Options of contract 1.7 as sent: known keys with right types only, absent ones undefined, integers whole and safe,
 * floats finite. Unknown keys were dropped by the parser, wrong types refused with `invalid_option`.
 */
export interface RequestOptions {
  readonly numCtx?: number;
  readonly numBatch?: number;
  readonly numGpu?: number;
  readonly mainGpu?: number;
  readonly useMmap?: boolean;
  /** Compute it on several nodes, also where one could hold it. */
  readonly shard?: boolean;
  readonly numThread?: number;
  readonly numKeep?: number;
  readonly numPredict?: number;
  readonly seed?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly typicalP?: number;
  readonly repeatLastN?: number;
  readonly repeatPenalty?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly stop?: readonly string[];
  /** Whether the answer must be exact; absent = as the node is told. */
  readonly exact?: boolean;
  /** What becomes of lines of the system text that change with each request: `drop:BEGINNING`, `end:BEGINNING`, `last:BEGINNING`. */
  readonly volatileLines?: readonly string[];
  /** False = nothing is computed ahead of the answer; default true, where the node does so. */
  readonly speculate?: boolean;
}

/** On whose account a request goes, and how urgent it is. */
export interface RequestAccount {
  /** A key, or the machine of those without one. */
  readonly tenant: string;
  /** Among its own. */
  readonly priority: "high" | "normal" | "low";
  /** When the answer must be whole: milliseconds since 1970, Infinity = whenever. */
  readonly deadlineAtMs: number;
  /** Hears when it has to wait for a slot of the node that was asked. */
  readonly onQueued?: (wait: QueueWait) => void;
}

/** Where a request stands among those that wait. */
export interface QueuePlace {
  /** From 1: those that are served before it, and itself. */
  readonly position: number;
  /** Until it has a slot, by what was measured; undefined = nothing was yet. Milliseconds. */
  readonly etaMs: number | undefined;
}

/** A request's time in a queue. */
export interface QueueWait {
  /** As it came. */
  readonly told: QueuePlace;
  /** Now; undefined = it waits no more. */
  place(): QueuePlace | undefined;
  /** So far, or in all. Milliseconds. */
  waitedMs(): number;
}

/** Fields that every inference request shares. */
interface InferenceRequest {
  readonly model: string;
  /** Absent = nobody's, at any time. */
  readonly account?: RequestAccount;
  /** What the client's answer is labelled with, by which its route can be asked for later; not unique. */
  readonly label?: string;
  /** Where in a client's trace it is, as W3C Trace Context has it; absent = nobody traces it. */
  readonly traceparent?: string | undefined;
  readonly options: RequestOptions;
  /** Milliseconds an idle model stays loaded; Infinity = forever, 0 = unload when idle; undefined = keep the current value. */
  readonly keepAliveMs?: number;
  /** `"json"`, or a JSON Schema; undefined = free text. */
  readonly format?: "json" | Readonly<Record<string, unknown>>;
  readonly think?: ThinkLevel;
  readonly truncate: boolean;
  readonly shift: boolean;
  /** Alternatives per token, 0..20; -1 = no log probabilities. */
  readonly topLogprobs: number;
  readonly debugRenderOnly: boolean;
  /** The `/v1` shims drop an unsupported `think` instead of refusing it. */
  readonly relaxedThinking?: boolean;
  /** Present = the answer's chunks tell their {@link ChunkFacts}. */
  readonly journal?: AnswerJournalWish;
}

/** What another node needs to go on with an answer. */
export interface AnswerJournalWish {
  /** Which answer it is, whoever makes it; drawn, so that nobody can guess it. */
  readonly answer: string;
  /** Unsigned 32-bit; taken where the request has none of its own. */
  readonly seed: number;
  /** Of the chunks that were made already, in order: these are made once more, and what follows after them. */
  readonly facts: readonly string[];
}

/** What lies behind a chunk, and those without facts before the next one that has some: text for whoever made it. */
interface ChunkFacts {
  readonly facts?: string;
}

/** POST /api/generate (contract 1.4). */
export interface GenerateRequest extends InferenceRequest {
  readonly prompt: string;
  /** The prompt as tokens of the model, in place of `prompt`: neither template nor special tokens are added. */
  readonly promptTokens?: readonly number[];
  readonly suffix: string;
  readonly system?: string;
  readonly template?: string;
  readonly context?: readonly number[];
  readonly raw: boolean;
  readonly images: readonly Uint8Array[];
}

/** POST /api/chat (contract 1.5). */
export interface ChatRequest extends InferenceRequest {
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly Tool[];
  /** Absent = the model decides whether it calls. */
  readonly toolChoice?: ToolChoice;
  /** How many calls the answer may make. Absent = any number. */
  readonly toolCallsMax?: number;
}

/** No call, a call of any tool, or one of the named tool. */
export type ToolChoice = "none" | "required" | { readonly name: string };

/** What an inference request comes to. */
export type Answer =
  /** Nothing to generate: the model was loaded or told to unload. */
  | { readonly kind: "load"; readonly servedBy?: string }
  | { readonly kind: "unload" }
  | { readonly kind: "rendered"; readonly text: string; readonly imageCount: number }
  /** Ends with exactly one `done` chunk, or throws; throwing mid-way is the contract's error line. */
  | {
    readonly kind: "stream";
    readonly chunks: AsyncIterable<AnswerChunk>;
    /** The node that computes the first token: settled with the first chunk; undefined = the one that was asked. */
    readonly servedBy?: () => string | undefined;
    /** What the prompt came to: settled with the first chunk. Absent where it is known only at the end. */
    readonly promptUsage?: () => PromptUsage;
    /**
     * Whether it is the same whatever is computed beside it, and wherever it goes on: settled with the first chunk. Absent
     * or undefined where that is not known.
     */
    readonly exact?: () => boolean | undefined;
    /** What of the request is not followed, each fit to be shown. */
    readonly warnings?: readonly string[];
  };

/** One piece of an answer; `content` may be "" when the chunk only carries thinking, calls or log probabilities. */
export type AnswerChunk =
  | ChunkFacts & {
    readonly kind: "text";
    readonly content: string;
    readonly thinking?: string;
    readonly toolCalls?: readonly ToolCall[];
    readonly logprobs?: readonly TokenLogprobRow[];
  }
  | ChunkFacts & {
    readonly kind: "done";
    readonly doneReason: "stop" | "length";
    /** Which of the stop strings ended it. */
    readonly stopString?: string;
    readonly metrics: AnswerMetrics;
    /** Prompt and answer tokens, for /api/generate's `context`. */
    readonly context: readonly number[];
  };

/** Contract 1.8. */
export interface TokenLogprobRow {
  readonly token: string;
  readonly bytes: Uint8Array;
  readonly logprob: number;
  readonly topLogprobs?: readonly {
    readonly token: string;
    readonly bytes: Uint8Array;
    readonly logprob: number;
  }[];
}

/** Lines of the system text that were not left where they stood, as the request or its model wanted. */
export interface LineChanges {
  readonly dropped: number;
  readonly moved: number;
}

/** Tokens of a prompt. */
export interface PromptUsage {
  readonly promptEvalCount: number;
  /** Of these, what the runner had computed before, for another request. Absent = unknown. */
  readonly promptCachedCount?: number;
  /** How that came; absent = unknown. */
  readonly prefix?: PrefixUse;
  /** Absent = there was no rule for lines. */
  readonly volatileLines?: LineChanges;
}

/** Durations in nanoseconds. */
export interface AnswerMetrics extends PromptUsage {
  readonly totalNs: number;
  readonly loadNs: number;
  readonly promptEvalNs: number;
  readonly evalCount: number;
  readonly evalNs: number;
  /** Tokens computed ahead of the answer; absent = none were, or nobody said. */
  readonly drafts?: DraftUse;
}

/** POST /api/embed (contract 1.9); empty `inputs` only loads. */
export interface EmbedRequest {
  readonly model: string;
  /** As for the other inference requests. */
  readonly account?: RequestAccount;
  /** As for the other inference requests. */
  readonly label?: string;
  /** As for the other inference requests. */
  readonly traceparent?: string | undefined;
  readonly inputs: readonly string[];
  /** With it, `inputs` are documents, and of each comes one figure: how well it answers this. */
  readonly query?: string;
  readonly truncate: boolean;
  readonly dimensions?: number;
  readonly keepAliveMs?: number;
  readonly options: RequestOptions;
}

export interface EmbedAnswer {
  readonly vectors: readonly Float32Array[];
  readonly promptEvalCount: number;
  readonly totalNs: number;
  readonly loadNs: number;
  /** The node that computed it; undefined = the one that was asked. */
  readonly servedBy?: string;
}

/** POST /api/tokenize. */
export interface TokenizeRequest {
  readonly model: string;
  readonly account?: RequestAccount;
  readonly label?: string;
  readonly traceparent?: string | undefined;
  readonly text: string;
  /** Whether what the model wants around a text is added. */
  readonly addSpecial: boolean;
  readonly keepAliveMs?: number;
  readonly options: RequestOptions;
}

/** POST /api/detokenize. */
export interface DetokenizeRequest extends Omit<TokenizeRequest, "text" | "addSpecial"> {
  readonly tokens: readonly number[];
}

/** Of an answer that only took a model's vocabulary; durations in nanoseconds. */
export interface VocabularyFigures {
  readonly totalNs: number;
  readonly loadNs: number;
  readonly servedBy?: string;
}

export interface TokenizeAnswer extends VocabularyFigures {
  readonly tokens: readonly number[];
}

export interface DetokenizeAnswer extends VocabularyFigures {
  readonly text: string;
}

/** Contract 1.10 `details`. */
export interface ModelDetails {
  readonly parentModel: string;
  readonly format: string;
  readonly family: string;
  readonly families: readonly string[] | null;
  readonly parameterSize: string;
  readonly quantizationLevel: string;
  readonly contextLength?: number;
  readonly embeddingLength?: number;
}

export interface ListedModel {
  /** Shortest display name, tag included. */
  readonly name: string;
  readonly modifiedAtMs: number;
  readonly size: number;
  /** SHA-256 hex of the manifest. */
  readonly digest: string;
  readonly details: ModelDetails;
  readonly capabilities: readonly string[];
  /** Namespace, for `/v1/models`. */
  readonly namespace: string;
  /** It is the asked node's alone: the cluster could not be told of it yet, or has the name for another. */
  readonly isLocal?: true;
}

/** Whether the answers of a loaded copy are exact. */
export interface LoadedExactness {
  readonly isExact: boolean;
  readonly policy: string;
  /** Why it is not; "" when it is. */
  readonly reason: string;
}

export interface LoadedModelRow {
  readonly name: string;
  readonly size: number;
  readonly sizeVram: number;
  readonly digest: string;
  readonly details: ModelDetails;
  /** Infinity = forever. */
  readonly expiresAtMs: number;
  readonly contextLength: number;
  /** How it is computed, where it is loaded; absent where that is not known. */
  readonly exactness?: LoadedExactness;
  /** Whether its answers may be computed several tokens at once, where that pays; absent where that is not known. */
  readonly speculates?: boolean;
  /** Name of the node it is loaded on; absent where there is only one. Of a split one, that of its leader. */
  readonly node?: string;
  /** Who computes which layers of a split one; as far as the asked node knows. */
  readonly shards?: readonly ShardRow[];
}

/** One node's part of a model that several compute. */
export type ShardRow = SplitView["shards"][number];

export interface ShowRequest {
  readonly model: string;
  readonly verbose: boolean;
  readonly system?: string;
  readonly options: RequestOptions;
  /** False: the Modelfile is for another machine and says FROM which model, not where its files lie here. Default true. */
  readonly namesFiles?: boolean;
}

/** Contract 1.10 `/api/show`; absent keys are left out of the answer. */
export interface ShownModel {
  /** As in {@link ListedModel}. */
  readonly isLocal?: true;
  readonly license?: string;
  readonly modelfile?: string;
  readonly parameters?: string;
  readonly template?: string;
  readonly system?: string;
  readonly details: ModelDetails;
  readonly messages?: readonly { readonly role: string; readonly content: string }[];
  readonly modelInfo: Readonly<Record<string, unknown>>;
  readonly projectorInfo?: Readonly<Record<string, unknown>>;
  readonly tensors?: readonly {
    readonly name: string;
    readonly type: string;
    readonly shape: readonly number[];
  }[];
  readonly capabilities: readonly string[];
  readonly modifiedAtMs: number;
  readonly requires?: string;
}

/** POST /api/create (contract 1.11). */
export interface CreateRequest {
  readonly model: string;
  readonly from?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly adapters?: Readonly<Record<string, string>>;
  /** A smaller model beside it, kept for whoever speculates with it. */
  readonly draftFiles?: Readonly<Record<string, string>>;
  readonly template?: string;
  readonly system?: string;
  readonly license: readonly string[];
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly messages?: readonly { readonly role: string; readonly content: string }[];
  readonly quantize?: string;
  /** The same for {@link CreateRequest.draftFiles}. */
  readonly draftQuantize?: string;
  readonly renderer?: string;
  readonly parser?: string;
  readonly requires?: string;
}

/** POST /api/pull and /api/push (contract 1.12). */
export interface TransferRequest {
  readonly model: string;
  readonly insecure: boolean;
}

/** Begins the status of a line that says what of the request is not followed. */
export const WARNING_STATUS = "warning: ";

/** A model on its way to a node: pulled, or copied from another one. Bytes of all its layers together. */
export interface ArrivingModel {
  readonly model: string;
  readonly total: number;
  readonly completed: number;
}

/** A progress line. */
export interface TransferProgress {
  readonly status: string;
  readonly digest?: string;
  readonly total?: number;
  readonly completed?: number;
}
