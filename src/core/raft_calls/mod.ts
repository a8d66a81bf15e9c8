/**
 * A node of the log's group whose calls are taken down with what it read of its log for each, and one that answers the same calls without a log.
 *
 * @module
 */
export { RecordedRaft } from "./recorded_raft.ts";
export { type RaftCall, ReplayedRaft } from "./replayed_raft.ts";
