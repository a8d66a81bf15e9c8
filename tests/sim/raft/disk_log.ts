import type { Random } from "../../../src/base/mod.ts";
import type { RaftLogReader } from "../../../src/ports/mod.ts";
import { type AppendOrder, limitEntries } from "../../../src/core/raft/mod.ts";
import type { Entry, GroupConfiguration, HardState, Snapshot } from "../../../src/protocol/mod.ts";

/** What an order says of a disk. */
export type DiskOrder = Pick<AppendOrder, "hardState" | "entries" | "snapshot">;

/** What a replica's disk is to it. */
export interface ReplicaDisk extends RaftLogReader {
  readonly hardState: HardState;
  snapshot(): Snapshot;
  /** What would be left if power went now. */
  readonly durable: { readonly hardState: HardState; readonly lastIndex: number };
  /** True when it takes orders while others are under way, and time of its own. */
  readonly queues: boolean;
  /** Calls back once the order is carried out, or with the reason why it never will be. */
  write(order: AppendOrder, done: (failure?: string) => void): void;
  /** The state machine saved itself; entries further back than `trailing` go. */
  compact(snapshot: Snapshot, trailing: number, failed: (failure: string) => void): void;
  /** The process dies, with or without its machine. */
  crash(by: {
    readonly random: Random;
    /** Whether its machine loses power; default drawn. */
    readonly power?: boolean | undefined;
    /** What was being written. */
    readonly torn: AppendOrder | undefined;
    /** Before anything more of it is there. */
    readonly writes: (order: DiskOrder) => void;
  }): void;
  /** Calls back when it can be read again, or with the reason why it never will be. */
  reopen(done: (refusal?: string) => void): void;
}

/** All that a disk holds. */
interface Image {
  readonly hardState: HardState;
  readonly snapshot: Snapshot;
  readonly start: { readonly index: number; readonly term: number };
  readonly entries: readonly Entry[];
}

/** What one node's disk holds for Raft: survives crashes of its process, changes only by whole or torn writes. */
export class DiskLog implements ReplicaDisk {
  readonly queues = false;
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

  /** What is written without a sync may be undone by a loss of power. */
  write(order: AppendOrder, done: () => void): void {
    if (order.mustSync) this.#synced = undefined;
    else {
      this.#synced ??= {
        hardState: this.hardState,
        snapshot: this.#snapshot,
        start: this.#start,
        entries: [...this.#entries],
      };
    }
    this.#write(order);
    done();
  }

  get durable(): { readonly hardState: HardState; readonly lastIndex: number } {
    const { hardState, start, entries } = this.#synced ??
      { hardState: this.hardState, start: this.#start, entries: this.#entries };
    return { hardState, lastIndex: start.index + entries.length };
  }

  crash({ random, torn, writes }: Parameters<ReplicaDisk["crash"]>[0]): void {
    // What comes behind a loss is lost with it.
    if (random.chance(1, 2) && this.#loseUnsynced()) return;
    // The process died alone: the next one syncs what it finds.
    this.#synced = undefined;
    if (torn === undefined) return;
    const records = torn.entries.length + (torn.hardState === undefined ? 1 : 2);
    writes(torn);
    this.#writeTorn(torn, random.below(records));
  }

  reopen(done: () => void): void {
    done();
  }

  /** Power goes: what was written since the last sync is gone. False when all was synced. */
  #loseUnsynced(): boolean {
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
  #writeTorn(order: DiskOrder, kept: number): void {
    if (order.snapshot !== undefined) {
      // A snapshot appears whole, by rename, or not at all; what follows it in the order can't be there without it.
      if (kept > order.entries.length) this.#write(order);
      return;
    }
    // Entries come first: a commit index in front of them could point at what was never written.
    this.#append(order.entries.slice(0, kept));
    if (order.hardState !== undefined && kept > order.entries.length) {
      this.hardState = order.hardState;
    }
  }

  #write(order: DiskOrder): void {
    if (order.snapshot !== undefined) this.#install(order.snapshot);
    if (order.hardState !== undefined) this.hardState = order.hardState;
    this.#append(order.entries);
  }

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
