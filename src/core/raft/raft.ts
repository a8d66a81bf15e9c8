import { assertNever, type NodeId, type Random } from "../../base/mod.ts";
import type { RaftLogReader } from "../../ports/mod.ts";
import type {
  Entry,
  EntryId,
  GroupChange,
  GroupConfiguration,
  Proposal,
  RaftMessage,
  Snapshot,
} from "../../protocol/mod.ts";
import { entriesBytes, payloadBytes } from "./log.ts";
import {
  finishTransfer,
  learnCommitted,
  onVoteRequest,
  onVoteResponse,
  startCampaign,
  startTransfer,
} from "./election.ts";
import type { Progress } from "./peers.ts";
import { onReadIndexRequest } from "./reads.ts";
import { applyChange, onApplied, onSnapshotRequest, propose } from "./reconfiguration.ts";
import {
  beat,
  broadcastHeartbeats,
  onAppendRequest,
  onAppendResponse,
  onHeartbeatRequest,
  onHeartbeatResponse,
} from "./replication.ts";
import {
  askForVoters,
  noteHeard,
  onVotersRequest,
  onVotersResponse,
  refusalOfSender,
  type SenderClaim,
} from "./senders.ts";
import { ACCEPTED, type RaftOptions, RaftState, refuse, type StepOutcome } from "./state.ts";

/** The disk answers: what {@link Raft} was told to write is durable. */
export interface AppendDone {
  readonly kind: "append_done";
  /** The term in which the write was ordered; one of an older term may have been overwritten since. */
  readonly term: number;
  /** Last entry of the log when the write was ordered; undefined when no entry was on its way. */
  readonly last: EntryId | undefined;
  readonly snapshot: Snapshot | undefined;
}

/** The state machine answers: these entries are applied. */
export interface ApplyDone {
  readonly kind: "apply_done";
  readonly entries: readonly Entry[];
}

/** A message of a peer, or an answer of this node's own disk or state machine. */
export type RaftInput = RaftMessage | AppendDone | ApplyDone;

type TermMessage = Extract<RaftMessage, { readonly term: number }>;

/** Did a snapshot that was sent reach its follower? */
export type SnapshotDelivery = "delivered" | "failed";

/**
 * The algorithm (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm"; Ongaro's thesis for the
 * rest): takes inputs and ticks, changes its state, and leaves what is to be done in it. `RaftNode` collects that.
 */
export class Raft {
  protected readonly state: RaftState;

  constructor(options: RaftOptions, stable: RaftLogReader, random: Random) {
    this.state = new RaftState(options, stable, random);
  }

  /** One unit of time passed. */
  tick(): void {
    const raft = this.state;
    raft.ticks++;
    raft.electionElapsedTicks++;
    if (raft.role === "leader") return this.#tickLeader();
    if (raft.promotable && raft.electionElapsedTicks >= raft.electionTimeoutTicks) {
      raft.electionElapsedTicks = 0;
      this.campaign();
    }
  }

  /** Ticks until one of them does more than count: a heartbeat, a look for the quorum, a campaign. >= 1; Infinity = none will. */
  ticksUntilDue(): number {
    const raft = this.state;
    if (raft.role === "leader") {
      // Alone it beats for nobody, and its own quorum is always there.
      if (raft.peers.ids.length === 1) return Infinity;
      const { heartbeatTicks, electionTicks } = raft.options;
      return Math.max(
        1,
        Math.min(
          heartbeatTicks - raft.heartbeatElapsedTicks,
          electionTicks - raft.electionElapsedTicks,
        ),
      );
    }
    return raft.promotable
      ? Math.max(1, raft.electionTimeoutTicks - raft.electionElapsedTicks)
      : Infinity;
  }

  /** Starts an election now, asking for pre-votes first where those are on. */
  campaign(): void {
    startCampaign(this.state, this.state.options.preVote ? "pre_election" : "election");
  }

  /** Leader: appends. Follower: passes on to its leader, who may still drop them. */
  protected submit(proposals: readonly Proposal[]): StepOutcome {
    const raft = this.state;
    if (raft.role === "leader") return propose(raft, proposals);
    if (raft.role !== "follower" || raft.leader === undefined) {
      return refuse("proposal_dropped", "no leader");
    }
    raft.send({ kind: "proposal_forward", from: raft.id, to: raft.leader, proposals });
    return ACCEPTED;
  }

  /**
   * Asks for an index from which on a read is linearizable; the answer is a read state with this `context`. There is
   * none when leadership changes meanwhile: the asker repeats after a timeout, with another context.
   */
  readIndex(context: string): StepOutcome {
    const raft = this.state;
    if (raft.role === "leader") {
      const request = { kind: "read_index_request", from: raft.id, to: raft.id, context } as const;
      return onReadIndexRequest(raft, request, broadcastHeartbeats);
    }
    if (raft.role !== "follower" || raft.leader === undefined) {
      return refuse("proposal_dropped", "no leader");
    }
    raft.send({ kind: "read_index_request", from: raft.id, to: raft.leader, context });
    return ACCEPTED;
  }

  /** Asks the leader, this node or another, to hand over to `target`. */
  transferLeadership(target: NodeId): StepOutcome {
    const raft = this.state;
    if (raft.role === "leader") return startTransfer(raft, target);
    if (raft.role !== "follower" || raft.leader === undefined) return ACCEPTED;
    const { id: from, leader: to, term } = raft;
    raft.send({ kind: "transfer_request", from, to, term, target });
    return ACCEPTED;
  }

  /**
   * A follower stops believing in its leader, for someone who knows better, so that it may grant a pre-vote at once.
   */
  forgetLeader(): void {
    const raft = this.state;
    if (raft.role === "follower") raft.leader = undefined;
  }

  /** The transport could not reach `id`: what is on the way is probably lost, so go back to probing. */
  reportUnreachable(id: NodeId): void {
    const progress = this.#followerProgress(id);
    if (progress?.mode === "replicate") progress.becomeProbe();
  }

  /** Ends the wait for a snapshot: probing goes on behind it, or from before it. */
  reportSnapshot(id: NodeId, delivery: SnapshotDelivery): void {
    const progress = this.#followerProgress(id);
    if (progress?.mode !== "snapshot") return;
    if (delivery === "delivered") progress.becomeProbe();
    else progress.snapshotFailed();
    // Delivered: the follower's own answer comes first. Failed: try again after a heartbeat, not at once.
    progress.hold();
  }

  /** The driver applies a committed change; returns the configuration that now holds. */
  applyChange(change: GroupChange): GroupConfiguration {
    return applyChange(this.state, change);
  }

  /** Takes one input. Never throws for what a peer sends. */
  step(input: RaftInput): StepOutcome {
    switch (input.kind) {
      case "append_done":
        return this.#onAppendDone(input);
      case "apply_done":
        return this.#onApplyDone(input);
      case "proposal_forward":
        return this.#onForward(input);
      case "read_index_request":
        return refusalOfSender(this.state, input) ?? this.#onReadIndexRequest(input);
      case "voters_request":
        return onVotersRequest(this.state, input.from);
      case "voters_response":
        return onVotersResponse(this.state, input);
      default:
        return this.#onMessage(input);
    }
  }

  /** Whether a message of this kind may be obeyed; asks about the sender where it may be a voter that came lately. */
  judge(claim: SenderClaim): StepOutcome {
    const refusal = refusalOfSender(this.state, claim);
    if (refusal?.kind === "refused" && refusal.reason === "not_a_voter") askForVoters(this.state);
    return refusal ?? ACCEPTED;
  }

  #tickLeader(): void {
    const raft = this.state;
    raft.heartbeatElapsedTicks++;
    if (raft.electionElapsedTicks >= raft.options.electionTicks) {
      raft.electionElapsedTicks = 0;
      if (raft.options.checkQuorum) this.#checkQuorum();
      // A transfer that takes longer than an election failed; take proposals again (thesis, 3.10).
      if (raft.transferTarget !== undefined) raft.abortTransfer();
      if (raft.role !== "leader") return;
    }
    if (raft.heartbeatElapsedTicks >= raft.options.heartbeatTicks) {
      raft.heartbeatElapsedTicks = 0;
      beat(raft);
    }
  }

  #checkQuorum(): void {
    const raft = this.state;
    if (!raft.peers.quorumActive) {
      raft.note({ kind: "quorum_lost", term: raft.term });
      raft.becomeFollower(raft.term, undefined);
    }
    raft.peers.markAllInactive(raft.id);
  }

  #followerProgress(id: NodeId): Progress | undefined {
    return this.state.role === "leader" ? this.state.peers.find(id) : undefined;
  }

  #onAppendDone(input: AppendDone): StepOutcome {
    const { log, term } = this.state;
    // In a later term the same index may hold another entry whose own write is still on its way.
    if (input.last !== undefined && input.term === term) log.stableTo(input.last);
    if (input.snapshot !== undefined) {
      // A snapshot holds committed state only, so it is valid in any term.
      log.snapshotStableTo(input.snapshot.id.index);
      onApplied(this.state, input.snapshot.id.index, 0);
    }
    return ACCEPTED;
  }

  #onApplyDone(input: ApplyDone): StepOutcome {
    const raft = this.state;
    const last = input.entries.at(-1);
    if (last === undefined) return ACCEPTED;
    onApplied(raft, last.index, entriesBytes(input.entries));
    raft.uncommittedBytes = Math.max(0, raft.uncommittedBytes - payloadBytes(input.entries));
    return ACCEPTED;
  }

  #onForward(input: Extract<RaftMessage, { kind: "proposal_forward" }>): StepOutcome {
    const changesGroup = input.proposals.some(({ kind }) => kind === "group_change");
    const { kind, from } = input;
    return refusalOfSender(this.state, { kind, from, changesGroup }) ??
      this.submit(input.proposals);
  }

  #onReadIndexRequest(input: Extract<RaftMessage, { kind: "read_index_request" }>): StepOutcome {
    const raft = this.state;
    if (raft.role === "leader") return onReadIndexRequest(raft, input, broadcastHeartbeats);
    // Not passed on a second time: the asker repeats when it knows the leader.
    return ACCEPTED;
  }

  #onMessage(message: TermMessage): StepOutcome {
    const raft = this.state;
    const malformed = findMalformation(message);
    if (malformed !== undefined) return refuse("malformed", malformed);
    if (message.term < raft.term) return this.#onOldTerm(message);
    const judged = this.judge(message);
    if (judged.kind === "refused") return judged;
    if (message.from !== raft.id) noteHeard(raft);
    if (message.term > raft.term && !this.#enterTerm(message)) return ACCEPTED;
    // Also from answers that come when the election is lost: the first refusal may say less than the last.
    if ("committed" in message) learnCommitted(raft, message.committed);
    if (message.kind === "vote_request") return onVoteRequest(raft, message);
    switch (raft.role) {
      case "leader":
        return this.#stepLeader(message);
      case "follower":
        return this.#stepFollower(message);
      case "candidate":
      case "pre_candidate":
        return this.#stepCandidate(message);
    }
  }

  /** A message of a later term; false when it is to be ignored. */
  #enterTerm(message: TermMessage): boolean {
    const raft = this.state;
    switch (message.kind) {
      case "vote_request":
        if (!message.transfer && raft.heardLeaderLately) return false;
        // Being asked for a pre-vote is no reason to enter the term it is about.
        if (!message.preVote) raft.becomeFollower(message.term, undefined);
        return true;
      case "vote_response":
        // A granted pre-vote names a term that nobody has entered yet.
        if (!message.preVote || !message.granted) raft.becomeFollower(message.term, undefined);
        return true;
      case "append_request":
      case "heartbeat_request":
      case "snapshot_request":
        raft.becomeFollower(message.term, message.from);
        return true;
      default:
        raft.becomeFollower(message.term, undefined);
        return true;
    }
  }

  #onOldTerm(message: TermMessage): StepOutcome {
    const raft = this.state;
    const { id: from, term } = raft;
    const { checkQuorum, preVote } = raft.options;
    const { from: to, kind } = message;
    if ((checkQuorum || preVote) && (kind === "heartbeat_request" || kind === "append_request")) {
      // A leader of the past. This node, ahead in term, could never be led or win again if it kept silent: with
      // pre-votes its campaigns change nobody's term. The answer makes the old leader step down.
      raft.send({ kind: "append_response", from, to, term, index: 0, rejection: undefined });
    } else if (kind === "vote_request" && message.preVote) {
      // Teaches a pre-candidate with the longer log, but of an older term, the term in which it can win.
      const { lastCommitted: committed } = raft.log;
      raft.send({
        kind: "vote_response",
        from,
        to,
        term,
        preVote: true,
        granted: false,
        committed,
      });
    }
    return ACCEPTED;
  }

  #stepLeader(message: TermMessage): StepOutcome {
    const raft = this.state;
    switch (message.kind) {
      case "transfer_request":
        return startTransfer(raft, message.target);
      case "append_response": {
        const progress = raft.peers.find(message.from);
        if (progress === undefined) return ACCEPTED;
        return onAppendResponse(raft, message, progress, (id) => finishTransfer(raft, id));
      }
      case "heartbeat_response": {
        const progress = raft.peers.find(message.from);
        return progress === undefined ? ACCEPTED : onHeartbeatResponse(raft, message, progress);
      }
      case "append_request":
      case "heartbeat_request":
      case "snapshot_request":
        // Two leaders of one term: someone voted twice. Neither may follow the other.
        return message.from === raft.id ? ACCEPTED : refuse("malformed", "second leader in a term");
      default:
        return ACCEPTED;
    }
  }

  #stepCandidate(message: TermMessage): StepOutcome {
    const raft = this.state;
    switch (message.kind) {
      case "append_request":
      case "heartbeat_request":
      case "snapshot_request":
        raft.becomeFollower(message.term, message.from);
        return this.#stepFollower(message);
      case "vote_response":
        // Answers to the other kind of campaign are late.
        return message.preVote === (raft.role === "pre_candidate")
          ? onVoteResponse(raft, message)
          : ACCEPTED;
      default:
        return ACCEPTED;
    }
  }

  #stepFollower(message: TermMessage): StepOutcome {
    const raft = this.state;
    switch (message.kind) {
      case "append_request":
        this.#hearLeader(message.from);
        return onAppendRequest(raft, message);
      case "heartbeat_request":
        this.#hearLeader(message.from);
        return onHeartbeatRequest(raft, message);
      case "snapshot_request":
        this.#hearLeader(message.from);
        return onSnapshotRequest(raft, message);
      case "transfer_request":
        return this.transferLeadership(message.target);
      case "timeout_now":
        // Without pre-votes: the leader itself asked, so nobody is disturbed.
        startCampaign(raft, "transfer");
        return ACCEPTED;
      case "read_index_response":
        raft.readStates.push({ index: message.index, context: message.context });
        return ACCEPTED;
      case "append_response":
      case "heartbeat_response":
      case "vote_request":
      case "vote_response":
        return ACCEPTED;
      default:
        return assertNever(message);
    }
  }

  #hearLeader(leader: NodeId): void {
    this.state.electionElapsedTicks = 0;
    this.state.leader = leader;
  }
}

/**
 * What no correct node sends: appends whose entries do not follow `previous`, or are of a later term than the message;
 * candidates that know more to be committed than they have.
 */
function findMalformation(message: TermMessage): string | undefined {
  if (message.kind === "vote_request") {
    const { committed, last } = message;
    const isBehind = committed.index > last.index || committed.term > last.term;
    return isBehind ? `committed ${committed.index}, log ends at ${last.index}` : undefined;
  }
  if (message.kind !== "append_request") return undefined;
  let { term, index } = message.previous;
  for (const entry of message.entries) {
    if (entry.index !== index + 1) return `entry ${entry.index} follows ${index}`;
    if (entry.term < term || entry.term > message.term) return `entry of term ${entry.term}`;
    ({ term, index } = entry);
  }
  return undefined;
}
