import { assert, type NodeId, type Random, type StateKeeper } from "../../base/mod.ts";
import type { RaftLogReader } from "../../ports/mod.ts";
import type {
  Entry,
  GroupChange,
  GroupConfiguration,
  HardState,
  RaftMessage,
  Snapshot,
} from "../../protocol/mod.ts";
import { toGroup } from "./configuration.ts";
import { entriesBytes } from "./log.ts";
import type { ProgressMode } from "./peers.ts";
import { type AppendDone, type ApplyDone, Raft, type RaftInput } from "./raft.ts";
import { caughtUpLearners } from "./reconfiguration.ts";
import {
  type RaftNote,
  type RaftOptions,
  type RaftRole,
  type ReadState,
  refuse,
  type SoftState,
  type StepOutcome,
} from "./state.ts";

/** An order to the disk. Orders are carried out in the order given; each answer goes out when its order is durable. */
export interface AppendOrder {
  /** Undefined when unchanged. */
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  readonly snapshot: Snapshot | undefined;
  /** False when nothing is to be written, or only a commit index, which a crash may lose. */
  readonly mustSync: boolean;
  /** Peers' messages are sent; those to this node, and the {@link AppendDone}, are stepped. */
  readonly answers: readonly (RaftMessage | AppendDone)[];
}

/** An order to the state machine, in the order given. */
export interface ApplyOrder {
  readonly entries: readonly Entry[];
  readonly answers: readonly ApplyDone[];
}

/**
 * What the driver must do now: send `messages` at once, carry out `append` and `apply` in their own time, while the core
 * goes on.
 */
export interface Ready {
  readonly softState: SoftState | undefined;
  readonly readStates: readonly ReadState[];
  readonly messages: readonly RaftMessage[];
  readonly append: AppendOrder | undefined;
  readonly apply: ApplyOrder | undefined;
  /** For log lines and counters only. */
  readonly notes: readonly RaftNote[];
}

/** What the leader knows of a member. */
export interface PeerView {
  readonly id: NodeId;
  readonly mode: ProgressMode;
  readonly match: number;
  readonly next: number;
  readonly isLearner: boolean;
  readonly paused: boolean;
  readonly pendingSnapshot: number;
  /** The highest commit index on its way there. */
  readonly commitSent: number;
  readonly recentlyActive: boolean;
  readonly inflightCount: number;
  readonly inflightFull: boolean;
}

/** A copy of the state for status pages and checkers. */
export interface RaftView {
  readonly id: NodeId;
  readonly role: RaftRole;
  readonly term: number;
  readonly vote: NodeId | undefined;
  readonly leader: NodeId | undefined;
  readonly committed: number;
  readonly applied: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly configuration: GroupConfiguration;
  readonly transferTarget: NodeId | undefined;
  /** Votes in this node's own running election, sorted. */
  readonly votes: { readonly granted: readonly NodeId[]; readonly denied: readonly NodeId[] };
  /** Sorted by id; empty unless this node leads. */
  readonly peers: readonly PeerView[];
}

/**
 * One node's view of the replicated log, to be driven: inputs in, {@link Ready} out. Synchronous and deterministic;
 * performs no I/O.
 */
export class RaftNode extends Raft {
  #previousSoftState: SoftState;
  #previousHardState: HardState;

  /** `random` decides election timeouts only. */
  constructor(options: RaftOptions, stable: RaftLogReader, random: Random) {
    super(options, stable, random);
    this.#previousSoftState = this.state.softState;
    this.#previousHardState = this.state.hardState;
  }

  /** Takes a message of a peer, or an answer that an order of {@link Ready} carried. */
  override step(input: RaftInput): StepOutcome {
    // Only answers of its own disk come from the node itself; anything else was misrouted or forged.
    if (!isLocal(input) && (input.to !== this.state.id || !mayComeFrom(input, input.to))) {
      return refuse("malformed", `${input.kind} from ${input.from} to ${input.to}`);
    }
    // Answers of someone who was removed, or never was a member, count for nothing.
    if (isAnswer(input) && this.state.peers.find(input.from) === undefined) {
      return refuse("unknown_peer", input.from);
    }
    return super.step(input);
  }

  /** Proposes one command; it may still be lost, and then has to be proposed again by whoever wants it. */
  propose(data: Uint8Array): StepOutcome {
    return this.submit([{ kind: "command", data }]);
  }

  /**
   * As {@link propose}, for several commands that come together: one append instead of one each. All or none get a place.
   */
  proposeAll(batch: readonly Uint8Array[]): StepOutcome {
    return this.submit(batch.map((data) => ({ kind: "command", data })));
  }

  /** Proposes a membership change; a refused one is applied as an empty command. */
  proposeChange(change: GroupChange): StepOutcome {
    return this.submit([{ kind: "group_change", change }]);
  }

  /** Learners that may be promoted: they answer and lack at most `lagMax` entries. Sorted; empty unless leading. */
  caughtUpLearners(lagMax: number): readonly NodeId[] {
    return caughtUpLearners(this.state, lagMax);
  }

  /** True when {@link ready} would hold anything. */
  hasReady(): boolean {
    const { state } = this;
    return !sameSoftState(state.softState, this.#previousSoftState) ||
      !sameHardState(state.hardState, this.#previousHardState) ||
      state.log.nextUnstableSnapshot !== undefined ||
      state.messages.length > 0 || state.messagesAfterAppend.length > 0 ||
      state.log.nextUnstableEntries.length > 0 ||
      state.log.hasNextCommitted ||
      state.readStates.length > 0;
  }

  /** What is to be done now; calling it means that it will be. */
  ready(): Ready {
    const { state } = this;
    const { softState, readStates, messages, notes } = state;
    const softChanged = !sameSoftState(softState, this.#previousSoftState);
    const ready: Ready = {
      softState: softChanged ? softState : undefined,
      readStates,
      messages,
      append: this.#appendOrder(),
      apply: applyOrder(state.log.nextCommitted()),
      notes,
    };
    this.#accept(ready);
    return ready;
  }

  #appendOrder(): AppendOrder | undefined {
    const { log, term, hardState, messagesAfterAppend } = this.state;
    const previous = this.#previousHardState;
    const entries = log.nextUnstableEntries;
    const snapshot = log.nextUnstableSnapshot;
    const hardChanged = !sameHardState(hardState, previous);
    const isIdle = entries.length === 0 && snapshot === undefined && !hardChanged &&
      messagesAfterAppend.length === 0;
    if (isIdle) return undefined;
    const answers: (RaftMessage | AppendDone)[] = [...messagesAfterAppend];
    // Also without new entries: a write of an earlier term does not confirm what it wrote, this one does.
    if (log.hasUnstableEntries || snapshot !== undefined) {
      const last = log.hasUnstableEntries ? log.last : undefined;
      answers.push({ kind: "append_done", term, last, snapshot });
    }
    const goesBack = hardState.term < previous.term || hardState.commit < previous.commit;
    assert(!goesBack, "What is durable never goes back", {
      ...hardState,
      previousTerm: previous.term,
      previousCommit: previous.commit,
    });
    const mustSync = entries.length > 0 || snapshot !== undefined ||
      hardState.term !== previous.term || hardState.vote !== previous.vote;
    return {
      hardState: hardChanged ? hardState : undefined,
      entries,
      snapshot,
      mustSync,
      answers,
    };
  }

  /** All of its state but the options, and what is on disk. */
  keep(keeper: StateKeeper): void {
    this.state.keep(keeper);
    this.#previousSoftState = keeper.keep(this.#previousSoftState);
    this.#previousHardState = keeper.keep(this.#previousHardState);
  }

  /** A copy of the state. */
  view(): RaftView {
    const { state } = this;
    const ids = state.role === "leader" ? state.peers.ids : [];
    return {
      id: state.id,
      role: state.role,
      term: state.term,
      vote: state.vote,
      leader: state.leader,
      committed: state.log.committed,
      applied: state.log.applied,
      firstIndex: state.log.firstIndex,
      lastIndex: state.log.lastIndex,
      configuration: toGroup(state.peers.configuration),
      transferTarget: state.transferTarget,
      votes: { granted: state.peers.granted, denied: state.peers.denied },
      peers: ids.map((id) => this.#viewPeer(id)),
    };
  }

  #viewPeer(id: NodeId): PeerView {
    const progress = this.state.peers.get(id);
    return {
      id,
      mode: progress.mode,
      match: progress.match,
      next: progress.next,
      isLearner: progress.isLearner,
      paused: progress.paused,
      pendingSnapshot: progress.pendingSnapshot,
      commitSent: progress.commitSent,
      recentlyActive: progress.recentlyActive,
      inflightCount: progress.inflights.count,
      inflightFull: progress.inflights.full,
    };
  }

  #accept({ softState, append, apply }: Ready): void {
    const { state } = this;
    this.#previousSoftState = softState ?? this.#previousSoftState;
    this.#previousHardState = append?.hardState ?? this.#previousHardState;
    state.readStates = [];
    state.messages = [];
    state.messagesAfterAppend = [];
    state.notes = [];
    state.log.acceptUnstable();
    const last = apply?.entries.at(-1);
    if (apply !== undefined && last !== undefined) {
      state.log.acceptApplying(last.index, entriesBytes(apply.entries));
    }
  }
}

function applyOrder(entries: readonly Entry[]): ApplyOrder | undefined {
  if (entries.length === 0) return undefined;
  return { entries, answers: [{ kind: "apply_done", entries }] };
}

function isLocal(input: RaftInput): input is AppendDone | ApplyDone {
  return input.kind === "append_done" || input.kind === "apply_done";
}

function mayComeFrom(message: RaftMessage, self: NodeId): boolean {
  return message.from !== self || message.kind === "append_response" ||
    message.kind === "vote_response";
}

function isAnswer(
  input: RaftInput,
): input is Extract<
  RaftMessage,
  { kind: "append_response" | "heartbeat_response" | "vote_response" | "read_index_response" }
> {
  return input.kind === "append_response" || input.kind === "heartbeat_response" ||
    input.kind === "vote_response" || input.kind === "read_index_response";
}

function sameSoftState(left: SoftState, right: SoftState): boolean {
  return left.role === right.role && left.leader === right.leader;
}

function sameHardState(left: HardState, right: HardState): boolean {
  return left.term === right.term && left.vote === right.vote && left.commit === right.commit;
}
