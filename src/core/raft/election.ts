import { assert, type NodeId } from "../../base/mod.ts";
import type { EntryId, VoteRequest, VoteResponse } from "../../protocol/mod.ts";
import { RAFT_NUMBER_MAX } from "./senders.ts";
import { appendProposals, broadcastAppends, sendAppend } from "./replication.ts";
import { ACCEPTED, type RaftState, type StepOutcome } from "./state.ts";

/** What a campaign asks for: whether it could win, votes, or votes in the name of the leader that gives up. */
export type CampaignKind = "pre_election" | "election" | "transfer";

/** Starts an election unless this node leads, has no vote to win, or a membership change waits to be applied. */
export function startCampaign(raft: RaftState, kind: CampaignKind): void {
  if (raft.role === "leader") return;
  if (!raft.promotable) {
    raft.note({ kind: "campaign_refused", reason: "not_a_voter" });
    return;
  }
  // One more could be written, but the next not; no honest group comes near.
  if (raft.term >= RAFT_NUMBER_MAX) {
    raft.note({ kind: "campaign_refused", reason: "terms_used_up" });
    return;
  }
  // The committed configuration may be another than the one this node would count votes by.
  if (hasUnappliedChange(raft)) {
    raft.note({ kind: "campaign_refused", reason: "change_unapplied" });
    return;
  }
  campaign(raft, kind);
}

/** Bytes of entries looked through at a time. */
const SCAN_BYTES = 1024 * 1024;

function hasUnappliedChange(raft: RaftState): boolean {
  let low = raft.log.applied + 1;
  const high = raft.log.committed + 1;
  while (low < high) {
    const entries = raft.log.slice(low, high, SCAN_BYTES) ?? [];
    if (entries.length === 0) return false;
    if (entries.some((entry) => entry.kind === "group_change")) return true;
    low += entries.length;
  }
  return false;
}

function campaign(raft: RaftState, kind: CampaignKind): void {
  const preVote = kind === "pre_election";
  if (preVote) raft.becomePreCandidate();
  else raft.becomeCandidate();
  // Pre-votes are asked for the term that would follow, without entering it.
  const term = preVote ? raft.term + 1 : raft.term;
  const { last, lastCommitted: committed } = raft.log;
  for (const to of raft.peers.voters) {
    const letter = { from: raft.id, to, term, preVote, committed };
    if (to === raft.id) {
      // The own vote counts like any other only once it is durable.
      raft.send({ ...letter, kind: "vote_response", granted: true });
    } else {
      const transfer = kind === "transfer";
      raft.send({ ...letter, kind: "vote_request", last, transfer });
    }
  }
}

/**
 * Takes over what the other side of an election knows to be committed: that an entry is committed holds for everyone
 * who has it. Otherwise those who have not heard that a change is committed could need the vote of someone who has left
 * by it, whose log is longer than theirs and who may not campaign himself.
 */
export function learnCommitted(raft: RaftState, committed: EntryId): void {
  if (raft.role === "leader" || !raft.log.has(committed)) return;
  raft.log.commitTo(committed.index);
  // Whatever it counts, it counts by a configuration that is replaced already.
  const isCampaign = raft.role !== "follower";
  if (isCampaign && hasUnappliedChange(raft)) raft.becomeFollower(raft.term, undefined);
}

/** Any node is asked for its vote, learners too: the asker may know of a promotion that this node does not. */
export function onVoteRequest(raft: RaftState, message: VoteRequest): StepOutcome {
  const { from, preVote } = message;
  const free = raft.vote === from ||
    (raft.vote === undefined && raft.leader === undefined) ||
    (preVote && message.term > raft.term);
  const granted = free && raft.log.isUpToDate(message.last);
  // A granted pre-vote names the term it is for, which may be above this node's. A refusal names the own term, so
  // that a candidate from the past catches up.
  const term = granted ? message.term : raft.term;
  const { lastCommitted: committed } = raft.log;
  raft.send({ kind: "vote_response", from: raft.id, to: from, term, preVote, granted, committed });
  if (granted && !preVote) {
    const { vote } = raft;
    assert(vote === undefined || vote === from, "One vote per term", { term, vote, from });
    raft.electionElapsedTicks = 0;
    raft.vote = from;
  }
  return ACCEPTED;
}

/** A candidate counts a vote. */
export function onVoteResponse(raft: RaftState, message: VoteResponse): StepOutcome {
  switch (raft.peers.countVote(message.from, message.granted)) {
    case "won":
      if (raft.role === "pre_candidate") campaign(raft, "election");
      else lead(raft);
      return ACCEPTED;
    case "lost":
      raft.becomeFollower(raft.term, undefined);
      return ACCEPTED;
    case "pending":
      return ACCEPTED;
  }
}

function lead(raft: RaftState): void {
  raft.becomeLeader();
  // Commits everything before it, too (paper, 5.4.2 and section 8). Weighs nothing, so it can't be refused.
  appendProposals(raft, [{ kind: "command", data: new Uint8Array() }]);
  broadcastAppends(raft);
}

/** The leader is asked to make `target` lead (thesis, 3.10). */
export function startTransfer(raft: RaftState, target: NodeId): StepOutcome {
  const progress = raft.peers.find(target);
  // Who has no vote can't win an election; its campaign would only disturb.
  if (progress === undefined || progress.isLearner) return ACCEPTED;
  if (raft.transferTarget === target) return ACCEPTED;
  if (raft.transferTarget !== undefined) raft.abortTransfer();
  if (target === raft.id) return ACCEPTED;
  // Time out one election timeout from now.
  raft.electionElapsedTicks = 0;
  raft.transferTarget = target;
  raft.note({ kind: "transfer_started", target });
  if (progress.match === raft.log.lastIndex) finishTransfer(raft, target);
  else sendAppend(raft, target, { evenEmpty: true });
  return ACCEPTED;
}

/** The target holds everything: it may campaign, and its voters need not wait for this leader to be silent. */
export function finishTransfer(raft: RaftState, target: NodeId): void {
  raft.send({ kind: "timeout_now", from: raft.id, to: target, term: raft.term });
}
