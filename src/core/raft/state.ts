import { assert, type NodeId, type Random, type StateKeeper } from "../../base/mod.ts";
import type { RaftLogReader } from "../../ports/mod.ts";
import type { HardState, RaftMessage } from "../../protocol/mod.ts";
import { type ChangeRefusal, type Configuration, fromGroup } from "./configuration.ts";
import { Electorate } from "../voting/mod.ts";
import { RaftLog } from "./log.ts";
import { Peers } from "./peers.ts";
import { ReadRounds } from "./read_rounds.ts";

/** How one node of the group behaves. Limits of Infinity are off. */
export interface RaftOptions {
  /** This node; stable over restarts, because votes are remembered by it. */
  readonly id: NodeId;
  /**
   * Ticks without a leader after which a follower campaigns; drawn anew in [electionTicks, 2 * electionTicks) for each
   * wait, so that candidates rarely collide. Default 10, > heartbeatTicks. Too low: elections whenever a node is slow;
   * too high: a dead leader is noticed late.
   */
  readonly electionTicks: number;
  /** Ticks between a leader's heartbeats. Default 1, >= 1. */
  readonly heartbeatTicks: number;
  /**
   * Every how many-th heartbeat goes to a learner that holds all there is, >= 1. Default 1. It needs none for an election; what
   * it is told late is only that nothing has happened.
   */
  readonly learnerHeartbeats: number;
  /** Bytes of entries in one append; one entry may go beyond. Default 1 MiB. */
  readonly messageBytesMax: number;
  /** Bytes of entries handed out for applying and not yet applied; one entry may go beyond. Default 16 MiB. */
  readonly applyingBytesMax: number;
  /** Payload bytes a leader holds uncommitted before it drops proposals. Default 64 MiB. One may always be in. */
  readonly uncommittedBytesMax: number;
  /** Appends on the way to one follower. Default 256, >= 1. */
  readonly inflightMessagesMax: number;
  /** Payload bytes on the way to one follower, >= messageBytesMax. Default 16 MiB. */
  readonly inflightBytesMax: number;
  /** Reads waiting at the leader for their quorum; more are refused. Default 4096. */
  readonly readsPendingMax: number;
  /**
   * Asks whether an election could be won before raising the term, so that a node cut off disturbs nobody. Default on.
   * Off where bare elections are looked at: in most recorded cases, and where every state is visited, because the rounds
   * of pre-votes multiply the states.
   */
  readonly preVote: boolean;
  /**
   * A leader that hears no quorum for an election timeout steps down, and votes are refused while one leads. Default on.
   * Off in the same places: there elections are held while a leader is alive.
   */
  readonly checkQuorum: boolean;
  /**
   * A leader that a membership change removes or demotes steps down once that is applied. Default on. Off in recorded
   * cases whose leader goes on without being a member; nothing outside the core could keep it in office.
   */
  readonly stepDownOnRemoval: boolean;
  /** Index the state machine has applied at start; entries up to it are not handed out again. Default 0: all are. */
  readonly applied: number;
}

const MEBIBYTE = 1024 * 1024;

/** The product's choices; see {@link RaftOptions} for each. */
export const RAFT_DEFAULTS: Omit<RaftOptions, "id"> = {
  electionTicks: 10,
  heartbeatTicks: 1,
  learnerHeartbeats: 1,
  messageBytesMax: MEBIBYTE,
  applyingBytesMax: 16 * MEBIBYTE,
  uncommittedBytesMax: 64 * MEBIBYTE,
  inflightMessagesMax: 256,
  inflightBytesMax: 16 * MEBIBYTE,
  readsPendingMax: 4096,
  preVote: true,
  checkQuorum: true,
  stepDownOnRemoval: true,
  applied: 0,
};

/** @throws {InvariantError} when options contradict each other: they are constants of the program, not input. */
function checkOptions(options: RaftOptions): void {
  const { electionTicks, heartbeatTicks, messageBytesMax, inflightBytesMax } = options;
  assert(heartbeatTicks >= 1, "heartbeatTicks must be at least 1", { heartbeatTicks });
  const { learnerHeartbeats } = options;
  assert(learnerHeartbeats >= 1, "learnerHeartbeats must be at least 1", { learnerHeartbeats });
  assert(electionTicks > heartbeatTicks, "electionTicks must be greater than heartbeatTicks", {
    electionTicks,
    heartbeatTicks,
  });
  assert(options.inflightMessagesMax >= 1, "inflightMessagesMax must be at least 1");
  assert(inflightBytesMax >= messageBytesMax, "inflightBytesMax must hold one message", {
    inflightBytesMax,
    messageBytesMax,
  });
}

/**
 * Why an input changed nothing. `proposal_dropped`: no leader, no room, or leadership on its way elsewhere; try again.
 * `reads_full`: too many reads wait; try again. `unknown_peer`: an answer of
 * someone who left the group or is not known to be in it yet. `not_a_member`: a request of such a one. `not_a_voter`: only voters
 * say this, and the sender is not known to be one. `term_jump`: of a term that no election led to. `malformed`: no
 * correct node sends this. `conflicts_with_committed` and `log_lost`: this node's log and the group's
 * contradict each other, so one of the disks lost or changed what was acknowledged; the node must fence itself.
 */
export type RefusalReason =
  | "proposal_dropped"
  | "reads_full"
  | "unknown_peer"
  | "not_a_member"
  | "not_a_voter"
  | "term_jump"
  | "malformed"
  | "conflicts_with_committed"
  | "log_lost";

/** What became of an input. Accepted inputs may still have had no effect: late and repeated messages are normal. */
export type StepOutcome =
  | { readonly kind: "accepted" }
  | { readonly kind: "refused"; readonly reason: RefusalReason; readonly detail: string };

export const ACCEPTED: StepOutcome = { kind: "accepted" };

export function refuse(reason: RefusalReason, detail = ""): StepOutcome {
  return { kind: "refused", reason, detail };
}

/** What a node is doing in its term. */
export type RaftRole = "follower" | "pre_candidate" | "candidate" | "leader";

/** The part of the state that need not be durable but that the driver acts on. */
export interface SoftState {
  readonly role: RaftRole;
  readonly leader: NodeId | undefined;
}

/** A read may be served once `index` is applied; `context` is the asker's. */
export interface ReadState {
  readonly index: number;
  readonly context: string;
}

/** Something worth a log line or a counter; nothing depends on it. */
export type RaftNote =
  | { readonly kind: "role_changed"; readonly role: RaftRole; readonly term: number }
  | { readonly kind: "quorum_lost"; readonly term: number }
  | {
    readonly kind: "campaign_refused";
    readonly reason: "not_a_voter" | "change_unapplied" | "terms_used_up";
  }
  | { readonly kind: "configuration_switched"; readonly index: number }
  | { readonly kind: "change_refused"; readonly reason: ChangeRefusal | "change_pending" }
  | { readonly kind: "transfer_started" | "transfer_aborted"; readonly target: NodeId }
  | { readonly kind: "snapshot_needed"; readonly by: NodeId; readonly index: number }
  | { readonly kind: "snapshot_restored"; readonly index: number }
  | { readonly kind: "append_rejected"; readonly from: NodeId; readonly index: number };

/** Notes kept until the driver takes them; older ones give way. */
const NOTES_MAX = 256;

/**
 * All that one node knows: fields and the few moves that every concern makes. The concerns themselves (elections,
 * replication, reads, membership) are functions over it, in their own files.
 */
export class RaftState {
  readonly options: RaftOptions;
  readonly log: RaftLog;
  readonly peers: Peers;
  readonly electorate: Electorate;
  readonly #random: Random;

  /** Durable before anything that depends on it leaves. Invariant: term never falls; one vote per term. */
  term = 0;
  vote: NodeId | undefined;
  role: RaftRole = "follower";
  leader: NodeId | undefined;

  /** Ticks since start. */
  ticks = 0;
  electionElapsedTicks = 0;
  heartbeatElapsedTicks = 0;
  /** Heartbeats since start. */
  beats = 0;
  electionTimeoutTicks = 0;

  /** Who is to lead next; proposals are refused meanwhile (thesis, 3.10). */
  transferTarget: NodeId | undefined;
  /** A new change is refused until this index is applied: at most one may be between proposed and applied. */
  pendingChangeIndex = 0;
  uncommittedBytes = 0;
  reads: ReadRounds;
  /** What `senders.ts` found in the log, and of which log. */
  pendingVoters: { readonly key: string; readonly ids: ReadonlySet<NodeId> } = {
    key: "",
    ids: new Set(),
  };

  /** May leave at once. */
  messages: RaftMessage[] = [];
  /** Promises: votes and acknowledgements, which must not leave before what they promise is durable. */
  messagesAfterAppend: RaftMessage[] = [];
  readStates: ReadState[] = [];
  notes: RaftNote[] = [];

  constructor(options: RaftOptions, stable: RaftLogReader, random: Random) {
    checkOptions(options);
    this.options = options;
    this.#random = random;
    this.log = new RaftLog(stable, options.applyingBytesMax);
    this.peers = new Peers({
      messagesMax: options.inflightMessagesMax,
      bytesMax: options.inflightBytesMax,
    });
    this.reads = new ReadRounds();
    const { hardState, configuration } = stable.initial();
    const restored = fromGroup(configuration);
    assert(restored !== undefined, "The stored configuration must be sound");
    this.peers.switchTo(restored, this.log.lastIndex);
    this.electorate = new Electorate(restored);
    this.#load(hardState);
    this.becomeFollower(this.term, undefined);
    this.notes = [];
  }

  get id(): NodeId {
    return this.options.id;
  }

  get hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  get softState(): SoftState {
    return { role: this.role, leader: this.leader };
  }

  /** True when this node may campaign: a voter whose log holds no snapshot that is still to be written. */
  get promotable(): boolean {
    const progress = this.peers.find(this.id);
    return progress !== undefined && !progress.isLearner && !this.log.hasPendingSnapshot;
  }

  /** True while a leader is known to be alive, so that votes for anyone else are refused (thesis, 4.2.3). */
  get heardLeaderLately(): boolean {
    const { checkQuorum, electionTicks } = this.options;
    return checkQuorum && this.leader !== undefined && this.electionElapsedTicks < electionTicks;
  }

  send(message: RaftMessage): void {
    if (message.kind === "append_response" || message.kind === "vote_response") {
      this.messagesAfterAppend.push(message);
      return;
    }
    assert(message.to !== this.id, "Only promises are addressed to oneself", {
      kind: message.kind,
    });
    this.messages.push(message);
  }

  note(note: RaftNote): void {
    if (this.notes.length >= NOTES_MAX) this.notes.shift();
    this.notes.push(note);
  }

  becomeFollower(term: number, leader: NodeId | undefined): void {
    assert(leader !== this.id, "No node follows itself", { term });
    this.startTerm(term);
    this.leader = leader;
    this.#become("follower");
  }

  becomePreCandidate(): void {
    assert(this.role !== "leader", "A leader has no election to ask for");
    // Neither term nor vote change: only the real election may cost the others anything.
    this.peers.clearVotes();
    this.leader = undefined;
    this.#become("pre_candidate");
  }

  becomeCandidate(): void {
    assert(this.role !== "leader", "A leader has no election to win");
    this.startTerm(this.term + 1);
    this.vote = this.id;
    this.#become("candidate");
  }

  becomeLeader(): void {
    assert(this.role === "candidate", "Only a candidate can win", { role: this.role });
    this.startTerm(this.term);
    this.leader = this.id;
    const own = this.peers.get(this.id);
    own.becomeReplicate();
    own.recentlyActive = true;
    this.#become("leader");
    // The tail of the log may hold a change: wait for all of it rather than look through it.
    this.pendingChangeIndex = this.log.lastIndex;
  }

  /** Clears what belongs to a term or a role. */
  startTerm(term: number): void {
    assert(term >= this.term, "The term must never fall", { term, current: this.term });
    if (term !== this.term) {
      this.term = term;
      this.vote = undefined;
      this.electorate.onTerm();
    }
    this.leader = undefined;
    this.electionElapsedTicks = 0;
    this.heartbeatElapsedTicks = 0;
    this.electionTimeoutTicks = this.options.electionTicks +
      this.#random.below(this.options.electionTicks);
    this.abortTransfer();
    this.peers.clearVotes();
    this.peers.restart(this.id, this.log.lastIndex);
    this.pendingChangeIndex = 0;
    this.uncommittedBytes = 0;
    this.reads = new ReadRounds();
  }

  /** Takes over another configuration; see {@link Peers.switchTo}. */
  switchConfiguration(configuration: Configuration, fresh: ReadonlySet<NodeId>): void {
    this.peers.switchTo(configuration, this.log.lastIndex, fresh);
    this.electorate.onConfiguration(configuration);
  }

  abortTransfer(): void {
    if (this.transferTarget !== undefined) {
      this.note({ kind: "transfer_aborted", target: this.transferTarget });
    }
    this.transferTarget = undefined;
  }

  /** All of it but the options. */
  keep(keeper: StateKeeper): void {
    this.#random.keep(keeper);
    this.log.keep(keeper);
    this.peers.keep(keeper);
    this.electorate.keep(keeper);
    this.reads.keep(keeper);
    const { term, vote, role, leader, ticks, beats, transferTarget, uncommittedBytes } = this;
    const { electionElapsedTicks, heartbeatElapsedTicks, electionTimeoutTicks } = this;
    const { pendingChangeIndex, pendingVoters } = this;
    const { messages, messagesAfterAppend, readStates, notes } = this;
    const fields = {
      ...{ term, vote, role, leader, ticks, beats, transferTarget, uncommittedBytes },
      ...{ electionElapsedTicks, heartbeatElapsedTicks, electionTimeoutTicks },
      ...{ pendingChangeIndex, pendingVoters },
      ...{ messages, messagesAfterAppend, readStates, notes },
    };
    Object.assign(this, keeper.keep(fields));
  }

  #become(role: RaftRole): void {
    this.role = role;
    this.note({ kind: "role_changed", role, term: this.term });
  }

  #load(hardState: HardState): void {
    const { term, vote, commit } = hardState;
    this.term = term;
    this.vote = vote;
    // What was applied was committed. The state machine may have saved itself before the commit index that let it was
    // durable: writes overlap, and losing a commit index is allowed.
    this.log.commitTo(Math.max(commit, this.options.applied));
    if (this.options.applied > 0) this.log.appliedTo(this.options.applied, 0);
  }
}
