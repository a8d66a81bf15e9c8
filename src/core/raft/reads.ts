import { assert, type NodeId } from "../../base/mod.ts";
import type { ReadIndexRequest } from "../../protocol/mod.ts";
import type { PendingReadRequest } from "./read_rounds.ts";
import { ACCEPTED, type RaftState, refuse, type StepOutcome } from "./state.ts";

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
  raft.reads.add({ ...request, index: raft.log.committed });
  confirm(raft);
}

function answerRead(raft: RaftState, request: PendingReadRequest, index: number): void {
  const { from, context } = request;
  const { committed } = raft.log;
  assert(index <= committed, "A read waits for what is committed", { index, committed });
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
