import { isImageToken, type SequenceRequest } from "../../protocol/mod.ts";
import type { Drafter } from "../../core/speculation/mod.ts";
import type { AnswerImages, PromptPart } from "../images/mod.ts";
import type { Sampler } from "./sampler.ts";

/** An answer that waits for a slot or is being written in one. */
export interface RunningAnswer {
  readonly id: number;
  readonly request: SequenceRequest;
  readonly images: AnswerImages | undefined;
  /** As it entered the window: tokenized, and cut if it was too long. */
  readonly promptTokens: readonly number[];
  /** Prompt and emitted tokens after the shifts they caused. */
  readonly windowTokens: readonly number[];
  /** Control tokens that readers see. */
  readonly shownTokens: ReadonlySet<number>;
  readonly sampler: Sampler;
  /** Answer tokens so far, those of earlier runners included. */
  emittedCount: number;
  /** Tokens that may still be written before some are read; at 0 the answer pauses. */
  unreadTokensLeft: number;
  isCancelled: boolean;
  /** What it waits for while it has no slot. */
  awaited?: AwaitedCells | undefined;
  /** Whether it waits for cells from outside; absent = nobody has looked. */
  fetching?: "coming" | "over";
  /** Whether such cells came to nothing, or those that were kept here. */
  isUnreadable: boolean;
  /** Leading tokens that cells held when it was first looked at. */
  matchedTokens: number;
  /** Whether other nodes were asked, too. */
  isSought?: boolean;
  /** What it may go on with; absent = it was not computed alone yet, or nothing may be computed ahead of it. */
  drafter?: Drafter;
  /** Tokens that were computed ahead of it, and those of them that were drawn. */
  draftedTokens: number;
  acceptedTokens: number;
  /** Milliseconds of `performance.now()`; 0 = not yet. */
  startedMs: number;
  firstTokenMs: number;
}

/** A prefix that another answer is about to compute. */
export interface AwaitedCells {
  readonly slot: Slot;
  readonly by: RunningAnswer | undefined;
  /** Tokens of the slot's window. */
  readonly tokens: number;
}

/** Whether it is still about to be computed. */
export function isAwaited(awaited: AwaitedCells | undefined): awaited is AwaitedCells {
  if (awaited === undefined) return false;
  const { slot, by, tokens } = awaited;
  return slot.answer === by && slot.isWriting && slot.computed < tokens;
}

/** One sequence of the context: what its KV cache holds and who uses it. */
export class Slot {
  readonly index: number;
  /** Tokens by position. Invariant: the KV cache of the first `computed` exists, that of the others does not. */
  readonly window: number[] = [];
  computed = 0;
  /** By how many the positions of the computed tokens are fewer than they: images may lie in a grid. */
  savedPositions = 0;
  /** Where others wait for its window to be computed up to: they copy it before it goes on. Infinity = nobody does. */
  awaitedTokens = Infinity;
  answer: RunningAnswer | undefined;
  usedOrder = 0;

  constructor(index: number) {
    this.index = index;
  }

  /** How many of the pending tokens are text up to the next image. */
  get pendingText(): number {
    const { window, computed } = this;
    let end = computed;
    while (end < window.length && !isImageToken(window[end] ?? 0)) end++;
    return end - computed;
  }

  /** How many of these go into the next batch at most. */
  get nextText(): number {
    return Math.min(this.pendingText, this.awaitedTokens - this.computed);
  }

  /** What of an image comes next; undefined when it is text. */
  get pendingImage(): PromptPart | undefined {
    return this.answer?.images?.partOf(this.window[this.computed] ?? 0);
  }

  get pendingTokens(): number {
    return this.window.length - this.computed;
  }

  /** Whether it has an answer that may go on: one whose reader is behind waits with its cache kept. */
  get isWriting(): boolean {
    return this.answer !== undefined && this.answer.unreadTokensLeft > 0;
  }

  /** Takes an answer whose first `shared` window tokens are computed already. */
  begin(answer: RunningAnswer, shared: number): void {
    this.answer = answer;
    this.window.length = 0;
    for (const token of answer.windowTokens) this.window.push(token);
    this.computed = shared;
    this.savedPositions = answer.images?.savedPositions(answer.windowTokens, shared) ?? 0;
  }

  /** Lets go of the answer; what is computed stays for the next one. */
  end(usedOrder: number): void {
    this.answer = undefined;
    this.window.length = this.computed;
    this.usedOrder = usedOrder;
  }
}
