import type { NodeId } from "../../base/mod.ts";
import type { RaftMessage } from "../../protocol/mod.ts";
import { votersBy } from "../voting/mod.ts";
import { ACCEPTED, type RaftState, refuse, type StepOutcome } from "./state.ts";

/**
 * The farthest a message may be ahead in terms. Terms rise by one for each election, so a node that was away for a year
 * lags less; a peer that lies could use up all of them at once.
 */
const TERM_JUMP_MAX = 1_000_000;
/** No term or index above it is obeyed or made: what counts on from it can still be written and read back. */
export const RAFT_NUMBER_MAX = 2 ** 52;
/** Bytes of entries looked through at a time. */
const SCAN_BYTES = 1024 * 1024;
/** Election timeouts after which voters that say nothing no longer stand in the way of others' word. */
const SILENCE_ELECTIONS = 10;

type Kind = RaftMessage["kind"];

/** Said by candidates and leaders, and so by voters alone. */
const VOTERS_KINDS: ReadonlySet<Kind> = new Set<Kind>([
  "append_request",
  "heartbeat_request",
  "snapshot_request",
  "vote_request",
  "vote_response",
  "timeout_now",
  "transfer_request",
]);
/** Said by a node that leads, or says that it does. */
const LEADERS_KINDS: ReadonlySet<Kind> = new Set<Kind>([
  "append_request",
  "heartbeat_request",
  "snapshot_request",
  "timeout_now",
  "read_index_response",
]);

/** What of a message the judgement needs; a part of a snapshot is judged like the snapshot. */
export interface SenderClaim {
  readonly kind: Kind;
  readonly from: NodeId;
  /** Absent where a message is valid under any term. */
  readonly term?: number;
  /** With proposals: one of them changes who belongs to the group. */
  readonly changesGroup?: boolean;
}

/**
 * Why a message must not be obeyed, whatever it says: its sender may not say such a thing, or its term is not one that
 * elections have led to. Undefined when it may. Messages of an older term are answered all the same, see `Raft`.
 */
export function refusalOfSender(raft: RaftState, claim: SenderClaim): StepOutcome | undefined {
  const { kind, from, term, changesGroup } = claim;
  if (from === raft.id) return undefined;
  if (term === undefined) {
    if (!isMember(raft, from)) return refuse("not_a_member", `${kind} of no member`);
    return changesGroup && !isElector(raft, from)
      ? refuse("not_a_voter", "forwards a change of the group")
      : undefined;
  }
  if (term > Math.min(raft.term + TERM_JUMP_MAX, RAFT_NUMBER_MAX)) {
    return refuse("term_jump", `${kind} of term ${term}, this node is in ${raft.term}`);
  }
  // Most of what a follower hears.
  if (from === raft.leader && term === raft.term) return undefined;
  if (LEADERS_KINDS.has(kind) && term === raft.term && raft.leader !== undefined) {
    return refuse("malformed", `${kind} of a second leader in term ${term}`);
  }
  const needsVoter = term > raft.term || VOTERS_KINDS.has(kind) || LEADERS_KINDS.has(kind);
  if (!needsVoter || isElector(raft, from)) return undefined;
  return refuse("not_a_voter", `${kind} of term ${term}`);
}

/** True for who may lead and ask for votes, as far as this node knows; see `Electorate`. */
function isElector(raft: RaftState, id: NodeId): boolean {
  return raft.electorate.has(id) || pendingVoters(raft).has(id);
}

function isMember(raft: RaftState, id: NodeId): boolean {
  return raft.peers.find(id) !== undefined || isElector(raft, id);
}

/** A node of the electorate was obeyed. */
export function noteHeard(raft: RaftState): void {
  raft.electorate.onHeard(raft.ticks);
}

/**
 * Somebody spoke as a leader or candidate whom this node does not know as a voter. It may be one all the same: those
 * that it does know are asked, and members without a vote, in case none of the others is left.
 */
export function askForVoters(raft: RaftState): void {
  if (!raft.electorate.asks(raft.ticks, raft.options.electionTicks)) return;
  for (const to of new Set([...raft.peers.ids, ...pendingVoters(raft)])) {
    if (to !== raft.id) raft.send({ kind: "voters_request", from: raft.id, to });
  }
}

/** Tells whom this node knows to vote. */
export function onVotersRequest(raft: RaftState, from: NodeId): StepOutcome {
  const voters = [...new Set([...raft.peers.voters, ...pendingVoters(raft)])].sort();
  if (voters.length > 0) raft.send({ kind: "voters_response", from: raft.id, to: from, voters });
  return ACCEPTED;
}

/** Takes another node's word for who votes, where it has a say. */
export function onVotersResponse(
  raft: RaftState,
  { from, voters }: { readonly from: NodeId; readonly voters: readonly NodeId[] },
): StepOutcome {
  const { electorate, ticks, options } = raft;
  if (isElector(raft, from)) electorate.vouch(voters);
  else if (raft.peers.find(from) === undefined) return refuse("not_a_member", "voters_response");
  else {
    const silenceTicks = SILENCE_ELECTIONS * options.electionTicks;
    electorate.hearVoice(from, voters, { ticks, silenceTicks });
  }
  return ACCEPTED;
}

/** Whom changes that are in this node's log, but not applied, give a vote. */
function pendingVoters(raft: RaftState): ReadonlySet<NodeId> {
  const { applied, lastIndex, last } = raft.log;
  const key = `${applied} ${lastIndex} ${last.term}`;
  if (raft.pendingVoters.key === key) return raft.pendingVoters.ids;
  const ids = new Set<NodeId>();
  for (let low = applied + 1; low <= lastIndex;) {
    const entries = raft.log.slice(low, lastIndex + 1, SCAN_BYTES) ?? [];
    if (entries.length === 0) break;
    for (const id of votersBy(entries)) ids.add(id);
    low += entries.length;
  }
  raft.pendingVoters = { key, ids };
  return ids;
}
