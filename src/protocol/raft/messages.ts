import type { NodeId } from "../../base/mod.ts";

/**
 * Where an entry is: the pair identifies its content, because one leader exists per term and never changes what it
 * wrote (Raft paper, 5.3, Log Matching). Terms and indexes travel in named fields of plain numbers: arithmetic is done
 * on them in every line of the core.
 */
export interface EntryId {
  /** Election number, >= 0; 0 only before the first entry. */
  readonly term: number;
  /** Position in the log, >= 0; the first entry has 1, 0 is "before the log". */
  readonly index: number;
}

/** What one step of a membership change does to a node. */
export type GroupAction = "add_voter" | "add_learner" | "remove" | "update";

/** One node's part in a membership change. `update` changes nothing in Raft; it carries news to the state machine. */
export interface GroupStep {
  readonly action: GroupAction;
  readonly node: NodeId;
}

/** A committed order to change who belongs to the group. */
export interface GroupChange {
  /**
   * `auto`: direct when at most one voter changes, else joint and left by itself; `implicit`: joint, left by itself;
   * `explicit`: joint until a change without steps is proposed (paper, section 6).
   */
  readonly transition: "auto" | "implicit" | "explicit";
  /** Without steps and with `auto`: leaves the joint configuration. */
  readonly steps: readonly GroupStep[];
  /** Opaque to Raft; handed to the state machine. */
  readonly context: Uint8Array;
  /** `single`: written as the one-server form of the thesis (4.1); `batch` is what this product proposes. */
  readonly form: "single" | "batch";
}

/** What an entry says, before the leader gave it a place in the log. */
export type Proposal =
  | { readonly kind: "command"; readonly data: Uint8Array }
  | { readonly kind: "group_change"; readonly change: GroupChange };

/** A proposal with its place in the log. An empty command is what a new leader writes first. */
export type Entry = Proposal & EntryId;

/** Who belongs to the group, as snapshots and restarts carry it. Each list is sorted and without duplicates. */
export interface GroupConfiguration {
  readonly voters: readonly NodeId[];
  /** Voters of the old half while a joint change is under way, else empty. */
  readonly votersOutgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  /** Outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext: readonly NodeId[];
  /** The leader leaves the joint configuration by itself. */
  readonly autoLeave: boolean;
}

/** The replicated state up to and including `id`, and the configuration at that point. */
export interface Snapshot {
  readonly id: EntryId;
  readonly configuration: GroupConfiguration;
  /** Opaque to Raft: the state itself, or a reference by which the driver finds it. */
  readonly data: Uint8Array;
}

/** What must be durable before anything that depends on it is sent (paper, figure 2, "persistent state"). */
export interface HardState {
  readonly term: number;
  readonly vote: NodeId | undefined;
  readonly commit: number;
}

interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
}

interface TermEnvelope extends Envelope {
  /** Sender's term; of a granted or asked pre-vote: the term the candidate would campaign for. */
  readonly term: number;
}

/** Leader to follower: entries that follow `previous`. */
export interface AppendRequest extends TermEnvelope {
  readonly kind: "append_request";
  readonly previous: EntryId;
  readonly entries: readonly Entry[];
  readonly commit: number;
}

/** Why an append did not fit, and where the follower's log may still agree. */
export interface AppendRejection {
  /** Best guess of the last index at which both logs agree. */
  readonly hintIndex: number;
  /** The follower's term at `hintIndex`; 0 when unknown or before the log. */
  readonly hintTerm: number;
}

/** Follower to leader: durable up to `index`, or `previous` at `index` was not found. */
export interface AppendResponse extends TermEnvelope {
  readonly kind: "append_response";
  readonly index: number;
  readonly rejection: AppendRejection | undefined;
}

/** Leader to all: still here. `round` numbers the read round it also stands for; 0 = none. */
export interface HeartbeatRequest extends TermEnvelope {
  readonly kind: "heartbeat_request";
  /** Never above what this follower is known to hold. */
  readonly commit: number;
  readonly round: number;
}

/** Answer to a heartbeat, echoing its round. */
export interface HeartbeatResponse extends TermEnvelope {
  readonly kind: "heartbeat_response";
  readonly round: number;
}

/** Leader to a follower whose next entry is compacted away. */
export interface SnapshotRequest extends TermEnvelope {
  readonly kind: "snapshot_request";
  readonly snapshot: Snapshot;
}

/** A part of a snapshot that is too large for one message. All but `bytes` and `offset` is the same in each part. */
export interface SnapshotChunk extends TermEnvelope {
  readonly kind: "snapshot_chunk";
  /** Of the snapshot, without its data. */
  readonly id: EntryId;
  readonly configuration: GroupConfiguration;
  /** Size of the whole data, >= 0. */
  readonly dataBytes: number;
  /** Where in the data `bytes` belongs. Invariant: offset + bytes.length <= dataBytes. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** The receiver has the data before `offset` and wants what follows. */
export interface SnapshotChunkAck extends TermEnvelope {
  readonly kind: "snapshot_chunk_ack";
  readonly id: EntryId;
  readonly offset: number;
}

/** Asks for a vote, or with `preVote` whether one could be won (thesis, 9.6). */
export interface VoteRequest extends TermEnvelope {
  readonly kind: "vote_request";
  readonly preVote: boolean;
  /** The candidate's last entry. */
  readonly last: EntryId;
  /** The leader asked for this election, so a live leader is no reason to refuse (thesis, 3.10). */
  readonly transfer: boolean;
  /** Last entry that the candidate knows to be committed. Invariant: not behind `last`. */
  readonly committed: EntryId;
}

/** Answer to a vote request. */
export interface VoteResponse extends TermEnvelope {
  readonly kind: "vote_response";
  readonly preVote: boolean;
  readonly granted: boolean;
  /** Last entry that the voter knows to be committed. */
  readonly committed: EntryId;
}

/** Leader to the transfer target: start an election now. */
export interface TimeoutNow extends TermEnvelope {
  readonly kind: "timeout_now";
}

/** A follower passing on the wish that `target` should lead. */
export interface TransferRequest extends TermEnvelope {
  readonly kind: "transfer_request";
  readonly target: NodeId;
}

/** A follower passing proposals on to the leader. Carries no term: it is valid under any. */
export interface ProposalForward extends Envelope {
  readonly kind: "proposal_forward";
  readonly proposals: readonly Proposal[];
}

/** A follower asking the leader for a read index. Carries no term, as {@link ProposalForward}. */
export interface ReadIndexRequest extends Envelope {
  readonly kind: "read_index_request";
  /** Chosen by the asker; comes back unchanged. */
  readonly context: string;
}

/** The leader's answer: serve the read once `index` is applied. */
export interface ReadIndexResponse extends TermEnvelope {
  readonly kind: "read_index_response";
  readonly index: number;
  readonly context: string;
}

/** Asks who votes, as far as the receiver knows: somebody the asker does not know speaks as a leader or candidate. */
export interface VotersRequest extends Envelope {
  readonly kind: "voters_request";
}

/** Voters of the sender's configuration, and those that changes in its log make one. Sorted. */
export interface VotersResponse extends Envelope {
  readonly kind: "voters_response";
  readonly voters: readonly NodeId[];
}

/** What travels between nodes. */
export type RaftMessage =
  | AppendRequest
  | AppendResponse
  | HeartbeatRequest
  | HeartbeatResponse
  | SnapshotRequest
  | VoteRequest
  | VoteResponse
  | TimeoutNow
  | TransferRequest
  | ProposalForward
  | ReadIndexRequest
  | ReadIndexResponse
  | VotersRequest
  | VotersResponse;
