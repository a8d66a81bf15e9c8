import type { NodeId } from "../../base/mod.ts";

/** How an election stands: `pending` while the missing votes could still decide it. */
export type VoteResult = "won" | "lost" | "pending";

/**
 * Two sets of voters whose majorities are both needed (paper, section 6). Outside a membership change `outgoing` is
 * empty, and an empty set agrees to everything.
 */
export interface JointVoters {
  readonly incoming: ReadonlySet<NodeId>;
  readonly outgoing: ReadonlySet<NodeId>;
}

/** The smallest number of `voterCount` nodes of which any two groups overlap. */
export function majorityOf(voterCount: number): number {
  return Math.floor(voterCount / 2) + 1;
}

/** Whether those voters that are there could decide anything. */
export function couldDecide(
  halves: { readonly voters: readonly NodeId[]; readonly votersOutgoing: readonly NodeId[] },
  isThere: (voter: NodeId) => boolean,
): boolean {
  return [halves.voters, halves.votersOutgoing].every((half) =>
    half.length === 0 || half.filter(isThere).length >= majorityOf(half.length)
  );
}

/**
 * The largest index that a majority has acknowledged; Infinity for no voters, so that an empty half never holds the
 * other back. `acknowledged` returns undefined (counted as 0) for a voter that was never heard.
 */
export function majorityIndex(
  voters: ReadonlySet<NodeId>,
  acknowledged: (voter: NodeId) => number | undefined,
): number {
  if (voters.size === 0) return Infinity;
  const indexes = [...voters].map((voter) => acknowledged(voter) ?? 0);
  indexes.sort((left, right) => left - right);
  return indexes[voters.size - majorityOf(voters.size)] ?? 0;
}

/** The largest index that majorities of both halves have acknowledged. */
export function jointIndex(
  voters: JointVoters,
  acknowledged: (voter: NodeId) => number | undefined,
): number {
  return Math.min(
    majorityIndex(voters.incoming, acknowledged),
    majorityIndex(voters.outgoing, acknowledged),
  );
}

/** Counts one half's votes; `votes` lacks who has not answered. */
export function majorityVote(
  voters: ReadonlySet<NodeId>,
  votes: ReadonlyMap<NodeId, boolean>,
): VoteResult {
  if (voters.size === 0) return "won";
  let granted = 0;
  let missing = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === undefined) missing++;
    else if (vote) granted++;
  }
  const needed = majorityOf(voters.size);
  if (granted >= needed) return "won";
  return granted + missing >= needed ? "pending" : "lost";
}

/** Counts both halves: won only when both are, lost as soon as one is. */
export function jointVote(
  voters: JointVoters,
  votes: ReadonlyMap<NodeId, boolean>,
): VoteResult {
  const incoming = majorityVote(voters.incoming, votes);
  const outgoing = majorityVote(voters.outgoing, votes);
  if (incoming === outgoing) return incoming;
  return incoming === "lost" || outgoing === "lost" ? "lost" : "pending";
}
