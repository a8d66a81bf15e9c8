import type { CellsHeader, CellsWish } from "./cells.ts";
import type { Exactness, ExactProof, ExactWish } from "./exactness.ts";
import type { SequenceEvent, SequenceRequest } from "./sequence.ts";
import type { WireError } from "../wire_error.ts";
import type { NodeId } from "../../base/mod.ts";

/**
 * Version of the frames between a node and its runner. Both come from one build, so any difference is refused.
 */
export const RUNNER_PROTOCOL_VERSION = 4;
/** Bytes of one frame at most, either way: a 4-byte big-endian length, then that many bytes of CBOR. */
export const RUNNER_FRAME_BYTES_MAX = 64 * 1024 * 1024;

/** How a model is loaded. A change in any of these needs a new runner. */
export interface LoadSettings {
  readonly modelPath: string;
  /** LoRA adapters, GGUF. */
  readonly adapterPaths: readonly string[];
  /** What turns images into embeddings, GGUF; absent = the model sees none. */
  readonly projectorPath?: string;
  /** Context window per slot in tokens; capped at the training context. */
  readonly contextTokens: number;
  /** Sequences decoded together, >= 1. */
  readonly slots: number;
  /** Tokens per `decode` call at most. */
  readonly batchTokens: number;
  /** Threads of llama.cpp in this runner, >= 1. */
  readonly threads: number;
  /** Layers on the GPU; -1 = as many as fit, 0 = none. */
  readonly gpuLayers: number;
  /** Index of the device that the model would rather have alone; absent = any. Whoever chooses `devices` heeds it. */
  readonly mainGpu?: number;
  /**
   * Devices they may lie on, in order, what the model may take there in bytes, and how many lie there whatever `gpuLayers` says (of all
   * devices or of none; the output layer counts as one); absent = all there are, without a bound.
   */
  readonly devices?: readonly {
    readonly name: string;
    readonly budgetBytes: number;
    readonly layers?: number;
  }[];
  /** Whether keys and values lie where their layer does; absent = they do, otherwise all in the machine's memory. */
  readonly kvOffload?: boolean;
  readonly mmap: boolean;
  readonly flashAttention: "auto" | "on" | "off";
  readonly kvCacheType: "f16" | "q8_0" | "q4_0";
  /** Embedding models compute vectors and no answers. */
  readonly mode: "generate" | "embed";
  /** Memory beside the model for what its slots have computed and no longer hold; default 0. */
  readonly cacheMemoryBytes?: number;
  /** Default `off`. */
  readonly exact?: ExactWish;
  /** Whether answers that are exact may be computed several tokens at once where it pays; default false. */
  readonly speculates?: boolean;
  /** What was proven of this model at earlier loads; default nothing. */
  readonly proofs?: readonly ExactProof[];
  /** With `auto`, what was not proven yet is loaded as it is, and proven another time; default false. */
  readonly provesLater?: boolean;
  /** Most layers are computed by others; absent = all here. */
  readonly shards?: ShardSettings;
  /** No model is loaded: parts of one are computed for another runner. `modelPath` is "". */
  readonly worker?: WorkerSettings;
}

/** Who computes a model's layers: workers, in the order of the layers, and the runner itself the last ones. */
export interface ShardSettings {
  /** Ports of this machine's loopback address, one for each worker. */
  readonly ports: readonly number[];
  /** As many as `ports`, >= 1 each. */
  readonly workerLayers: readonly number[];
  /** Layers of the runner's own, >= 0; the output layer is its own in any case. */
  readonly ownLayers: number;
  /** What it takes of the machine's own memory for the model itself, as planned. */
  readonly ownBytes: number;
  /** Of this machine, that computes the last of its own layers and the output layer; absent = the cores do. */
  readonly ownDevice?: {
    readonly name: string;
    /** Of `ownLayers`. */
    readonly layers: number;
    readonly bytes: number;
  };
}

/** How a worker computes. */
export interface WorkerSettings {
  /** Of this machine's loopback address, free. */
  readonly port: number;
  /** What it may take of the machine's own memory, as planned. */
  readonly memoryBytes: number;
  /** That computes, and what may lie there; absent = the cores. */
  readonly device?: { readonly name: string; readonly bytes: number };
}

/** What a loaded model is. */
export interface LoadedFacts {
  readonly contextTokens: number;
  readonly trainingContextTokens: number;
  readonly vocabularyTokens: number;
  readonly embeddingLength: number;
  readonly slots: number;
  /** Weights + KV cache + compute buffers in bytes; the part on GPUs. */
  readonly memoryBytes: number;
  readonly deviceMemoryBytes: number;
  /** The part in the machine's own memory; absent = all of it. */
  readonly hostMemoryBytes?: number;
  /** By device: what lies there, and what the driver said was free then. */
  readonly devices?: readonly {
    readonly name: string;
    readonly bytes: number;
    readonly freeBytes: number;
  }[];
  /** Text of the begin- and end-of-sequence tokens, "" when the vocabulary has none. */
  readonly bosText: string;
  readonly eosText: string;
  /** True when the KV cache can be shifted in place. */
  readonly canShift: boolean;
  /** Why its projector can't be used; "" = the model sees images, absent = it has no projector. */
  readonly imageFault?: string;
  /**
   * llama.cpp build, instruction set, device, number formats and policy: exact copies of equal values give equal logits,
   * others do for equal batches.
   */
  readonly numericClass: string;
  /** Absent from nodes that can't tell. */
  readonly exactness?: Exactness;
  /** Whether its answers may be computed several tokens at once, where that pays. Absent from nodes that can't tell. */
  readonly speculates?: boolean;
}

/** Node to runner. */
export type RunnerCommand =
  | { readonly kind: "load"; readonly version: number; readonly settings: LoadSettings }
  /** Answered at once with `pong`, whatever else the runner does. */
  | { readonly kind: "ping" }
  | CellsCommand
  | ModelCommand;

/** What a runner is told of cells that are kept outside. */
export type CellsCommand =
  /** These hold for its model. */
  | { readonly kind: "cells_known"; readonly headers: readonly CellsHeader[] }
  /** The next part of what it wanted; where that can't be had, the last one comes early. */
  | {
    readonly kind: "cells";
    readonly id: string;
    readonly part: Uint8Array;
    readonly isLast: boolean;
  }
  /** Hand over all that is worth it; answered with `cells_kept`. */
  | { readonly kind: "cells_keep" }
  /** Another node seeks these: answered with `cells` of the number, or `cells_lacking`. */
  | { readonly kind: "cells_asked"; readonly ask: number; readonly wish: CellsWish }
  /** What it sought comes from another node, as `cells` by the name; without a header it doesn't. */
  | {
    readonly kind: "cells_moved";
    readonly id: string;
    readonly header?: CellsHeader;
  };

/** What a loaded model is asked, by whomever. `id` is chosen by who asks and unique within one channel. */
export type ModelCommand =
  | {
    readonly kind: "generate";
    readonly id: number;
    readonly request: SequenceRequest;
    /** Tokens that may be on their way or wait unread; the answer pauses there until some are `taken`. */
    readonly unreadTokensMax: number;
  }
  /** The reader of an answer took so many tokens more. */
  | { readonly kind: "taken"; readonly id: number; readonly tokens: number }
  | { readonly kind: "cancel"; readonly id: number }
  | {
    readonly kind: "embed";
    readonly id: number;
    readonly inputs: readonly string[];
    /** An input longer than the context window: cut its tail, or fail with `prompt_too_long`. */
    readonly onLongInput: "truncate" | "refuse";
    /** Wanted are not vectors but how well each input answers this. */
    readonly query?: string;
  }
  | {
    readonly kind: "tokenize";
    readonly id: number;
    readonly text: string;
    readonly addSpecial: boolean;
    /** Of a text with more tokens, at least so many of the first are wanted; default all. */
    readonly tokensWanted?: number;
  }
  | { readonly kind: "detokenize"; readonly id: number; readonly tokens: readonly number[] };

/** Runner to node. One frame may carry the events of many sequences: one `events` frame per decoded batch. */
export type RunnerReply =
  | { readonly kind: "load_progress"; readonly fraction: number }
  /** `confinement`: what keeps the runner from everything else, such as `landlock:7+seccomp`. */
  | {
    readonly kind: "loaded";
    readonly facts: LoadedFacts;
    readonly confinement: string;
    /** What its cells hold for: files, numeric class and shape of the cache, as 32 hex digits; absent = they are not to be kept. */
    readonly cellsKey?: string;
    /** Of this load, to be kept for the next ones. */
    readonly proof?: ExactProof;
  }
  | { readonly kind: "load_failed"; readonly message: string }
  | { readonly kind: "pong" }
  | CellsReply
  | {
    readonly kind: "events";
    readonly events: readonly { readonly id: number; readonly event: SequenceEvent }[];
  }
  | Exclude<ModelReply, { kind: "event" }>;

/** What a runner says of cells that are kept outside. */
export type CellsReply =
  /** A part of cells that are to be kept, in order, instead of those that they begin with. */
  | {
    readonly kind: "cells";
    readonly header: CellsHeader;
    readonly replaces: readonly string[];
    readonly part: Uint8Array;
    readonly at: number;
    /** They were asked for, and are not to be kept; absent = they were not. */
    readonly ask?: number;
  }
  | { readonly kind: "cells_lacking"; readonly ask: number }
  /** For a prompt that begins like one that was computed at these nodes; answered with `cells_moved`. */
  | {
    readonly kind: "cells_sought";
    readonly id: string;
    readonly wish: CellsWish;
    readonly keepers: readonly NodeId[];
    /** What a token of a prompt took here; absent = not measured. Milliseconds. */
    readonly msPerToken?: number;
  }
  | { readonly kind: "cells_wanted"; readonly id: string }
  /** What came is not what was kept. */
  | { readonly kind: "cells_damaged"; readonly id: string }
  | { readonly kind: "cells_kept" };

/** What a loaded model answers, whoever asked. */
export type ModelReply =
  | { readonly kind: "event"; readonly id: number; readonly event: SequenceEvent }
  | {
    readonly kind: "embedded";
    readonly id: number;
    /** One per input, L2-normalised, or of one figure for an input that was ranked; little-endian 32-bit floats. */
    readonly vectors: readonly Uint8Array[];
    readonly promptTokens: number;
  }
  | { readonly kind: "tokenized"; readonly id: number; readonly tokens: readonly number[] }
  | { readonly kind: "detokenized"; readonly id: number; readonly bytes: Uint8Array }
  | {
    readonly kind: "failed";
    readonly id: number;
    readonly error: WireError;
  };
