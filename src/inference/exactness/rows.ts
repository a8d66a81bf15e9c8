import type { PolicyTraits } from "./policies.ts";

/** Of one sequence. */
export interface RowsAsked {
  /** Tokens whose cells exist. */
  readonly computed: number;
  /** Tokens that are to be computed in all, >= 1. */
  readonly pending: number;
  /** Of these in the next batch at most. */
  readonly count: number;
}

/**
 * The positions a sequence puts into the next batch: [from, to). In pairs, one too many waits for the next batch, and a
 * last odd one takes the position before it along, whose cell must be given up first. A window's very first token has
 * nothing to pair with.
 */
export function takeRows(
  { computed, pending, count }: RowsAsked,
  { pairsRows }: Pick<PolicyTraits, "pairsRows">,
): { readonly from: number; readonly to: number } {
  const to = computed + count;
  if (!pairsRows || count % 2 === 0) return { from: computed, to };
  if (computed > 0 && (count === pending || count === 1)) return { from: computed - 1, to };
  return computed === 0 && pending === 1 ? { from: 0, to } : { from: computed, to: to - 1 };
}
