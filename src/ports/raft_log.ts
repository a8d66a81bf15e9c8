import type { Entry, GroupConfiguration, HardState, Snapshot } from "../protocol/mod.ts";

/**
 * What the Raft core reads from stable storage. Synchronous, because the core is: implementations keep what is asked
 * for in memory or read it at once. Only what is durable may be visible here, and the driver writes it; the core never
 * does.
 *
 * Entries [firstIndex, lastIndex] are present; the term of `firstIndex - 1` (the compaction point, or 0 before the
 * log) is known too.
 */
export interface RaftLogReader {
  /** What was last persisted; read once at start. */
  initial(): { readonly hardState: HardState; readonly configuration: GroupConfiguration };
  /** Index of the first entry still present; lastIndex + 1 when none is. */
  firstIndex(): number;
  /** Index of the last entry, or of the snapshot the log starts after; 0 for a new log. */
  lastIndex(): number;
  /** Term at `index`, or undefined outside [firstIndex - 1, lastIndex]. */
  term(index: number): number | undefined;
  /**
   * Entries [low, high), in order, cut after the first one with which their sizes (`entryBytes`) reach past `bytesMax`
   * would be exceeded; always at least one. Undefined when `low` < firstIndex or `high` > lastIndex + 1.
   */
  entries(low: number, high: number, bytesMax: number): readonly Entry[] | undefined;
  /** The newest snapshot, or undefined while none can be had: the core asks again after a heartbeat. */
  snapshot(): Snapshot | undefined;
}

/** What one step of Raft wants durable, all of it or nothing. Applied in this order: snapshot, entries, hard state. */
export interface LogOrder {
  readonly hardState: HardState | undefined;
  /** Replace everything from the first one's index on; no gap may come to be. */
  readonly entries: readonly Entry[];
  /** From a leader: replaces the whole log. Ignored when it is older than the one held. */
  readonly snapshot: Snapshot | undefined;
}

/**
 * The durable side of the log. Reads show what is durable and nothing else. After the first failure every call rejects
 * with the same StorageError: the node must stop voting, because what is on the disk is unknown.
 */
export interface RaftLogStore extends RaftLogReader {
  /**
   * Resolves once the order survives a crash. Orders become durable in the order of the calls; several that wait are
   * synced as one.
   */
  write(order: LogOrder): Promise<void>;
  /**
   * Keeps a snapshot of the own state machine and drops entries more than `trailing` behind it. Ignored when it is older
   * than the one held.
   */
  compact(snapshot: Snapshot, options: { readonly trailing: number }): Promise<void>;
  /** Waits for what was written and gives back the files. */
  close(): Promise<void>;
}
