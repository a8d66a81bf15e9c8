import type { ErrorCode, NodeId } from "../../base/mod.ts";
import type {
  AnswerToken,
  DraftUse,
  FinishReason,
  PrefixUse,
  SequenceRequest,
} from "../../protocol/mod.ts";
import type { AnswerEnd, AnswerPiece } from "../generation/mod.ts";

/** A sequence as every runner of one answer is asked for it, but for what was answered already. */
export type AnswerSequence = Omit<SequenceRequest, "emittedTokens">;

/** Facts the driver tells an answer. Each but `abandoned` is what came of the last order that waits. */
export type AnswerFact =
  | { readonly kind: "begun" }
  | {
    readonly kind: "slot_held";
    /** Who computes; undefined = this node, alone. */
    readonly nodeId: NodeId | undefined;
    readonly loadNs: number;
    readonly nowMs: number;
  }
  /** The runner accepted the prompt. */
  | {
    readonly kind: "run_started";
    readonly promptTokens: readonly number[];
    /** Of these, how many the runner need not compute. */
    readonly cachedTokens: number;
    /** Undefined = the runner does not say. */
    readonly prefix?: PrefixUse | undefined;
  }
  | {
    readonly kind: "tokens_came";
    readonly tokens: readonly AnswerToken[];
    readonly nowMs: number;
  }
  | {
    readonly kind: "run_finished";
    readonly reason: FinishReason;
    readonly prefillNs: number;
    readonly decodeNs: number;
    /** Undefined = none were computed ahead, or the runner does not say. */
    readonly drafts?: DraftUse | undefined;
  }
  | {
    readonly kind: "prompt_shortened";
    /** Undefined = nothing shorter exists. */
    readonly shorter: Pick<SequenceRequest, "prompt" | "images" | "onLongPrompt"> | undefined;
  }
  /** The order came to nothing. `code` undefined = for a reason that no other runner would change, a client that left included. */
  | { readonly kind: "failed"; readonly code: ErrorCode | undefined }
  /** What was told up to here is told again by another driver: whoever computed goes on with others, or is gone. */
  | { readonly kind: "handed_over" }
  /** Nobody reads any more; may come at any time. */
  | { readonly kind: "abandoned" };

/** Orders an answer gives, to be carried out in this order. The last one of a step is waited for, if it can be. */
export type AnswerOrder =
  /** Waits for `slot_held` or `failed`. */
  | {
    readonly kind: "acquire_slot";
    readonly standing: "fresh" | "resumed";
    readonly avoid: readonly NodeId[];
    /** Estimated where no runner has counted them. */
    readonly promptTokens: number;
    /** To be waited before; absent = at once. Milliseconds. */
    readonly afterMs?: number;
  }
  /** Waits for `run_started` or `failed`. */
  | { readonly kind: "start_run"; readonly request: SequenceRequest }
  /** Waits for `tokens_came`, `run_finished`, or `failed`. */
  | { readonly kind: "read_on" }
  /** With the tokens of the loaded model; waits for `prompt_shortened` or `failed`. */
  | { readonly kind: "shorten_prompt" }
  /** `tokens` are those that the pieces were read from, for their probabilities. */
  | {
    readonly kind: "show";
    readonly pieces: readonly AnswerPiece[];
    readonly tokens: readonly AnswerToken[];
  }
  /** Cut the run; the slot goes back once the runner says that it is free. */
  | { readonly kind: "leave_run" }
  /** The runner is gone, and the slot with it. */
  | {
    readonly kind: "report_loss";
    readonly nodeId: NodeId | undefined;
    readonly decision: "resume" | "give_up";
    /** Answer tokens so far. */
    readonly tokens: number;
  }
  /** The answer is whole; nothing follows. */
  | { readonly kind: "end"; readonly report: AnswerReport }
  /** The answer fails; nothing follows. `cause` = with what the last `failed` was about. */
  | { readonly kind: "fail"; readonly why: "cause" | "lost_too_often" | "prompt_too_long" };

/** Figures of a whole answer. Durations in nanoseconds, counts of tokens. */
export interface AnswerReport {
  readonly end: AnswerEnd;
  /** Which one, where `end` is `stop_string`. */
  readonly stopString: string | undefined;
  readonly loadNs: number;
  readonly promptTokens: number;
  /** Of the first run's prompt, what was computed before. */
  readonly cachedTokens: number;
  /** Of the first run. */
  readonly prefix: PrefixUse | undefined;
  readonly promptNs: number;
  readonly answerTokens: number;
  readonly answerNs: number;
  /** Of all runs that said it; undefined = none did. */
  readonly drafts: DraftUse | undefined;
  /** The last run's prompt and answer. */
  readonly context: readonly number[];
}
