import { assert, type NodeId } from "../../base/mod.ts";
import type {
  GroupChange,
  GroupConfiguration,
  Proposal,
  Snapshot,
  SnapshotRequest,
} from "../../protocol/mod.ts";
import {
  changeConfiguration,
  type Configuration,
  EMPTY_CONFIGURATION,
  fromGroup,
  isJoint,
  toGroup,
} from "./configuration.ts";
import type { Progress } from "./peers.ts";
import { appendProposals, broadcastAppends, commitByQuorum, sendAppend } from "./replication.ts";
import { ACCEPTED, type RaftState, refuse, type StepOutcome } from "./state.ts";

/**
 * Checks the membership changes among proposals before they get a place in the log. A refused one becomes an empty
 * command, so that its proposer sees it applied as nothing.
 */
function screenProposals(raft: RaftState, proposals: readonly Proposal[]): Proposal[] {
  return proposals.map((proposal, position) => {
    if (proposal.kind !== "group_change") return proposal;
    const reason = refusalOf(raft, proposal.change);
    if (reason !== undefined) {
      raft.note({ kind: "change_refused", reason });
      return { kind: "command", data: new Uint8Array() };
    }
    raft.pendingChangeIndex = raft.log.lastIndex + position + 1;
    return proposal;
  });
}

function refusalOf(raft: RaftState, change: GroupChange) {
  // Two changes under way could give two disjoint majorities; after becoming leader this also covers what earlier
  // leaders left in the log (Ongaro, raft-dev 2015).
  if (raft.pendingChangeIndex > raft.log.applied) return "change_pending";
  const leaves = change.steps.length === 0;
  if (isJoint(raft.peers.configuration) && !leaves) return "already_joint";
  if (!isJoint(raft.peers.configuration) && leaves) return "not_joint";
  return undefined;
}

/**
 * Takes over a committed change. One that does not fit changes nothing: all nodes meet it at the same index with the
 * same configuration, so all ignore it alike. The driver passes each committed change, in order, but none that lies
 * behind a snapshot its state machine was restored from.
 */
export function applyChange(raft: RaftState, change: GroupChange): GroupConfiguration {
  // Handed out before a snapshot came that holds it already: on top of the snapshot's configuration it would count
  // twice, and this node would believe in voters that nobody else knows.
  if (raft.log.hasPendingSnapshot) return toGroup(raft.peers.configuration);
  const result = changeConfiguration(raft.peers.configuration, change);
  if (result.kind === "refused") {
    raft.note({ kind: "change_refused", reason: result.reason });
    return toGroup(raft.peers.configuration);
  }
  return switchTo(raft, result.configuration, result.fresh);
}

function switchTo(
  raft: RaftState,
  configuration: Configuration,
  fresh: ReadonlySet<NodeId>,
): GroupConfiguration {
  raft.switchConfiguration(configuration, fresh);
  raft.note({ kind: "configuration_switched", index: raft.log.applied });
  const group = toGroup(configuration);
  if (raft.role !== "leader") return group;
  const own = raft.peers.find(raft.id);
  if (own === undefined || own.isLearner) {
    // A leader that no longer belongs manages the group only until the change is applied (paper, section 6).
    if (raft.options.stepDownOnRemoval) raft.becomeFollower(raft.term, undefined);
    return group;
  }
  if (commitByQuorum(raft)) {
    // A smaller quorum may have committed more at once.
    broadcastAppends(raft);
  } else {
    for (const id of raft.peers.ids) {
      if (id !== raft.id) sendAppend(raft, id, { evenEmpty: false });
    }
  }
  if (raft.transferTarget !== undefined && !raft.peers.isVoter(raft.transferTarget)) {
    raft.abortTransfer();
  }
  return group;
}

/**
 * Entries up to `index` were applied. A joint configuration that is to be left by itself is left now; the proposal
 * is repeated on each applied entry until it gets through, for example after a transfer of leadership failed.
 */
export function onApplied(raft: RaftState, index: number, bytes: number): void {
  const applied = Math.max(index, raft.log.applied);
  raft.log.appliedTo(applied, bytes);
  if (
    raft.role === "leader" && raft.peers.configuration.autoLeave &&
    applied >= raft.pendingChangeIndex
  ) propose(raft, [{ kind: "group_change", change: LEAVE_JOINT }]);
}

/** The change that ends a joint configuration. */
const LEAVE_JOINT: GroupChange = {
  transition: "auto",
  steps: [],
  context: new Uint8Array(),
  form: "batch",
};

/** The leader takes proposals. */
export function propose(raft: RaftState, proposals: readonly Proposal[]): StepOutcome {
  if (proposals.length === 0) return refuse("malformed", "no proposals");
  if (raft.peers.find(raft.id) === undefined) {
    return refuse("proposal_dropped", "leader was removed from the group");
  }
  if (raft.transferTarget !== undefined) {
    return refuse("proposal_dropped", "leadership is being transferred");
  }
  const pendingBefore = raft.pendingChangeIndex;
  if (!appendProposals(raft, screenProposals(raft, proposals))) {
    // The change got no place: the next one must not wait for it.
    raft.pendingChangeIndex = pendingBefore;
    return refuse("proposal_dropped", "too many uncommitted bytes");
  }
  const { pendingChangeIndex, log: { lastIndex } } = raft;
  assert(pendingChangeIndex <= lastIndex, "A change that is waited for has its place in the log", {
    pendingChangeIndex,
    lastIndex,
  });
  broadcastAppends(raft);
  return ACCEPTED;
}

/**
 * What the first nodes of a group start from: a snapshot of the empty state, which carries who they are. Because it is
 * a snapshot and not the empty log, every later node is sent it or a newer one, and so meets each change with the
 * configuration it was made for.
 */
export function foundingSnapshot(voters: readonly NodeId[], data: Uint8Array): Snapshot {
  const configuration = toGroup({ ...EMPTY_CONFIGURATION, incoming: new Set(voters) });
  return { id: { term: 1, index: 1 }, configuration, data };
}

/** A follower takes a snapshot of its leader. */
export function onSnapshotRequest(raft: RaftState, message: SnapshotRequest): StepOutcome {
  const { snapshot } = message;
  const configuration = fromGroup(snapshot.configuration);
  if (configuration === undefined || snapshot.id.term > message.term) {
    return refuse("malformed", "snapshot contradicts itself");
  }
  const restored = restore(raft, snapshot, configuration);
  raft.send({
    kind: "append_response",
    from: raft.id,
    to: message.from,
    term: raft.term,
    index: restored ? raft.log.lastIndex : raft.log.committed,
    rejection: undefined,
  });
  return ACCEPTED;
}

function restore(raft: RaftState, snapshot: Snapshot, configuration: Configuration): boolean {
  if (snapshot.id.index <= raft.log.committed) return false;
  if (raft.log.has(snapshot.id)) {
    // The log has it all: keep the entries behind it, they may be acknowledged already (paper, figure 13, 6).
    raft.log.commitTo(snapshot.id.index);
    return false;
  }
  raft.log.restore(snapshot);
  // The snapshot's configuration replaces whatever the old log said. It may be from before this node was added; the
  // entries behind it will say so.
  raft.switchConfiguration(configuration, new Set(raft.peers.ids));
  raft.note({ kind: "snapshot_restored", index: snapshot.id.index });
  return true;
}

/**
 * Learners that hold all but the newest `lagMax` entries and answer: promoting one of them now does not slow the
 * group down (thesis, 4.2.1). Empty on any node but the leader. Sorted by id.
 */
export function caughtUpLearners(raft: RaftState, lagMax: number): readonly NodeId[] {
  if (raft.role !== "leader") return [];
  return raft.peers.ids.filter((id) => {
    const progress = raft.peers.get(id);
    return progress.isLearner && progress.mode === "replicate" && isHeard(raft, progress) &&
      progress.match + lagMax >= raft.log.lastIndex;
  });
}

/** It has answered since the last quorum check, or the last heartbeat that learners heard. */
function isHeard(raft: RaftState, { recentlyActive, heardAtBeat }: Progress): boolean {
  return recentlyActive || raft.beats - heardAtBeat <= raft.options.learnerHeartbeats;
}
