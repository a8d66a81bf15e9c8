import type { Random } from "../../../src/base/mod.ts";
import type { RaftLogReader } from "../../../src/ports/mod.ts";
import type { AppendOrder } from "../../../src/core/raft/mod.ts";
import type { HardState, Snapshot } from "../../../src/protocol/mod.ts";
import { EMPTY_SNAPSHOT, type LogState, MemoryLog } from "../memory_log.ts";

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

/** What one node's disk holds for Raft: survives crashes of its process, changes only by whole or torn writes. */
export class DiskLog extends MemoryLog implements ReplicaDisk {
  readonly queues = false;
  /** What a loss of power leaves, when something was written without a sync since. */
  #synced: LogState | undefined;

  /** `bootstrap` is what the first members start from; a node that joins later starts from nothing at index 0. */
  constructor(bootstrap: Snapshot) {
    super(bootstrap);
    const { term, index } = bootstrap.id;
    this.hardState = { term, vote: undefined, commit: index };
  }

  override snapshot(): Snapshot {
    return super.snapshot() ?? EMPTY_SNAPSHOT;
  }

  /** What is written without a sync may be undone by a loss of power. */
  write(order: AppendOrder, done: () => void): void {
    this.#synced = order.mustSync ? undefined : this.#synced ?? this.state;
    this.#write(order);
    done();
  }

  get durable(): { readonly hardState: HardState; readonly lastIndex: number } {
    if (this.#synced === undefined) {
      return { hardState: this.hardState, lastIndex: this.lastIndex() };
    }
    const { hardState, compacted, entries } = this.#synced;
    return { hardState, lastIndex: compacted.index + entries.length };
  }

  crash({ random, torn, writes }: Parameters<ReplicaDisk["crash"]>[0]): void {
    const synced = this.#synced;
    // The process may die alone: the next one syncs what it finds.
    this.#synced = undefined;
    if (random.chance(1, 2) && synced !== undefined) {
      // What comes behind a loss is lost with it.
      return this.restore(synced);
    }
    if (torn === undefined) return;
    const records = torn.entries.length + (torn.hardState === undefined ? 1 : 2);
    writes(torn);
    this.#writeTorn(torn, random.below(records));
  }

  reopen(done: () => void): void {
    done();
  }

  compact(snapshot: Snapshot, trailing: number): void {
    // A newer one may have come from the leader meanwhile.
    if (snapshot.id.index <= this.snapshot().id.index) return;
    this.remember(snapshot);
    // Taking a snapshot ends with a sync of everything.
    this.#synced = undefined;
    const index = snapshot.id.index - trailing;
    if (index >= this.firstIndex() && this.term(index) !== undefined) this.dropUpTo(index);
  }

  /** A crash tears a write: only the first `kept` of its records are there. */
  #writeTorn(order: DiskOrder, kept: number): void {
    if (order.snapshot !== undefined) {
      // A snapshot appears whole, by rename, or not at all; what follows it in the order can't be there without it.
      if (kept > order.entries.length) this.#write(order);
      return;
    }
    // Entries come first: a commit index in front of them could point at what was never written.
    this.append(order.entries.slice(0, kept));
    if (order.hardState !== undefined && kept > order.entries.length) {
      this.hardState = order.hardState;
    }
  }

  #write(order: DiskOrder): void {
    if (order.snapshot !== undefined) this.install(order.snapshot);
    if (order.hardState !== undefined) this.hardState = order.hardState;
    const [first] = order.entries;
    if (first !== undefined && first.index < this.firstIndex()) {
      throw new Error(`append at ${first.index}, which is gone: starts at ${this.firstIndex()}`);
    }
    this.append(order.entries);
  }
}
