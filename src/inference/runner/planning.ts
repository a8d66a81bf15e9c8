import type { PrefixUse } from "../../protocol/mod.ts";
import { imageStart } from "./window.ts";

/** What a slot wants of the next batch. */
export interface SlotDemand {
  readonly slot: number;
  /** Tokens whose KV cache is still to be computed, >= 1. */
  readonly pendingTokens: number;
  readonly phase: "prefill" | "decode";
  /** Smaller is older. */
  readonly order: number;
}

/** How large a batch may be, in tokens. */
export interface BatchLimits {
  readonly batchTokens: number;
  /** Prompt tokens at most while anybody else has work: it bounds how long others wait for this batch. */
  readonly sharedPrefillTokens: number;
  /** Tokens of one sequence at most; default as many as fit. */
  readonly sequenceTokens?: number;
}

/**
 * How many tokens each slot puts into the next batch. Every answer being written gets its one token first, so that
 * prompts can't starve it; the rest goes to prompts, oldest first, so that the first of many starts soon.
 */
export function planBatch(
  demands: readonly SlotDemand[],
  limits: BatchLimits,
): ReadonlyMap<number, number> {
  const plan = new Map<number, number>();
  let room = limits.batchTokens;
  for (const { slot, phase } of demands) {
    if (phase !== "decode" || room === 0) continue;
    plan.set(slot, 1);
    room--;
  }
  if (demands.length > 1) room = Math.min(room, limits.sharedPrefillTokens);
  const prompts = demands.filter(({ phase }) => phase === "prefill");
  for (const { slot, pendingTokens } of prompts.toSorted((a, b) => a.order - b.order)) {
    const count = Math.min(room, pendingTokens, limits.sequenceTokens ?? Infinity);
    if (count === 0) break;
    plan.set(slot, count);
    room -= count;
  }
  return plan;
}

/** A slot and the tokens whose KV cache it holds. */
export interface SlotCache {
  readonly slot: number;
  readonly isBusy: boolean;
  readonly cachedTokens: readonly number[];
  /** What it will hold once its prompt is computed, `cachedTokens` included; default nothing more. */
  readonly promisedTokens?: readonly number[];
  /** When it was last used; smaller is longer ago. */
  readonly usedOrder: number;
}

/** Where a prompt goes and what of it needs no prefill. */
export interface SlotChoice {
  readonly slot: number;
  readonly sharedTokens: number;
  /** Another slot, whose whole cache is to be copied first because it shares more. */
  readonly copyFrom?: number;
}

/** A copy moves a slot's whole cache; below this many tokens saved, prefilling them is as fast. */
export const COPY_SAVES_TOKENS_MIN = 64;

/**
 * The idle slot for a prompt; undefined when all are busy. The longest shared prefix wins if it is worth its place:
 * half of the slot's cache or half of the prompt. Otherwise an empty slot or the one unused for longest gives way, so
 * that a common template at the front of all prompts does not let one conversation evict the other. Ties go to the
 * lowest slot: batches of neighbouring slots are computed together.
 */
export function chooseSlot(
  slots: readonly SlotCache[],
  prompt: readonly number[],
): SlotChoice | undefined {
  const shared = slots.map((slot) => ({ ...slot, sharedTokens: sharedPrefix(slot, prompt) }));
  const idle = shared.filter((slot) => !slot.isBusy);
  const best = longest(idle);
  if (best === undefined) return undefined;
  const isWorth = best.sharedTokens * 2 >= best.cachedTokens.length ||
    best.sharedTokens * 2 >= prompt.length;
  const place = best.sharedTokens > 0 && isWorth ? best : leastUsed(idle) ?? best;
  const source = longest(shared);
  const gain = (source?.sharedTokens ?? 0) - place.sharedTokens;
  const choice = { slot: place.slot, sharedTokens: place.sharedTokens };
  if (source === undefined || gain < COPY_SAVES_TOKENS_MIN) return choice;
  return { slot: place.slot, sharedTokens: source.sharedTokens, copyFrom: source.slot };
}

/** What a prompt waits for: a slot, and how many tokens it must have computed. */
export interface AwaitedPrefix {
  readonly slot: number;
  readonly tokens: number;
}

/**
 * The prefix that is worth waiting for because another answer is about to compute it; undefined = none. Prompts are computed
 * oldest first, so that whoever computed the same tokens himself would have them no sooner.
 *
 * @param keptTokens Leading tokens of the prompt that are kept outside the slots.
 */
export function awaitedPrefix(
  slots: readonly SlotCache[],
  prompt: readonly number[],
  keptTokens = 0,
): AwaitedPrefix | undefined {
  const inSlots = longest(slots.map((slot) => ({ sharedTokens: sharedPrefix(slot, prompt) })));
  const ready = Math.max(keptTokens, inSlots?.sharedTokens ?? 0);
  const promised = longest(slots.map(({ slot, promisedTokens: cachedTokens = [] }) => ({
    slot,
    sharedTokens: sharedPrefix({ cachedTokens }, prompt),
  })));
  const tokens = promised?.sharedTokens ?? 0;
  if (promised === undefined || tokens - ready < COPY_SAVES_TOKENS_MIN) {
    return undefined;
  }
  return { slot: promised.slot, tokens };
}

/** How a prompt was begun. */
export interface BegunPrompt {
  readonly promptTokens: number;
  /** Leading tokens that some cells held, be they in slots, kept, or outside. */
  readonly matchedTokens: number;
  readonly reusedTokens: number;
  /** From where. */
  readonly from: Exclude<PrefixUse["source"], "none">;
  readonly isAnythingCached: boolean;
  /** Cells that were there could not be used. */
  readonly isUnreadable: boolean;
  /** Cells could not be cut, or can't be. */
  readonly isUncuttable: boolean;
}

/** What of a prompt was reused, and why no more; the last token is computed in any case. */
export function prefixUse(begun: BegunPrompt): PrefixUse {
  const { matchedTokens, reusedTokens, from } = begun;
  return {
    matchedTokens: Math.max(matchedTokens, reusedTokens),
    source: reusedTokens > 0 ? from : "none",
    end: prefixEnd(begun),
  };
}

function prefixEnd(begun: BegunPrompt): PrefixUse["end"] {
  const { promptTokens, matchedTokens, reusedTokens } = begun;
  if (reusedTokens >= promptTokens - 1) return "whole";
  if (matchedTokens <= reusedTokens) return begun.isAnythingCached ? "differs" : "empty";
  return begun.isUnreadable ? "unreadable" : begun.isUncuttable ? "uncuttable" : "unmoved";
}

/** Leading tokens of a prompt that some slot has computed. */
export function matchedTokens(slots: readonly SlotCache[], prompt: readonly number[]): number {
  return Math.max(0, ...slots.map((slot) => sharedPrefix(slot, prompt)));
}

/**
 * Leading tokens in common, whole images alone. The prompt's last token never counts: it must be computed to have an output.
 */
function sharedPrefix(
  slot: Pick<SlotCache, "cachedTokens">,
  prompt: readonly number[],
): number {
  const limit = Math.min(slot.cachedTokens.length, prompt.length - 1);
  let count = 0;
  while (count < limit && slot.cachedTokens[count] === prompt[count]) count++;
  return imageStart(prompt, count);
}

function longest<T extends { sharedTokens: number }>(slots: readonly T[]): T | undefined {
  let best: T | undefined;
  for (const slot of slots) {
    if (best === undefined || slot.sharedTokens > best.sharedTokens) best = slot;
  }
  return best;
}

function leastUsed<T extends SlotCache>(slots: readonly T[]): T | undefined {
  let least: T | undefined;
  for (const slot of slots) {
    const age = slot.cachedTokens.length === 0 ? -1 : slot.usedOrder;
    const leastAge = least === undefined
      ? Infinity
      : least.cachedTokens.length === 0
      ? -1
      : least.usedOrder;
    if (age < leastAge) least = slot;
  }
  return least;
}
