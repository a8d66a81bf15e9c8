import type { NodeId } from "../../base/mod.ts";

/**
 * How the random draws of one answer are made. All fields are concrete: defaults were applied before (contract 1.7).
 * The draw of the token at answer position `i` depends on `seed` and `i` alone, so that another runner can continue.
 */
export interface SamplerSettings {
  /** 0 = greedy. >= 0. */
  readonly temperature: number;
  /** <= 0 = off. */
  readonly topK: number;
  /** 1 = off; (0, 1]. */
  readonly topP: number;
  /** 0 = off; [0, 1]. */
  readonly minP: number;
  /** 1 = off; (0, 1]. */
  readonly typicalP: number;
  /** Tokens looked back at by the penalties; 0 = off, -1 = the whole context window. */
  readonly repeatLastTokens: number;
  /** 1 = off; > 0. */
  readonly repeatPenalty: number;
  /** 0 = off. */
  readonly presencePenalty: number;
  /** 0 = off. */
  readonly frequencyPenalty: number;
  /** Unsigned 32-bit; already drawn when the caller gave none. */
  readonly seed: number;
}

/** What a prompt is made of: text to be tokenized by the runner, or tokens as they are. */
export type Prompt =
  | {
    readonly kind: "text";
    readonly text: string;
    /** Adds the vocabulary's begin-of-sequence token if the model wants one and the text lacks it. */
    readonly addSpecial: boolean;
    /** Put in front of the text's own tokens: a conversation so far, as `context` brings it back (contract 1.4). */
    readonly tokensBefore?: readonly number[];
  }
  | { readonly kind: "tokens"; readonly tokens: readonly number[] };

/** One answer to be generated in one slot. */
export interface SequenceRequest {
  readonly prompt: Prompt;
  /** Files of images that the prompt has markers or tokens of; default none. */
  readonly images?: readonly Uint8Array[];
  /** Answer tokens another runner already produced: prefilled, counted, never emitted again. Empty for a new answer. */
  readonly emittedTokens: readonly number[];
  readonly sampler: SamplerSettings;
  /** Answer tokens at most, emitted ones included; >= 0. */
  readonly predictTokensMax: number;
  /** Tokens at the front of the prompt that survive truncation and shifting; -1 = the whole prompt. Default 4. */
  readonly keepTokens: number;
  /** A prompt longer than the context window: cut its middle, or fail with `prompt_too_long`. */
  readonly onLongPrompt: "truncate" | "refuse";
  /** A full context window while generating: drop the older half after `keepTokens`, or end with `length`. */
  readonly onFullContext: "shift" | "stop";
  /** GBNF with the root rule `root`; null = unconstrained. */
  readonly grammar: string | null;
  /** Alternatives reported per token: 0..20; -1 = no log probabilities at all. */
  readonly topLogprobs: number;
  /** Whether tokens may be computed ahead, where the model was loaded for it and it pays; default true. No token is another for it. */
  readonly speculates?: boolean;
  /** Texts of control tokens that readers are to see: tags of thinking and calls. Default none. */
  readonly shownTags?: readonly string[];
  /** Other nodes that may hold what was computed of it, best first; default none. */
  readonly cellsAt?: readonly NodeId[];
}

/** One alternative of the distribution before sampling. `logprob` <= 0, natural logarithm. */
export interface TokenLogprob {
  readonly token: number;
  readonly bytes: Uint8Array;
  readonly logprob: number;
}

/** One token of an answer. `bytes` may be a part of a UTF-8 sequence, or empty for a control token. */
export interface AnswerToken {
  readonly token: number;
  readonly bytes: Uint8Array;
  readonly logprob?: number;
  readonly topLogprobs?: readonly TokenLogprob[];
}

/** Why a runner ended an answer. `cancelled` only after the caller's signal. */
export type FinishReason = "end" | "length" | "cancelled";

/** Where the reused part of a prompt came from; `none` = nothing was reused. */
export const PREFIX_SOURCES = ["none", "slot", "memory", "disk", "node"] as const;
/**
 * Why no more of a prompt was reused: all of it was but what has to be computed in any case (`whole`); nothing was cached
 * (`empty`); the prompt goes on otherwise than what was (`differs`); the cells of a longer prefix can't be cut to this one, as with
 * sliding windows (`uncuttable`); they were lost or damaged (`unreadable`); they lie elsewhere, and are too few to be worth moving or
 * find no room (`unmoved`).
 */
export const PREFIX_ENDS = [
  "whole",
  "empty",
  "differs",
  "uncuttable",
  "unreadable",
  "unmoved",
] as const;

/** What of a prompt was computed before, as the runner found it. The reused tokens are the event's own `cachedTokens`. */
export interface PrefixUse {
  /** Leading tokens that some cells held, wherever they were. */
  readonly matchedTokens: number;
  readonly source: typeof PREFIX_SOURCES[number];
  readonly end: typeof PREFIX_ENDS[number];
}

/** Tokens that were computed ahead of an answer because they were said before, and how many of them were then drawn. */
export interface DraftUse {
  readonly drafted: number;
  readonly accepted: number;
}

/** What a slot reports, in order: one `started`, any number of `tokens`, one `finished`. */
export type SequenceEvent =
  | {
    readonly kind: "started";
    /** The prompt as tokenized and possibly truncated, images included: what a journal needs. */
    readonly promptTokens: readonly number[];
    /** Leading tokens whose KV cache was reused. */
    readonly cachedTokens: number;
    /** Absent = the runner does not say. */
    readonly prefix?: PrefixUse;
  }
  | { readonly kind: "tokens"; readonly tokens: readonly AnswerToken[] }
  | {
    readonly kind: "finished";
    readonly reason: FinishReason;
    /** Prefill and decode time in nanoseconds, as the runner measured them. */
    readonly prefillNs: number;
    readonly decodeNs: number;
    /** Absent = nothing was computed ahead, or the runner does not say. */
    readonly drafts?: DraftUse;
  };
