import { isEdgeError, type NodeId, type Random } from "../../../src/base/mod.ts";
import { type AppendOrder, limitEntries } from "../../../src/core/raft/mod.ts";
import type { RaftLogReader, RaftLogStore } from "../../../src/ports/mod.ts";
import type { Entry, GroupConfiguration, HardState, Snapshot } from "../../../src/protocol/mod.ts";
import { LogImage, NO_SNAPSHOT } from "../../../src/storage/log_image.ts";
import { openWal } from "../../../src/storage/mod.ts";
import type { ReplicaDisk } from "../raft/disk_log.ts";
import { Violation } from "../raft/invariants.ts";
import type { VirtualTime } from "../raft/virtual_time.ts";
import type { Medium } from "./medium.ts";
import type { RealWork } from "./real_work.ts";

/** Small, so that segments come and go. */
const SEGMENT_BYTES = 12 * 1024;
/** Between two tries of a log without room. */
const ROOM_MS = 300;

/** What a {@link StoredLog} stands on. */
export interface StoredLogParts {
  readonly owner: NodeId;
  readonly medium: Medium;
  readonly time: VirtualTime;
  readonly work: RealWork;
  readonly random: Random;
}

/** A replica's disk that is the shipped log on a {@link Medium}. Sees to it that no life of it forgets what one before promised. */
export class StoredLog implements ReplicaDisk {
  readonly queues = true;
  readonly medium: Medium;
  /** What the log told at its starts: batches that it mended. */
  readonly mended: string[] = [];
  /** It told that it waits for room. */
  saidNoRoom = false;
  readonly #parts: StoredLogParts;
  #reader: RaftLogReader = new LogImage(limitEntries);
  #store: RaftLogStore | undefined;
  /** Ordered, and not known to be durable. */
  readonly #open = new Set<AppendOrder>();
  #life = 0;

  constructor(parts: StoredLogParts) {
    this.#parts = parts;
    this.medium = parts.medium;
  }

  /** Makes the log of a node that starts from a snapshot; index 0 = from nothing. */
  found(snapshot: Snapshot): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.reopen((refusal) => {
      if (refusal !== undefined) return reject(new Error(refusal));
      if (snapshot.id.index === 0) return resolve();
      const { term, index } = snapshot.id;
      const hardState = { term, vote: undefined, commit: index };
      const order = { snapshot, entries: [], hardState, mustSync: true, answers: [] };
      this.write(order, (failure) => failure === undefined ? resolve() : reject(failure));
    });
    return promise;
  }

  get hardState(): HardState {
    return this.#reader.initial().hardState;
  }

  get durable(): { readonly hardState: HardState; readonly lastIndex: number } {
    return { hardState: this.hardState, lastIndex: this.lastIndex() };
  }

  initial(): { readonly hardState: HardState; readonly configuration: GroupConfiguration } {
    return this.#reader.initial();
  }

  firstIndex(): number {
    return this.#reader.firstIndex();
  }

  lastIndex(): number {
    return this.#reader.lastIndex();
  }

  term(index: number): number | undefined {
    return this.#reader.term(index);
  }

  entries(low: number, high: number, bytesMax: number): readonly Entry[] | undefined {
    return this.#reader.entries(low, high, bytesMax);
  }

  snapshot(): Snapshot {
    return this.#reader.snapshot() ?? NO_SNAPSHOT;
  }

  write(order: AppendOrder, done: (failure?: string) => void): void {
    const { snapshot, entries, hardState } = order;
    this.#open.add(order);
    this.#tell(this.#store?.write({ snapshot, entries, hardState }), (failure) => {
      if (failure === undefined) this.#open.delete(order);
      done(failure);
    });
  }

  compact(snapshot: Snapshot, trailing: number, failed: (failure: string) => void): void {
    this.#tell(this.#store?.compact(snapshot, { trailing }), (failure) => {
      if (failure !== undefined) failed(failure);
    });
  }

  crash({ random, power = random.chance(1, 2) }: Parameters<ReplicaDisk["crash"]>[0]): void {
    this.#life++;
    this.medium.crash({ power });
  }

  reopen(done: (refusal?: string) => void): void {
    const { owner, time, work } = this.#parts;
    const room = {
      wait: () =>
        new Promise<boolean>((resolve) => {
          this.saidNoRoom = true;
          time.after(ROOM_MS, () => {
            work.touch();
            resolve(true);
          });
        }),
      found: () => {},
    };
    const logId = this.#parts.random.below(2 ** 32).toString(16).padStart(16, "0");
    const opening = openWal(this.medium.boot(), {
      owner,
      limitEntries,
      segmentBytes: SEGMENT_BYTES,
      logId,
      room,
      onRepaired: (what) => void this.mended.push(what),
    }).then((store) => {
      this.#checkKept(store);
      this.#store = store;
      this.#reader = store;
      this.#open.clear();
    });
    this.#tell(opening, done, (error) => {
      const isExpected = this.medium.damages > 0 || this.medium.trouble !== undefined;
      if (!isExpected) {
        throw new Violation(`storage: ${owner} can't read its log: ${error.message}`);
      }
    });
  }

  /** As an event of virtual time, unless the process is dead by then. */
  #tell(
    action: Promise<void> | undefined,
    done: (failure?: string) => void,
    judge: (error: Error) => void = () => {},
  ): void {
    const { time, work } = this.#parts;
    const life = this.#life;
    const tell = (failure?: string) =>
      time.after(0, () => {
        if (life === this.#life) done(failure);
      });
    work.touch();
    action?.then(() => tell()).catch((error: unknown) => {
      if (!isEdgeError(error) || error instanceof Violation) return work.fail(error);
      try {
        judge(error);
      } catch (violation) {
        return work.fail(violation);
      }
      tell(error.message);
    });
  }

  /** What was called durable is there, but for what an order under way may have replaced. */
  #checkKept(after: RaftLogReader): void {
    const { owner } = this.#parts;
    const before = this.#reader;
    const { term, vote } = before.initial().hardState;
    const { hardState } = after.initial();
    const lost = (what: string) => {
      throw new Violation(`storage: ${owner} forgot ${what}`);
    };
    if (hardState.term < term) lost(`term ${term}, has ${hardState.term}`);
    if (hardState.term === term && vote !== undefined && hardState.vote !== vote) {
      lost(`its vote for ${vote} in term ${term}`);
    }
    if ((after.snapshot()?.id.index ?? 0) < (before.snapshot()?.id.index ?? 0)) lost("a snapshot");
    const replaced = [...this.#open].map(({ entries, snapshot }) =>
      snapshot === undefined ? entries[0]?.index ?? Infinity : 0
    );
    const last = Math.min(before.lastIndex(), Math.min(...replaced) - 1);
    if (after.lastIndex() < last) lost(`entries up to ${last}, has ${after.lastIndex()}`);
    for (let index = Math.max(before.firstIndex(), after.firstIndex()); index <= last; index++) {
      if (after.term(index) !== before.term(index)) lost(`entry ${index}`);
    }
  }
}
