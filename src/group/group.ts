import { type NodeId, type Random, UnavailableError } from "../base/mod.ts";
import type { Catalogue, Outcome } from "../core/catalogue/mod.ts";
import type { RaftView } from "../core/raft/mod.ts";
import type { Clock, Log, Metrics, RaftLogStore, Recorder, Transport } from "../ports/mod.ts";
import type {
  CatalogueCommand,
  ChangeOrigin,
  GroupChange,
  GroupConfiguration,
} from "../protocol/mod.ts";
import type { DiskRoom } from "./disk_room.ts";
import type { ProposeOptions } from "./proposals.ts";
import type { Reading } from "./quorum_watch.ts";
import type { GroupTiming } from "./timing.ts";

/** What a group is made of. */
export interface GroupParts {
  readonly nodeId: NodeId;
  /** Owned by the group from here on. */
  readonly store: RaftLogStore;
  readonly transport: Pick<Transport, "sendFrame">;
  /** Where to reach a peer; "" = only over a connection that is open already. */
  readonly addressOf: (nodeId: NodeId) => string;
  readonly clock: Clock;
  /** Election timeouts only. */
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly recorder?: Recorder | undefined;
  readonly timing?: Partial<GroupTiming>;
  /** Tells when the log waits for room on its disk; closed with the group. */
  readonly room?: Pick<DiskRoom, "reason" | "onChanged" | "close">;
  /** Why the log can't be trusted, for people: the node only shows what it knew. Absent = it can. */
  readonly damage?: string | undefined;
  /** Whether gossip takes a voter for gone; absent = nobody can tell. */
  readonly isDown?: (voter: NodeId) => boolean;
  /** Who has a command made that is proposed now; absent = nobody keeps it. */
  readonly originOf?: (command: CatalogueCommand) => ChangeOrigin | undefined;
  /** Who an empty log starts with; a log that holds anything ignores it. Absent = wait for a leader's snapshot. */
  readonly founding?: {
    readonly voters: readonly NodeId[];
    /** A catalogue's snapshot at index 1, as `refoundCatalogue` makes one. Default: the empty catalogue. */
    readonly state?: Uint8Array;
  };
}

/**
 * Why a node takes no part: its log can't be trusted, followed or, for want of room, written, or a bug showed. It neither votes nor changes
 * the catalogue until it is restarted in better shape, or there is room again; what it has loaded goes on answering.
 */
export interface Fence {
  readonly kind:
    | "storage"
    | "log_lost"
    | "conflicts_with_committed"
    | "newer_schema"
    | "recovered_elsewhere"
    | "invariant_broken";
  /** For people. */
  readonly reason: string;
}

/** Why a node's part of the group takes and tells nothing; undefined = it is stopping. */
export function unavailable(fence: Fence | undefined): UnavailableError {
  if (fence === undefined) {
    return new UnavailableError("stopping", "The catalogue can't be used: this node is stopping");
  }
  const message = `The catalogue can't be used through this node: ${fence.reason}`;
  // Its cluster has no quorum any more, but the node itself is as good as away from home.
  const code = fence.kind === "recovered_elsewhere" ? "no_quorum" : "fenced";
  return new UnavailableError(code, message);
}

/** What was applied in one go. */
export interface AppliedNews {
  readonly appliedIndex: number;
  /** Kinds of the commands that were applied and not refused; undefined = a snapshot, so anything may have changed. */
  readonly kinds: ReadonlySet<CatalogueCommand["kind"]> | undefined;
}

/** The leader's heartbeat went out, came in, or was answered. */
export interface HeartbeatNews {
  readonly peer: NodeId;
  readonly way: "sent" | "heard" | "answered";
  /** From one to the next, with voters. */
  readonly everyMs: number;
}

/** How long a caller waits. */
export interface Patience {
  /** Milliseconds. */
  readonly timeoutMs: number;
}

/** This node's part in the log's group: it proposes, reads, votes, and holds the catalogue as far as it has applied it. */
export interface Group {
  /** As far as this node has applied the log; stale by as much as it lags. Replaced when a snapshot comes. */
  readonly catalogue: Catalogue;
  readonly fenced: Fence | undefined;
  /**
   * What became of a command; this node's catalogue has applied it by then. It is sent again until its outcome is known
   * and applied once, through lost messages and changes of leaders. Refusals are values.
   *
   * @throws UnavailableError `no_quorum` when nothing is known in time; the text says whether it may still be applied.
   *   UnavailableError `fenced`, `stopping` or `queue_full`; RequestError `invalid_request` when it is too long; the
   *   signal's reason (it may be applied then too).
   */
  propose(command: CatalogueCommand, options?: ProposeOptions): Promise<Outcome>;
  /**
   * Looks at the catalogue once it holds everything that was acknowledged before the call. `look` must not keep the
   * catalogue.
   *
   * @throws UnavailableError `no_quorum`, `fenced`, `stopping` or `queue_full`; what `look` throws.
   */
  read<T>(look: (catalogue: Catalogue) => T, options: Patience): Promise<T>;
  /** See `CatalogueGroup.readOrStale`. */
  readOrStale<T>(
    look: (catalogue: Catalogue) => T,
    options: { readonly waitMs: number },
  ): Promise<Reading<T>>;
  /** See `CatalogueGroup.quorumLostAtMs`. */
  readonly quorumLostAtMs: number | undefined;
  view(): RaftView;
  /** Learners that answer and hold all but the newest entries; empty unless this node leads. */
  caughtUpLearners(): readonly NodeId[];
  /**
   * Changes who belongs to the group. Only on the leader. Resolves with the configuration once the change is applied and
   * no joint configuration is left of it.
   *
   * @throws UnavailableError `group_change_failed` when it was refused, lost or took too long.
   */
  changeGroup(change: GroupChange, options: Patience): Promise<GroupConfiguration>;
  /** Asks the leader, this node or another, to hand over; whether it does shows in {@link view}. */
  transferLeadership(to: NodeId): void;
  /** A frame of channel "raft". Never throws; what is malformed is dropped and counted. */
  receive(from: NodeId, frame: Uint8Array): void;
  /** What was sent to a peer has probably not arrived. */
  reportUnreachable(peer: NodeId): void;
  /**
   * Gossip takes the leader for dead: an election may start early. A hint only: it takes a quorum that has not heard of
   * the leader either.
   */
  hintLeaderDown(leader: NodeId): void;
  /** Calls back after entries or a snapshot were applied; returns how to stop. */
  onApplied(listener: (news: AppliedNews) => void): () => void;
  /** Calls back after each change of role, leader, configuration or fence; returns how to stop. */
  onChanged(listener: () => void): () => void;
  /** Calls back for each heartbeat, in the turn that it is taken up in; returns how to stop. */
  onHeartbeat(listener: (news: HeartbeatNews) => void): () => void;
  /** Stops taking part for good, for a reason that is not of the log. */
  end(fence: Fence): void;
  /** Stops taking part, then waits for the log. */
  close(): Promise<void>;
}
