import { assert, type StateKeeper } from "../../base/mod.ts";
import type { Entry, EntryId, Snapshot } from "../../protocol/mod.ts";

/**
 * The end of the log that is not known to be durable: entries from `offset` on and perhaps a snapshot before them.
 * A part of it may be *in progress*: handed out to be written, not yet confirmed.
 *
 * Invariant: offset <= offsetInProgress <= offset + entries.length; entries[i].index === offset + i.
 */
export class Unstable {
  #snapshot: Snapshot | undefined;
  #entries: readonly Entry[] = [];
  #offset: number;
  #snapshotInProgress = false;
  #offsetInProgress: number;

  constructor(offset: number) {
    this.#offset = offset;
    this.#offsetInProgress = offset;
  }

  /** Index of the first entry held here, or that would be. */
  get offset(): number {
    return this.#offset;
  }

  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  get hasEntries(): boolean {
    return this.#entries.length > 0;
  }

  /** Entries nobody was told to write yet. */
  get nextEntries(): readonly Entry[] {
    return this.#entries.slice(this.#offsetInProgress - this.#offset);
  }

  /** The snapshot, unless someone was already told to write it. */
  get nextSnapshot(): Snapshot | undefined {
    return this.#snapshotInProgress ? undefined : this.#snapshot;
  }

  /** Index of the first entry the log can have, if a pending snapshot decides it. */
  get firstIndex(): number | undefined {
    return this.#snapshot === undefined ? undefined : this.#snapshot.id.index + 1;
  }

  /** Index of the last entry, if it is decided here. */
  get lastIndex(): number | undefined {
    if (this.#entries.length > 0) return this.#offset + this.#entries.length - 1;
    return this.#snapshot?.id.index;
  }

  /** Term at `index` if it is held here. */
  term(index: number): number | undefined {
    if (index < this.#offset) {
      return this.#snapshot?.id.index === index ? this.#snapshot.id.term : undefined;
    }
    return this.#entries[index - this.#offset]?.term;
  }

  /** Entries [low, high); both within what is held. */
  slice(low: number, high: number): readonly Entry[] {
    assert(
      low >= this.#offset && high <= this.#offset + this.#entries.length && low <= high,
      "Unstable slice must lie inside the unstable log",
      { low, high, offset: this.#offset, count: this.#entries.length },
    );
    return this.#entries.slice(low - this.#offset, high - this.#offset);
  }

  /** All that is held is now being written. */
  acceptInProgress(): void {
    this.#offsetInProgress = this.#offset + this.#entries.length;
    if (this.#snapshot !== undefined) this.#snapshotInProgress = true;
  }

  /**
   * Entries up to `id` became durable. Ignored when another entry stands at that index by now: an older write
   * finished after the log was overwritten, and the newer write is still on its way.
   */
  stableTo(id: EntryId): void {
    if (id.index < this.#offset || this.term(id.index) !== id.term) return;
    this.#entries = this.#entries.slice(id.index + 1 - this.#offset);
    this.#offset = id.index + 1;
    this.#offsetInProgress = Math.max(this.#offsetInProgress, this.#offset);
    this.#check();
  }

  /** The snapshot at `index` became durable. */
  snapshotStableTo(index: number): void {
    if (this.#snapshot?.id.index !== index) return;
    this.#snapshot = undefined;
    this.#snapshotInProgress = false;
  }

  /** Replaces everything by a snapshot. */
  restore(snapshot: Snapshot): void {
    this.#offset = snapshot.id.index + 1;
    this.#offsetInProgress = this.#offset;
    this.#entries = [];
    this.#snapshot = snapshot;
    this.#snapshotInProgress = false;
  }

  /** Appends `entries`, first dropping what they overwrite; they must follow something held or durable. */
  truncateAndAppend(entries: readonly Entry[]): void {
    const first = entries[0]?.index;
    if (first === undefined) return;
    const end = this.#offset + this.#entries.length;
    if (first === end) {
      this.#entries = [...this.#entries, ...entries];
    } else if (first <= this.#offset) {
      this.#entries = entries;
      this.#offset = first;
      this.#offsetInProgress = first;
    } else {
      assert(first < end, "Entries must not leave a gap in the log", { first, end });
      this.#entries = [...this.#entries.slice(0, first - this.#offset), ...entries];
      // What is being written from `first` on is void; it has to be written again.
      this.#offsetInProgress = Math.min(this.#offsetInProgress, first);
    }
    this.#check();
  }

  keep(keeper: StateKeeper): void {
    this.#snapshot = keeper.keep(this.#snapshot);
    this.#entries = keeper.keep(this.#entries);
    this.#offset = keeper.keep(this.#offset);
    this.#snapshotInProgress = keeper.keep(this.#snapshotInProgress);
    this.#offsetInProgress = keeper.keep(this.#offsetInProgress);
  }

  #check(): void {
    const [offset, writing, first] = [
      this.#offset,
      this.#offsetInProgress,
      this.#entries[0]?.index,
    ];
    const isSound = (first === undefined || first === offset) && writing >= offset &&
      writing <= offset + this.#entries.length;
    assert(isSound, "The log's tail goes on from what is durable", { offset, writing, first });
  }
}
