/**
 * Agrees on one order of commands: elections, replication, snapshots, membership change, safe reads. A pure,
 * synchronous state machine; it never reads a clock, draws its election timeouts from a generator it is handed, and
 * does no I/O: it says what is to be written, sent and applied, and is told when that is done.
 *
 * Start with `raft_node.ts` (how to drive it), then `raft.ts` (who reacts to what), then one file per concern:
 * `election.ts`, `replication.ts`, `reconfiguration.ts`, `reads.ts`. The Raft paper (Ongaro and Ousterhout, 2014) is
 * cited as "paper", Ongaro's dissertation as "thesis".
 *
 * @module
 */
export type { ChangeRefusal, ChangeResult, Configuration } from "./configuration.ts";
export { entriesBytes, limitEntries } from "./log.ts";
export type { ProgressMode } from "./peers.ts";
export type { JointVoters, VoteResult } from "../voting/mod.ts";
export type { AppendDone, ApplyDone, RaftInput, SnapshotDelivery } from "./raft.ts";
export {
  type AppendOrder,
  type ApplyOrder,
  type PeerView,
  RaftNode,
  type RaftView,
  type Ready,
} from "./raft_node.ts";
export { foundingSnapshot } from "./reconfiguration.ts";
export {
  type ChunkOutcome,
  SnapshotReceiver,
  SnapshotSender,
  type TransferLimits,
  type TransferState,
} from "./snapshot_transfer.ts";
export {
  RAFT_DEFAULTS,
  type RaftNote,
  type RaftOptions,
  type RaftRole,
  type ReadState,
  type RefusalReason,
  type SoftState,
  type StepOutcome,
} from "./state.ts";
