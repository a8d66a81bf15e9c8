import type { RaftLogReader } from "../../../src/ports/mod.ts";
import { type AppendOrder, limitEntries } from "../../../src/core/raft/mod.ts";
import type { Entry, GroupConfiguration, HardState, Snapshot } from "../../../src/protocol/mod.ts";

/** All that a disk holds. */
interface Image {
  readonly hardState: HardState;
  readonly snapshot: Snapshot;
  readonly start: { readonly index: number; readonly term: number };
  readonly entries: readonly Entry[];
}

/** What one node's disk holds for Raft: survives crashes of its process, changes only by whole or torn writes. */
export class DiskLog implements RaftLogReader {
  hardState: HardState;
  #snapshot: Snapshot;
  /** The compaction point: entries up to it are gone. Invariant: <= the snapshot's index. */
  #start: { index: number; term: number };
  #entries: Entry[] = [];
  /** What a loss of power leaves, when something was written without a sync since. */
  #synced: Image | undefined;

  /** `bootstrap` is what the first members start from; a node that joins later starts from nothing at index 0. */
  constructor(bootstrap: Snapshot) {
    const { term, index } = bootstrap.id;
    this.#snapshot = bootstrap;
    this.#start = { index, term };
    this.hardState = { term, vote: undefined, commit: index };
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
    const offset = this.firstIndex();
    return limitEntries(this.#entries.slice(low - offset, high - offset), bytesMax);
  }

  snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Writes an order; without `synced` a loss of power may undo it. */
  write(
    order: Pick<AppendOrder, "hardState" | "entries" | "snapshot">,
    options: { readonly synced: boolean } = { synced: true },
  ): void {
    if (options.synced) this.#synced = undefined;
    else {
      this.#synced ??= {
        hardState: this.hardState,
        snapshot: this.#snapshot,
        start: this.#start,
        entries: [...this.#entries],
      };
    }
    if (order.snapshot !== undefined) this.#install(order.snapshot);
    if (order.hardState !== undefined) this.hardState = order.hardState;
    this.#append(order.entries);
  }

  /** What would be left if power went now. */
  get durable(): { readonly hardState: HardState; readonly lastIndex: number } {
    const { hardState, start, entries } = this.#synced ??
      { hardState: this.hardState, start: this.#start, entries: this.#entries };
    return { hardState, lastIndex: start.index + entries.length };
  }

  /** The process died alone: the next one syncs what it finds. */
  keepUnsynced(): void {
    this.#synced = undefined;
  }

  /** Power goes: what was written since the last sync is gone. False when all was synced. */
  loseUnsynced(): boolean {
    if (this.#synced === undefined) return false;
    const { hardState, snapshot, start, entries } = this.#synced;
    this.hardState = hardState;
    this.#snapshot = snapshot;
    this.#start = { ...start };
    this.#entries = [...entries];
    this.#synced = undefined;
    return true;
  }

  /** A crash tears a write: only the first `kept` of its records are there. */
  writeTorn(order: Pick<AppendOrder, "hardState" | "entries" | "snapshot">, kept: number): void {
    if (order.snapshot !== undefined) {
      // A snapshot appears whole, by rename, or not at all; what follows it in the order can't be there without it.
      if (kept > order.entries.length) this.write(order);
      return;
    }
    // Entries come first: a commit index in front of them could point at what was never written.
    this.#append(order.entries.slice(0, kept));
    if (order.hardState !== undefined && kept > order.entries.length) {
      this.hardState = order.hardState;
    }
  }

  /** The state machine saved itself; entries further back than `trailing` go. */
  compact(snapshot: Snapshot, trailing: number): void {
    // A newer one may have come from the leader meanwhile.
    if (snapshot.id.index <= this.#snapshot.id.index) return;
    this.#snapshot = snapshot;
    // Taking a snapshot ends with a sync of everything.
    this.#synced = undefined;
    const index = snapshot.id.index - trailing;
    const term = this.term(index);
    if (index <= this.#start.index || term === undefined) return;
    this.#entries.splice(0, index - this.#start.index);
    this.#start = { index, term };
  }

  #install(snapshot: Snapshot): void {
    if (snapshot.id.index <= this.#snapshot.id.index) return;
    this.#snapshot = snapshot;
    this.#entries = [];
    this.#start = { ...snapshot.id };
  }

  #append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const keep = first.index - this.#start.index - 1;
    if (keep < 0 || keep > this.#entries.length) {
      throw new Error(
        `append at ${first.index} leaves a gap: [${this.firstIndex()}, ${this.lastIndex()}]`,
      );
    }
    this.#entries.length = keep;
    this.#entries.push(...entries);
  }
}
