import { limitEntries } from "../../src/core/raft/mod.ts";
import { entryBytes } from "../../src/core/raft/log.ts";
import type { RaftLogReader } from "../../src/ports/mod.ts";
import type {
  Entry,
  EntryId,
  GroupConfiguration,
  HardState,
  Snapshot,
} from "../../src/protocol/mod.ts";

/** The group nobody belongs to. */
export const EMPTY_GROUP: GroupConfiguration = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** What a log without a snapshot starts from. */
export const EMPTY_SNAPSHOT: Snapshot = {
  id: { term: 0, index: 0 },
  configuration: EMPTY_GROUP,
  data: new Uint8Array(),
};

/** All that a log holds. */
export interface LogState {
  readonly hardState: HardState;
  readonly snapshot: Snapshot;
  /** The compaction point: entries up to it are gone. */
  readonly compacted: EntryId;
  readonly entries: readonly Entry[];
}

/** A log whose "disk" is an array: all that is written to it counts as durable at once. */
export class MemoryLog implements RaftLogReader {
  hardState: HardState = { term: 0, vote: undefined, commit: 0 };
  #snapshot: Snapshot;
  #compacted: EntryId;
  #entries: Entry[] = [];

  /** Starts behind `snapshot`, or empty. */
  constructor(snapshot: Snapshot = EMPTY_SNAPSHOT) {
    this.#snapshot = snapshot;
    this.#compacted = this.#snapshot.id;
  }

  initial(): { hardState: HardState; configuration: GroupConfiguration } {
    return { hardState: this.hardState, configuration: this.#snapshot.configuration };
  }

  firstIndex(): number {
    return this.#compacted.index + 1;
  }

  lastIndex(): number {
    return this.#compacted.index + this.#entries.length;
  }

  term(index: number): number | undefined {
    if (index === this.#compacted.index) return this.#compacted.term;
    return this.#entries[index - this.firstIndex()]?.term;
  }

  entries(low: number, high: number, bytesMax: number): readonly Entry[] | undefined {
    if (low < this.firstIndex() || high > this.lastIndex() + 1) return undefined;
    const first = this.firstIndex();
    return limitEntries(this.#entries.slice(low - first, high - first), bytesMax);
  }

  snapshot(): Snapshot | undefined {
    return this.#snapshot.id.index === 0 ? undefined : this.#snapshot;
  }

  get state(): LogState {
    const [snapshot, compacted, entries] = [this.#snapshot, this.#compacted, [...this.#entries]];
    return { hardState: this.hardState, snapshot, compacted, entries };
  }

  /** As it was. */
  restore(state: LogState): void {
    this.hardState = state.hardState;
    this.#snapshot = state.snapshot;
    this.#compacted = state.compacted;
    this.#entries = [...state.entries];
  }

  /** Bytes of all entries present. */
  get bytes(): number {
    return this.#entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
  }

  /** Writes entries over whatever stood at their indexes and behind; skips those already compacted away. */
  append(entries: readonly Entry[]): void {
    const fresh = entries.filter((entry) => entry.index > this.#compacted.index);
    const first = fresh[0]?.index;
    if (first === undefined) return;
    if (first > this.lastIndex() + 1) throw new RangeError(`Gap in the log before ${first}`);
    this.#entries.length = first - this.firstIndex();
    this.#entries.push(...fresh);
  }

  /** Replaces the log by a received snapshot, unless it is older than what is there. */
  install(snapshot: Snapshot): void {
    if (snapshot.id.index <= this.#snapshot.id.index) return;
    this.#snapshot = snapshot;
    this.#compacted = snapshot.id;
    this.#entries = [];
  }

  /** Remembers a snapshot made here; the log stays as it is. */
  remember(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
  }

  /** Drops entries up to and including `index`. */
  dropUpTo(index: number): void {
    if (index <= this.#compacted.index) {
      throw new RangeError("requested index is unavailable due to compaction");
    }
    const term = this.term(index);
    if (term === undefined) throw new RangeError(`Cannot compact to ${index}: not in the log`);
    this.#entries = this.#entries.slice(index + 1 - this.firstIndex());
    this.#compacted = { term, index };
  }
}
