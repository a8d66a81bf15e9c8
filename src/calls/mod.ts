/**
 * Streams between nodes: how one is opened for a purpose, what is said on it, how errors cross it and how both ends know that the other
 * lives. It never decides whom to call. Start reading in `stream_router.ts`.
 *
 * @module
 */
export {
  BLOB_FRAME_BYTES,
  BLOB_PURPOSE,
  blobAnswerShape,
  blobOpeningShape,
} from "./blob_messages.ts";
export {
  CELLS_FRAME_BYTES,
  CELLS_PURPOSE,
  cellsAnswerShape,
  cellsOpeningShape,
} from "./cell_messages.ts";
export { decodeDefinition, encodeDefinition } from "./definition_codec.ts";
export {
  JOURNAL_PURPOSE,
  journalAckShape,
  journalAnswerShape,
  journalBatchShape,
  journalOpeningShape,
  type JournalWord,
} from "./journal_messages.ts";
export {
  LEASE_VERSION,
  type LeaseCommand,
  type LeaseOpening,
  type LeaseReply,
  readCommand,
  readOpening,
  readReply,
  required,
} from "./lease_messages.ts";
export { MessageStream } from "./message_stream.ts";
export { answering, answerPeer, askPeer, type QuestionParts, readAnswer } from "./question.ts";
export {
  decodeKeptResponse,
  encodeKeptResponse,
  type KeptResponse,
  keptResponseShape,
  RESPONSE_BYTES_MAX,
  RESPONSE_PURPOSE,
  responseAnswerShape,
  responseOpeningShape,
} from "./response_messages.ts";
export {
  ECHO_PURPOSE,
  echoOpeningShape,
  SHARD_PURPOSE,
  shardOpeningShape,
  type ShardReply,
  shardReplyShape,
  TUNNEL_PURPOSE,
  tunnelOpeningShape,
} from "./shard_messages.ts";
export {
  SHOW_PURPOSE,
  showAnswerShape,
  shownModelShape,
  showOpeningShape,
} from "./show_messages.ts";
export {
  REPORT_LINES_MAX,
  REQUEST_ROWS_MAX,
  WORK_PURPOSE,
  type WorkAnswer,
  workAnswerShape,
  workOpeningShape,
} from "./work_messages.ts";
export { openPurpose, refuse, type StreamHandler, StreamRouter } from "./stream_router.ts";
