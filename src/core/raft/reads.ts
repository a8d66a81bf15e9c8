import type { NodeId } from "../../base/mod.ts";
import type { ReadIndexRequest } from "../../protocol/mod.ts";
import type { PendingReadRequest } from "./read_rounds.ts";
import { ACCEPTED, type RaftState, refuse, type StepOutcome } from "./state.ts";

/**
 * Ticks a lease is shorter than the followers' refusal to elect another: one because their ticks and the leader's are
 * not in step, one for clocks that drift.
 */
const LEASE_MARGIN_TICKS = 2;

/** The leader takes a read of its own or of a follower (thesis, 6.4). `confirm` sends the round that a read opened. */
export function onReadIndexRequest(
  raft: RaftState,
  message: ReadIndexRequest,
  confirm: (raft: RaftState) => void,
): StepOutcome {
  const request = { from: message.from, context: message.context };
  if (raft.reads.count >= raft.options.readsPendingMax) return refuse("reads_full");
  if (!committedInTerm(raft)) {
    // Until an entry of its own term commits, a leader does not know what the one before committed. That holds for a
    // group of one as well: after a restart its own commit index may be an old one.
    raft.reads.postpone(request);
    return ACCEPTED;
  }
  startRead(raft, request, confirm);
  return ACCEPTED;
}

/** After the first commit of a term: starts the reads that came before it. */
export function answerEarlyReads(raft: RaftState, confirm: (raft: RaftState) => void): void {
  if (!committedInTerm(raft)) return;
  for (const request of raft.reads.takeEarly()) startRead(raft, request, confirm);
}

/** With lease reads each heartbeat is a round, because the lease is as old as the last confirmed one. */
export function openLeaseRound(raft: RaftState): void {
  if (raft.options.reads === "lease") raft.reads.open(raft.ticks);
}

/** A member echoed a round; those a quorum has echoed are confirmed, oldest read first. */
export function onReadRoundEcho(raft: RaftState, from: NodeId, round: number): void {
  if (round === 0) return;
  raft.reads.acknowledge(from, round);
  const confirmed = raft.peers.quorumOf((id) =>
    id === raft.id ? raft.reads.lastRound : raft.reads.acknowledgedBy(id)
  );
  for (const read of raft.reads.confirm(confirmed)) answerRead(raft, read, read.index);
}

/** True once this leader committed in its term, so knows of everything committed before it. */
function committedInTerm(raft: RaftState): boolean {
  return raft.log.term(raft.log.committed) === raft.term;
}

function startRead(
  raft: RaftState,
  request: PendingReadRequest,
  confirm: (raft: RaftState) => void,
): void {
  if (raft.peers.decidesAlone(raft.id)) {
    answerRead(raft, request, raft.log.committed);
    return;
  }
  const leaseTicks = raft.options.electionTicks - LEASE_MARGIN_TICKS;
  if (raft.options.reads === "lease" && raft.reads.holdsLease(raft.ticks, leaseTicks)) {
    answerRead(raft, request, raft.log.committed);
    return;
  }
  raft.reads.add({ ...request, index: raft.log.committed }, raft.ticks);
  confirm(raft);
}

function answerRead(raft: RaftState, request: PendingReadRequest, index: number): void {
  const { from, context } = request;
  if (from === raft.id) {
    raft.readStates.push({ index, context });
  } else {
    raft.send({
      kind: "read_index_response",
      from: raft.id,
      to: from,
      term: raft.term,
      index,
      context,
    });
  }
}
