/**
 * The journals of answers: which of them a node keeps and for how long, when their bytes may be shown, and who goes on with
 * an answer whose node is gone. Facts in, orders out. Start with `journal_book.ts`, then `replication.ts`.
 *
 * @module
 */
export {
  type BookRefusal,
  isSameAnswer,
  type Journal,
  JournalBook,
  type JournalRole,
} from "./journal_book.ts";
export { JournalReplication, type ReplicationFact, type ReplicationOrder } from "./replication.ts";
export {
  DOUBTED_ACK_WAIT_MS,
  DOUBTED_OWNER_PATIENCE_MS,
  JOURNAL_BYTES_MAX,
  LINK_LOOK_MS,
  OWNER_PATIENCE_MS,
} from "./limits.ts";
