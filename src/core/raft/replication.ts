import type { NodeId } from "../../base/mod.ts";
import type {
  AppendRequest,
  AppendResponse,
  HeartbeatRequest,
  HeartbeatResponse,
  Proposal,
} from "../../protocol/mod.ts";
import { payloadBytes } from "./log.ts";
import type { Progress } from "./peers.ts";
import { answerEarlyReads, onReadRoundEcho } from "./reads.ts";
import { ACCEPTED, type RaftState, refuse, type StepOutcome } from "./state.ts";

/** Gives proposals a place at the end of the leader's log; false, and nothing done, when too much is uncommitted. */
export function appendProposals(raft: RaftState, proposals: readonly Proposal[]): boolean {
  if (!holdUncommitted(raft, payloadBytes(proposals))) return false;
  const first = raft.log.lastIndex + 1;
  raft.log.append(
    proposals.map((proposal, position) => ({
      ...proposal,
      term: raft.term,
      index: first + position,
    })),
  );
  // The leader's own copy counts for the quorum only once it is durable, so it acknowledges like everyone else. That
  // also lets its write overlap with the followers' (thesis, 10.2.1).
  raft.send({
    kind: "append_response",
    from: raft.id,
    to: raft.id,
    term: raft.term,
    index: raft.log.lastIndex,
    rejection: undefined,
  });
  return true;
}

function holdUncommitted(raft: RaftState, bytes: number): boolean {
  // The first one always fits, and so does what weighs nothing: an empty entry at the start of a term, or the change
  // that leaves a joint configuration, must never be refused.
  const fits = raft.uncommittedBytes === 0 || bytes === 0 ||
    raft.uncommittedBytes + bytes <= raft.options.uncommittedBytesMax;
  if (fits) raft.uncommittedBytes += bytes;
  return fits;
}

/** Commits what a quorum holds; true when that is more than before. */
export function commitByQuorum(raft: RaftState): boolean {
  const index = raft.peers.quorumIndex();
  if (index <= raft.log.committed) return false;
  // Only entries of its own term does a leader commit by counting (paper, 5.4.2): older ones could still be replaced.
  if (!raft.log.has({ term: raft.term, index })) return false;
  raft.log.commitTo(index);
  return true;
}

/** Sends everyone what they lack, at least an empty append that tells the commit index. */
export function broadcastAppends(raft: RaftState): void {
  for (const id of raft.peers.ids) {
    if (id !== raft.id) sendAppend(raft, id, { evenEmpty: true });
  }
}

/**
 * Sends one append, or a snapshot when the entries are gone. False when nothing was sent: the follower is paused, or
 * there is nothing new and `evenEmpty` is not asked for.
 */
export function sendAppend(
  raft: RaftState,
  to: NodeId,
  options: { readonly evenEmpty: boolean },
): boolean {
  const progress = raft.peers.get(to);
  if (progress.paused) return false;
  const previous = { term: raft.log.term(progress.next - 1), index: progress.next - 1 };
  if (previous.term === undefined) return sendSnapshot(raft, to, progress);
  // With a full window only empty appends go out: if all that filled it was lost, the rejection of an empty one is
  // what tells.
  const windowFull = progress.mode === "replicate" && progress.inflights.full;
  const entries = windowFull
    ? []
    : raft.log.entriesFrom(progress.next, raft.options.messageBytesMax);
  if ((entries === undefined || entries.length === 0) && !options.evenEmpty) return false;
  if (entries === undefined) return sendSnapshot(raft, to, progress);
  raft.send({
    kind: "append_request",
    from: raft.id,
    to,
    term: raft.term,
    previous: { term: previous.term, index: previous.index },
    entries,
    commit: raft.log.committed,
  });
  progress.sent(entries.length, payloadBytes(entries), raft.log.committed);
  return true;
}

function sendSnapshot(raft: RaftState, to: NodeId, progress: Progress): boolean {
  // A snapshot is large: not for someone who may be gone.
  if (!progress.recentlyActive) return false;
  const snapshot = raft.log.snapshot();
  if (snapshot === undefined || snapshot.id.index === 0) return false;
  progress.becomeSnapshot(snapshot.id.index);
  raft.note({ kind: "snapshot_needed", by: to, index: snapshot.id.index });
  raft.send({ kind: "snapshot_request", from: raft.id, to, term: raft.term, snapshot });
  return true;
}

/** It is time for a heartbeat. Learners that lack nothing hear one only now and then. */
export function beat(raft: RaftState): void {
  const isForAll = raft.beats++ % raft.options.learnerHeartbeats === 0;
  broadcastHeartbeats(raft, (progress) => isForAll || !progress.isLearner || lacks(raft, progress));
}

function lacks(raft: RaftState, progress: Progress): boolean {
  const { mode, match, paused } = progress;
  return mode !== "replicate" || paused || match < raft.log.lastIndex ||
    progress.commitSent < raft.log.committed;
}

/** Tells everyone that the leader lives; carries the newest read round, so that a lost round is asked again. */
export function broadcastHeartbeats(
  raft: RaftState,
  accept: (progress: Progress) => boolean = () => true,
): void {
  for (const id of raft.peers.ids) {
    if (id === raft.id) continue;
    const progress = raft.peers.get(id);
    if (!accept(progress)) continue;
    // A follower may hold other entries beyond what it acknowledged: those must not be committed by a heartbeat.
    const commit = Math.min(progress.match, raft.log.committed);
    raft.send({
      kind: "heartbeat_request",
      from: raft.id,
      to: id,
      term: raft.term,
      commit,
      round: raft.reads.lastRound,
    });
    progress.sentCommit(commit);
  }
}

/** A follower takes entries of its leader. */
export function onAppendRequest(raft: RaftState, message: AppendRequest): StepOutcome {
  const { previous, entries } = message;
  const answer = (index: number, rejection?: AppendResponse["rejection"]) =>
    raft.send({
      kind: "append_response",
      from: raft.id,
      to: message.from,
      term: raft.term,
      index,
      rejection,
    });
  // What is committed can't conflict, so a late message needs no look: tell where to go on.
  if (previous.index < raft.log.committed) {
    answer(raft.log.committed);
    return ACCEPTED;
  }
  const outcome = raft.log.appendAfter(previous, entries, message.commit);
  switch (outcome.kind) {
    case "appended":
      answer(outcome.lastIndex);
      return ACCEPTED;
    case "conflicts_with_committed":
      return refuse("conflicts_with_committed", `entry ${outcome.index} differs`);
    case "mismatch": {
      const hint = raft.log.lastBelowTerm(
        Math.min(previous.index, raft.log.lastIndex),
        previous.term,
      );
      answer(previous.index, { hintIndex: hint.index, hintTerm: hint.term });
      return ACCEPTED;
    }
  }
}

/** A follower hears that its leader lives. */
export function onHeartbeatRequest(raft: RaftState, message: HeartbeatRequest): StepOutcome {
  // A leader commits by heartbeat only what this node acknowledged: less than that in the log means that it was lost.
  if (message.commit > raft.log.lastIndex) {
    return refuse(
      "log_lost",
      `acknowledged up to ${message.commit}, log ends at ${raft.log.lastIndex}`,
    );
  }
  raft.log.commitTo(message.commit);
  raft.send({
    kind: "heartbeat_response",
    from: raft.id,
    to: message.from,
    term: raft.term,
    round: message.round,
  });
  return ACCEPTED;
}

/** The leader learns what a follower, or its own disk, holds. Calls `caughtUp` when that is everything. */
export function onAppendResponse(
  raft: RaftState,
  message: AppendResponse,
  progress: Progress,
  caughtUp: (id: NodeId) => void,
): StepOutcome {
  progress.hear(raft.beats);
  if (message.rejection !== undefined) {
    onRejection(raft, message, progress);
    return ACCEPTED;
  }
  if (message.index > raft.log.lastIndex) {
    return refuse("malformed", `acknowledges ${message.index}, log ends at ${raft.log.lastIndex}`);
  }
  const news = progress.acknowledge(message.index);
  // Also a probe's echo that confirms what was known: it makes the follower known to be reachable again.
  const echo = progress.mode === "probe" && progress.match === message.index;
  if (!news && !echo) return ACCEPTED;
  advanceMode(raft, message, progress);
  if (commitByQuorum(raft)) {
    answerEarlyReads(raft, broadcastHeartbeats);
    broadcastAppends(raft);
  } else if (message.from !== raft.id && progress.learnsFrom(raft.log.committed)) {
    sendAppend(raft, message.from, { evenEmpty: true });
  }
  if (message.from !== raft.id) {
    // The window opened: fill it, in as many messages as the size limit makes of it.
    while (sendAppend(raft, message.from, { evenEmpty: false }));
  }
  if (message.from === raft.transferTarget && progress.match === raft.log.lastIndex) {
    caughtUp(message.from);
  }
  return ACCEPTED;
}

function onRejection(raft: RaftState, message: AppendResponse, progress: Progress): void {
  const hint = message.rejection;
  if (hint === undefined) return;
  raft.note({ kind: "append_rejected", from: message.from, index: message.index });
  // The follower named its last entry with a term no greater than the probe's; the leader in turn skips what is above
  // that term in its own log. So each round trip skips at least one term on one side (paper, 5.3, end).
  const next = hint.hintTerm > 0
    ? raft.log.lastBelowTerm(hint.hintIndex, hint.hintTerm).index
    : hint.hintIndex;
  const probed = progress.next;
  if (!progress.reject(message.index, next)) return;
  if (progress.mode === "probe" && progress.next === probed) {
    // It rejects what it acknowledged: late, or its disk lost it. Asked again at once, it would answer the same at the
    // speed of the network; the next heartbeat is soon enough.
    progress.hold();
    return;
  }
  if (progress.mode === "replicate") progress.becomeProbe();
  sendAppend(raft, message.from, { evenEmpty: true });
}

function advanceMode(raft: RaftState, message: AppendResponse, progress: Progress): void {
  switch (progress.mode) {
    case "probe":
      progress.becomeReplicate();
      return;
    case "snapshot":
      // Whichever snapshot it was that arrived: what counts is that the log can go on from there.
      if (progress.match + 1 < raft.log.firstIndex) return;
      progress.becomeProbe();
      progress.becomeReplicate();
      return;
    case "replicate":
      progress.inflights.freeTo(message.index);
      return;
  }
}

/** The leader hears that a follower lives. */
export function onHeartbeatResponse(
  raft: RaftState,
  message: HeartbeatResponse,
  progress: Progress,
): StepOutcome {
  progress.hear(raft.beats);
  progress.release();
  // Also to a paused or a caught-up but probing follower: the echo of even an empty append gets it going again.
  if (progress.match < raft.log.lastIndex || progress.mode === "probe") {
    sendAppend(raft, message.from, { evenEmpty: true });
  }
  onReadRoundEcho(raft, message.from, message.round);
  return ACCEPTED;
}
