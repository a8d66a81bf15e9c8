import type { ExactPolicy } from "../../protocol/mod.ts";

/** What a policy asks of how a model is loaded and computed. */
export interface PolicyTraits {
  /** Rows of one sequence in a batch at most; Infinity = as many as fit. */
  readonly rowsMax: number;
  /** Every sequence has an even number of rows in a batch, and two outputs where it has one. */
  readonly pairsRows: boolean;
  /** Whether weights may be laid out anew for kernels that are faster and depend on the number of columns. */
  readonly repacks: boolean;
  /** Whether only one thread computes. */
  readonly isSingleThread: boolean;
  /** Whether cells outside a sliding window are kept, so that a cell's place depends on its position alone. */
  readonly keepsAllCells: boolean;
}

/**
 * Flash attention computes 64 rows and more of one sequence by another algorithm. A multiple of 8 below that was the
 * fastest number: 0.97 of the speed of 512, where 63 had 0.90 (SmolLM2-135M Q4_1, one thread).
 */
const SHORT_ROWS = 56;

const PLAIN: PolicyTraits = {
  rowsMax: Infinity,
  pairsRows: false,
  repacks: true,
  isSingleThread: false,
  keepsAllCells: false,
};
const SHORT: PolicyTraits = { ...PLAIN, rowsMax: SHORT_ROWS, keepsAllCells: true };

/** From cheapest to dearest: what costs only prompts comes before what costs every token. */
const POLICIES: Readonly<Record<ExactPolicy, PolicyTraits>> = {
  plain: PLAIN,
  short: SHORT,
  unpacked: { ...SHORT, repacks: false },
  paired: { ...SHORT, pairsRows: true },
  unpacked_paired: { ...SHORT, repacks: false, pairsRows: true },
  single_thread: { ...SHORT, repacks: false, pairsRows: true, isSingleThread: true },
};

/** In the order in which they are tried; one thread alone has nothing to give up. */
export function policyLadder(threads: number): readonly ExactPolicy[] {
  const ladder = Object.keys(POLICIES) as ExactPolicy[]; // The keys of a record over that type.
  return ladder.filter((policy) => threads > 1 || !POLICIES[policy].isSingleThread);
}

/** What a policy asks for. */
export function traitsOf(policy: ExactPolicy): PolicyTraits {
  return POLICIES[policy];
}
