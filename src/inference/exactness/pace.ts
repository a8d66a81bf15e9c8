import type { PolicyTraits } from "./policies.ts";
import { type ProofStand, Walk } from "./stand.ts";

/** Tokens of one timed prompt, and of the answer behind it. */
const PROMPT_TOKENS = 112;
const ANSWER_TOKENS = 4;
const ROUNDS = 2;

/** Milliseconds of a prompt and of one answer token, the least of all rounds. */
export interface Pace {
  readonly prefillMs: number;
  readonly decodeMs: number;
}

/** How fast each of some policies computes, by turns, so that they meet the same machine. */
export function timed(
  stand: ProofStand,
  all: readonly PolicyTraits[],
  { spentMs }: { readonly spentMs: () => number },
): readonly Pace[] {
  const walk = new Walk(stand, 0);
  const end = Math.max(1, Math.min(PROMPT_TOKENS, stand.cells - ANSWER_TOKENS));
  const spend = (traits: PolicyTraits, to: number) => {
    const beganMs = spentMs();
    while (walk.computed < to) {
      const rows = walk.next(to, Infinity, traits);
      if (rows === undefined) return Infinity;
      stand.compute([rows]);
    }
    return spentMs() - beganMs;
  };
  const paces = all.map(() => ({ prefillMs: Infinity, decodeMs: Infinity }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, pace] of paces.entries()) {
      const traits = all[index];
      if (traits === undefined || !walk.rewind(0)) continue;
      pace.prefillMs = Math.min(pace.prefillMs, spend(traits, end));
      for (let to = end + 1; to <= Math.min(end + ANSWER_TOKENS, stand.cells); to++) {
        pace.decodeMs = Math.min(pace.decodeMs, spend(traits, to));
      }
    }
  }
  return paces;
}
