import { assert, type StorageError } from "../base/mod.ts";
import type { LogOrder, RaftLogReader, RaftLogStore } from "../ports/mod.ts";
import type { Entry, EntryId, GroupConfiguration, HardState, Snapshot } from "../protocol/mod.ts";

/** The group before any snapshot or entry says otherwise. */
const EMPTY_GROUP: GroupConfiguration = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** The snapshot of a log that has none. */
export const NO_SNAPSHOT: Snapshot = {
  id: { term: 0, index: 0 },
  configuration: EMPTY_GROUP,
  data: new Uint8Array(0),
};

/** The hard state of a node that has not voted yet. */
export const NO_HARD_STATE: HardState = { term: 0, vote: undefined, commit: 0 };

/** The longest prefix of entries that is within a size, at least one: the core's own measure, handed in. */
export type LimitEntries = (entries: readonly Entry[], bytesMax: number) => readonly Entry[];

/** What of a log is durable, in memory: both stores keep one and change it only after their disk has. */
export class LogImage implements RaftLogReader {
  hardState: HardState = NO_HARD_STATE;
  #snapshot: Snapshot = NO_SNAPSHOT;
  // The compaction point. Invariant: <= the snapshot's index; entries follow it without a gap.
  #start: EntryId = NO_SNAPSHOT.id;
  #entries: Entry[] = [];
  readonly #limitEntries: LimitEntries;

  constructor(limitEntries: LimitEntries) {
    this.#limitEntries = limitEntries;
  }

  initial(): { readonly hardState: HardState; readonly configuration: GroupConfiguration } {
    return { hardState: this.hardState, configuration: this.#snapshot.configuration };
  }

  firstIndex(): number {
    return this.#start.index + 1;
  }

  lastIndex(): number {
    return this.#start.index + this.#entries.length;
  }

  term(index: number): number | undefined {
    if (index === this.#start.index) return this.#start.term;
    return this.#entries[index - this.#start.index - 1]?.term;
  }

  entries(low: number, high: number, bytesMax: number): readonly Entry[] | undefined {
    if (low < this.firstIndex() || high > this.lastIndex() + 1) return undefined;
    const first = this.firstIndex();
    return this.#limitEntries(this.#entries.slice(low - first, high - first), bytesMax);
  }

  snapshot(): Snapshot | undefined {
    return this.#snapshot.id.index === 0 ? undefined : this.#snapshot;
  }

  /** The compaction point: entries up to it are gone. */
  get start(): EntryId {
    return this.#start;
  }

  get snapshotId(): EntryId {
    return this.#snapshot.id;
  }

  /** The last entry's place, or the compaction point. */
  get tail(): EntryId {
    const last = this.#entries.at(-1);
    return last === undefined ? this.#start : { term: last.term, index: last.index };
  }

  write(order: LogOrder): void {
    if (order.snapshot !== undefined) this.install(order.snapshot);
    this.append(order.entries);
    if (order.hardState !== undefined) this.hardState = order.hardState;
  }

  install(snapshot: Snapshot): void {
    if (snapshot.id.index <= this.#snapshot.id.index) return;
    this.#snapshot = snapshot;
    this.#entries = [];
    this.#start = snapshot.id;
  }

  append(entries: readonly Entry[]): void {
    const [first] = entries;
    if (first === undefined) return;
    const kept = first.index - this.firstIndex();
    assert(kept >= 0 && kept <= this.#entries.length, "Entries must follow the log", {
      index: first.index,
      firstIndex: this.firstIndex(),
      lastIndex: this.lastIndex(),
    });
    this.#entries.length = kept;
    for (const entry of entries) this.#entries.push(entry);
  }

  /** Where the log would start after `compact`; undefined when the snapshot is not newer. */
  compactionStart(snapshotId: EntryId, trailing: number): EntryId | undefined {
    if (snapshotId.index <= this.#snapshot.id.index) return undefined;
    const index = Math.max(this.#start.index, snapshotId.index - trailing);
    const term = this.term(index);
    return term === undefined ? this.#start : { term, index };
  }

  compact(snapshot: Snapshot, start: EntryId): void {
    this.#snapshot = snapshot;
    this.#entries.splice(0, start.index - this.#start.index);
    this.#start = start;
  }

  /** What recovery has put together. @throws InvariantError on a gap. */
  restore(state: {
    readonly hardState: HardState;
    readonly snapshot: Snapshot;
    readonly start: EntryId;
    readonly entries: readonly Entry[];
  }): void {
    this.hardState = state.hardState;
    this.#snapshot = state.snapshot;
    this.#start = state.start;
    this.#entries = [];
    this.append(state.entries);
  }
}

/** The reads of a store that keeps its image to itself. */
export abstract class ImageReads implements RaftLogReader {
  readonly #image: LogImage;

  constructor(image: LogImage) {
    this.#image = image;
  }

  initial(): { readonly hardState: HardState; readonly configuration: GroupConfiguration } {
    return this.#image.initial();
  }

  firstIndex(): number {
    return this.#image.firstIndex();
  }

  lastIndex(): number {
    return this.#image.lastIndex();
  }

  term(index: number): number | undefined {
    return this.#image.term(index);
  }

  entries(low: number, high: number, bytesMax: number): readonly Entry[] | undefined {
    return this.#image.entries(low, high, bytesMax);
  }

  snapshot(): Snapshot | undefined {
    return this.#image.snapshot();
  }
}

/** What could be read of a damaged log: to know by whom it was made and what it was about, and for nothing else. */
export class DamagedLog extends ImageReads implements RaftLogStore {
  readonly #damage: StorageError;

  constructor(image: LogImage, damage: StorageError) {
    super(image);
    this.#damage = damage;
  }

  write(): Promise<void> {
    return Promise.reject(this.#damage);
  }

  compact(): Promise<void> {
    return Promise.reject(this.#damage);
  }

  async close(): Promise<void> {}
}

/**
 * The last index of a log after an order.
 *
 * @throws InvariantError when the order would leave a gap: the core must never ask for that.
 */
export function lastIndexAfter(order: LogOrder, lastIndex: number): number {
  const { snapshot, entries } = order;
  // Whether the snapshot is newer is only known when its turn comes; an index beyond the log certainly is.
  let last = Math.max(lastIndex, snapshot?.id.index ?? 0);
  for (const [position, { index }] of entries.entries()) {
    const follows = position === 0 ? index <= last + 1 : index === last + 1;
    assert(follows, "Entries must follow the log", { index, last });
    last = index;
  }
  return last;
}
