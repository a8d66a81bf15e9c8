import type { ExactProof } from "../../protocol/mod.ts";
import { policyLadder, type PolicyTraits, traitsOf } from "./policies.ts";
import { Proof, type ProofEnd } from "./proof.ts";
import { type Pace, timed } from "./pace.ts";
import type { ProofStand } from "./stand.ts";

/** What finding a policy takes. */
export interface PolicySearch {
  /** Opens a stand that computes as the policy asks. Only one is open at a time. */
  readonly open: (traits: PolicyTraits) => Promise<ProofStand>;
  /** Threads that answers are computed with. */
  readonly threads: number;
  /** Whether a policy of such a price is wanted: what costs more need not be proven. */
  readonly isWorth: (price: Price) => boolean;
  /** Milliseconds; a proof that would take longer is given up. Infinity = none is too long. */
  readonly proofMsMax: number;
  /** Milliseconds, monotonic. */
  readonly nowMs: () => number;
  /** Milliseconds that computing has taken so far, whatever else the machine does. */
  readonly spentMs: () => number;
}

/** Speed under a policy ÷ speed under `plain`. */
export type Price = Pick<ExactProof, "prefillRatio" | "decodeRatio">;

/** What is found, without what it holds for. */
export type Found = Omit<ExactProof, "of">;

const FREE: Price = { prefillRatio: 1, decodeRatio: 1 };

/** What a first stretch has computed, about. */
const FIRST_STRETCH_TOKENS = 500;

/** The cheapest policy that is exact, and what it costs. */
export async function findPolicy(search: PolicySearch): Promise<Found> {
  const startedMs = search.nowMs();
  const found = await tryAll(search, startedMs);
  return { ...found, proofMs: Math.round(search.nowMs() - startedMs) };
}

type Outcome = Omit<Found, "proofMs">;

async function tryAll(search: PolicySearch, startedMs: number): Promise<Outcome> {
  const tried: string[] = [];
  let plain: Pace | undefined;
  for (const policy of policyLadder(search.threads)) {
    const traits = traitsOf(policy);
    const stand = await search.open(traits);
    try {
      const { end, ...rest } = attempt(traits, stand, { search, startedMs, plain });
      if (end === "exact") return { policy, reason: "", ...rest };
      tried.push(`${policy}: ${WORDS[end]}`);
      if (end === "too_long") return { ...none(tried), isFinished: false };
      // Measured while the weights are still laid out as `plain` wants them.
      if (policy === "short") plain = timed(stand, [traitsOf("plain")], search)[0];
    } finally {
      stand.close();
    }
  }
  return { ...none(tried), isFinished: true };
}

type Attempt =
  & Price
  & Pick<Found, "isFinished" | "anyThreads" | "draftCosts">
  & { readonly end: ProofEnd };

/** Proves as much as is worth it. */
function attempt(
  traits: PolicyTraits,
  stand: ProofStand,
  by: {
    readonly search: PolicySearch;
    readonly startedMs: number;
    readonly plain: Pace | undefined;
  },
): Attempt {
  const { threads, isWorth, proofMsMax, nowMs } = by.search;
  const beganMs = nowMs();
  const mayGoOn = (tokens: number) => {
    const tokenMs = (nowMs() - beganMs) / FIRST_STRETCH_TOKENS;
    return nowMs() - by.startedMs + tokens * tokenMs <= proofMsMax;
  };
  const proof = new Proof(stand, { traits, threads, mayGoOn });
  const failed = { ...FREE, isFinished: true, anyThreads: false };
  const first = proof.runFirst();
  if (first !== "exact") return { ...failed, end: first };
  const price = traits === traitsOf("plain") ? FREE : priceOf(traits, stand, by);
  if (!isWorth(price)) return { ...price, end: "exact", isFinished: false, anyThreads: false };
  const end = proof.runRest();
  if (end !== "exact") return { ...failed, end };
  const isAlone = threads === 1 || traits.isSingleThread;
  const anyThreads = isAlone || proof.holdsWithOneThread();
  const draftCosts = proof.draftCosts(by.search.spentMs);
  return { ...price, end, isFinished: true, anyThreads, ...draftCosts && { draftCosts } };
}

function none(tried: readonly string[]) {
  const reason = `no way to compute it was found exact (${tried.join("; ")})`;
  return { reason, anyThreads: false, ...FREE };
}

const WORDS: Readonly<Record<Exclude<ProofEnd, "exact">, string>> = {
  differs: "its logits depend on the batch",
  impossible: "its memory can't be cut",
  too_long: "to prove it would take too long",
};

/** Measured by turns where both compute the same weights. */
function priceOf(
  traits: PolicyTraits,
  stand: ProofStand,
  by: { readonly plain: Pace | undefined; readonly search: PolicySearch },
): Price {
  const both = traits.repacks ? [traits, traitsOf("plain")] : [traits];
  const [own, beside] = timed(stand, both, by.search);
  const plain = beside ?? by.plain;
  if (own === undefined || plain === undefined) return FREE;
  // A lone row is computed in the same way then.
  const isSame = traits.repacks && !traits.pairsRows && !traits.isSingleThread;
  const decodeRatio = isSame ? 1 : plain.decodeMs / own.decodeMs;
  return { prefillRatio: plain.prefillMs / own.prefillMs, decodeRatio };
}
