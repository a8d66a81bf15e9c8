/**
 * `auto`: exact where it costs nothing worth having; `on`: exact or not at all; `off`: as fast as can be.
 */
export type ExactWish = "auto" | "on" | "off";

/**
 * How a model is computed, from cheapest to dearest. `plain`: as is; `short`: few rows of one sequence in a batch;
 * `unpacked`: these, and weights as they lie in the file; `paired`: never one row alone; `single_thread`: all of it.
 */
export type ExactPolicy =
  | "plain"
  | "short"
  | "unpacked"
  | "paired"
  | "unpacked_paired"
  | "single_thread";

/** Numbers of rows that drafts are measured with, at most. */
export const DRAFT_COSTS_MAX = 16;

/** What was found out about a model on a machine. */
export interface ExactProof {
  /** Build, instruction set, device, number formats and threads of the proof: it holds for equal ones alone. */
  readonly of: string;
  /** The cheapest policy whose logits don't depend on the shape of a batch; undefined = none. */
  readonly policy?: ExactPolicy;
  /** Why there is none; "" where there is one. */
  readonly reason: string;
  /** Whether every policy was tried that could be; else it was given up because it would have taken too long. */
  readonly isFinished: boolean;
  /** Whether one thread gives the same bits as the number in use. */
  readonly anyThreads: boolean;
  /** Speed under the policy ÷ speed under `plain`, of a prompt and of an answer. */
  readonly prefillRatio: number;
  readonly decodeRatio: number;
  /**
   * What a batch of several rows of one answer takes, in batches of one row: one for each number of rows that drafts have. Absent =
   * their logits may be others, or nobody has measured it.
   */
  readonly draftCosts?: readonly number[];
  /** What it took, in milliseconds. */
  readonly proofMs: number;
}

/** Whether a loaded copy gives the same answer whatever is computed beside and before it. */
export interface Exactness {
  readonly isExact: boolean;
  /** False where it was proven that no policy makes it exact. */
  readonly isPossible: boolean;
  readonly policy: ExactPolicy;
  /** Why it is not exact, fit to be shown; "" when it is. */
  readonly reason: string;
  /** As {@link ExactProof} has them; 1 where nothing was measured. */
  readonly prefillRatio: number;
  readonly decodeRatio: number;
  /** 0 = proven at an earlier load. */
  readonly proofMs: number;
}

/** The `reason` of a copy that nobody has looked at yet. */
export const UNPROVEN_REASON = "it is not proven on this machine yet";
