/**
 * The messages of the log and their bytes. It never decides what they mean. Start reading in `messages.ts`.
 *
 * @module
 */
export {
  decodeRaftFrame,
  encodeRaftFrames,
  type FrameEnds,
  type RaftWireMessage,
} from "./codec.ts";
export { entryField, entryIdField, hardStateField, snapshotField } from "./fields.ts";
export type {
  AppendRejection,
  AppendRequest,
  AppendResponse,
  Entry,
  EntryId,
  GroupAction,
  GroupChange,
  GroupConfiguration,
  GroupStep,
  HardState,
  HeartbeatRequest,
  HeartbeatResponse,
  Proposal,
  ProposalForward,
  RaftMessage,
  ReadIndexRequest,
  ReadIndexResponse,
  Snapshot,
  SnapshotChunk,
  SnapshotChunkAck,
  SnapshotRequest,
  TimeoutNow,
  TransferRequest,
  VoteRequest,
  VoteResponse,
} from "./messages.ts";
