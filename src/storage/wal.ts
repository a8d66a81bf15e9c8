import { assert, errorMessage, isEdgeError, type NodeId, StorageError } from "../base/mod.ts";
import type { Disk, LogOrder, RaftLogStore } from "../ports/mod.ts";
import type { Entry, GroupConfiguration, HardState, Snapshot } from "../protocol/mod.ts";
import { lastIndexAfter, type LimitEntries, LogImage } from "./log_image.ts";
import {
  encodeFrame,
  encodeRecords,
  encodeSegmentHead,
  encodeSnapshotFile,
  SECTOR_BYTES,
  type SegmentHead,
  type WalRecord,
} from "./wal_record.ts";
import {
  type FoundSegment,
  type RecoveredLog,
  recoverLog,
  segmentName,
  snapshotName,
  TEMPORARY_SUFFIX,
} from "./wal_recovery.ts";
import { WalWatermark } from "./wal_watermark.ts";

/** How to open a log. */
export interface WalOptions {
  readonly owner: NodeId;
  /** The core's measure of entries, so that both cut alike. */
  readonly limitEntries: LimitEntries;
  /** Bytes of one segment, zero-filled in advance; default 8 MiB. A batch that is larger gets a segment of its size. */
  readonly segmentBytes?: number;
  /** Sixteen hex digits that no other log has; default random. */
  readonly logId?: string;
  /** What to do when there is no room for a new file, of which nothing depends yet; absent = the log fails. */
  readonly room?: LogRoom;
}

/** Waits for room on the disk. */
export interface LogRoom {
  /** Resolves when to try again; with false to let the log fail. `reason` is for people. */
  wait(reason: string): Promise<boolean>;
  /** What was waited for is written. */
  found(): void;
}

/** A new file could not be made; nothing else has changed. */
class NoRoomError extends Error {}

const SEGMENT_BYTES = 8 * 1024 * 1024;
/** The next segment while it is only zeros. */
const SPARE_NAME = `spare${TEMPORARY_SUFFIX}`;
/** Bytes of entries that are synced as one batch; the orders behind them make the next one. */
const BATCH_BYTES_MAX = 4 * 1024 * 1024;

interface Pending {
  readonly work:
    | { readonly kind: "write"; readonly order: LogOrder }
    | { readonly kind: "compact"; readonly snapshot: Snapshot; readonly trailing: number };
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Opens the log in a folder, or starts one. Sector-aligned batches in zero-filled segments, one checksum and one sync per
 * batch, whatever has queued up meanwhile in it.
 *
 * @throws StorageError `corrupt_file` when what is there can't be trusted; nothing is changed then.
 */
export async function openWal(disk: Disk, options: WalOptions): Promise<RaftLogStore> {
  const recovered = await recoverLog(disk, options.owner);
  const logId = options.logId ?? randomLogId();
  const log = new Wal(disk, options, recovered ?? logId);
  await log.start();
  return log;
}

class Wal implements RaftLogStore {
  readonly #disk: Disk;
  readonly #image: LogImage;
  readonly #owner: NodeId;
  readonly #logId: string;
  readonly #segmentBytes: number;
  readonly #room: LogRoom | undefined;
  // In order; the last one is written to.
  #segments: FoundSegment[] = [];
  readonly #queue: Pending[] = [];
  // Last index once all that waits is written.
  #plannedLastIndex = 0;
  #working: Promise<void> | undefined;
  /** Zeros for the next segment, made beside the work: writing them when they are needed would hold up every commit. */
  #spare: { readonly fileBytes: number; readonly isWhole: Promise<boolean> } | undefined;
  #watermark: WalWatermark | undefined;
  #failure: StorageError | undefined;

  constructor(disk: Disk, options: WalOptions, found: RecoveredLog | string) {
    this.#disk = disk;
    this.#owner = options.owner;
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
    this.#room = options.room;
    this.#image = new LogImage(options.limitEntries);
    if (typeof found === "string") {
      this.#logId = found;
      return;
    }
    this.#logId = found.segments[0]?.head.logId ?? "";
    this.#segments = [...found.segments];
    this.#image.restore(found);
    this.#plannedLastIndex = this.#image.lastIndex();
  }

  /** Makes what a new log lacks. */
  async start(): Promise<void> {
    if (this.#segments.length === 0) await this.#rollFirst();
    this.#watermark = await WalWatermark.open(this.#disk, this.#synced);
  }

  async #rollFirst(): Promise<void> {
    try {
      await this.#roll(0);
    } catch (error) {
      throw error instanceof NoRoomError ? error.cause : error;
    }
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

  write(order: LogOrder): Promise<void> {
    // Before anything reaches the disk: a log with a hole could never be read again.
    this.#plannedLastIndex = lastIndexAfter(order, this.#plannedLastIndex);
    return this.#enqueue({ kind: "write", order });
  }

  compact(snapshot: Snapshot, options: { readonly trailing: number }): Promise<void> {
    return this.#enqueue({ kind: "compact", snapshot, trailing: options.trailing });
  }

  async close(): Promise<void> {
    await this.#working;
    await this.#spare?.isWhole;
    const segment = this.#segments.at(-1);
    // The mark on disk lets the next start tell rot of the last batch from a torn one.
    if (this.#failure === undefined && segment !== undefined) {
      await this.#disk.sync(segmentName(segment.head.segment));
      await this.#watermark?.raise(this.#synced);
      await this.#watermark?.sync();
    }
    this.#failure ??= new StorageError("storage_failed", "Cannot write the Raft log: it is closed");
    await this.#disk.close();
  }

  #enqueue(work: Pending["work"]): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#queue.push({ work, resolve, reject });
    this.#working ??= this.#workOff();
    return promise;
  }

  async #workOff(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#takeBatch();
      try {
        await this.#carryOutWithRoom(batch.map((pending) => pending.work));
        for (const pending of batch) pending.resolve();
        // Not before: nobody waits for the mark, but everybody for the answer.
        await this.#mark();
        this.#prepareSpare();
      } catch (error) {
        this.#fail(error, batch);
      }
    }
    this.#working = undefined;
  }

  /** Writes that wait go together; a snapshot changes files of its own and goes alone. */
  #takeBatch(): Pending[] {
    const batch: Pending[] = [];
    let bytes = 0;
    for (const pending of this.#queue) {
      const { work } = pending;
      const alone = work.kind === "compact" || work.order.snapshot !== undefined;
      if (batch.length > 0 && (alone || bytes > BATCH_BYTES_MAX)) break;
      batch.push(pending);
      if (alone) break;
      for (const entry of work.order.entries) {
        bytes += entry.kind === "command" ? entry.data.length : entry.change.context.length;
      }
    }
    this.#queue.splice(0, batch.length);
    return batch;
  }

  async #carryOutWithRoom(works: readonly Pending["work"][]): Promise<void> {
    for (let waits = 0;; waits++) {
      try {
        await this.#carryOut(works);
        if (waits > 0) this.#room?.found();
        return;
      } catch (error) {
        if (!(error instanceof NoRoomError)) throw error;
        if (!await this.#room?.wait(error.message)) throw error.cause;
      }
    }
  }

  async #carryOut(works: readonly Pending["work"][]): Promise<void> {
    const [first] = works;
    if (first?.kind === "compact") return await this.#compact(first.snapshot, first.trailing);
    const orders = works.flatMap((work) => work.kind === "write" ? [work.order] : []);
    const newer = (snapshot: Snapshot) => snapshot.id.index > this.#image.snapshotId.index;
    const records: WalRecord[] = [];
    for (const { snapshot, entries, hardState } of orders) {
      if (snapshot !== undefined && newer(snapshot)) {
        await this.#writeSnapshot(snapshot);
        records.push({ kind: "installed", snapshotId: snapshot.id });
      }
      for (const entry of entries) records.push({ kind: "entry", entry });
      if (hardState !== undefined) records.push({ kind: "hard_state", hardState });
    }
    if (records.length > 0) await this.#append(records);
    for (const order of orders) this.#image.write(order);
    if (orders.some((order) => order.snapshot !== undefined)) await this.#dropOutdated();
  }

  async #compact(snapshot: Snapshot, trailing: number): Promise<void> {
    const start = this.#image.compactionStart(snapshot.id, trailing);
    if (start === undefined) return;
    // The snapshot is durable before the log says that it may be relied on.
    await this.#writeSnapshot(snapshot);
    await this.#append([{ kind: "compacted", snapshotId: snapshot.id, start }]);
    this.#image.compact(snapshot, start);
    await this.#dropOutdated();
  }

  async #writeSnapshot(snapshot: Snapshot): Promise<void> {
    const name = snapshotName(snapshot.id);
    await this.#publish(name, encodeSnapshotFile(this.#logId, snapshot));
  }

  /** One frame, one sync: after a crash all of it is there or none. */
  async #append(records: readonly WalRecord[]): Promise<void> {
    const payload = encodeRecords(records);
    let segment = this.#current;
    if (segment.end + payload.length + 2 * SECTOR_BYTES > segment.segmentBytes) {
      segment = await this.#roll(payload.length);
    }
    const sequence = segment.lastSequence + 1;
    const frame = encodeFrame(segment.head, { kind: "batch", sequence, payload });
    const name = segmentName(segment.head.segment);
    await this.#disk.write(name, { at: segment.end, bytes: frame });
    await this.#disk.sync(name);
    const indexes = records.map((record) => record.kind === "entry" ? record.entry.index : 0);
    const indexMax = indexes.reduce((max, index) => Math.max(max, index), segment.indexMax);
    const end = segment.end + frame.length;
    this.#segments[this.#segments.length - 1] = {
      ...segment,
      end,
      lastSequence: sequence,
      indexMax,
    };
  }

  /** Says that the last batch was synced. Not synced itself: it only has to reach the disk some time before rot does. */
  async #mark(): Promise<void> {
    const { head, end, lastSequence: sequence, segmentBytes } = this.#current;
    if (this.#queue.length > 0) return;
    await this.#watermark?.raise(this.#synced);
    if (end + SECTOR_BYTES > segmentBytes) return;
    const mark = encodeFrame(head, { kind: "mark", sequence, payload: new Uint8Array(0) });
    await this.#disk.write(segmentName(head.segment), { at: end, bytes: mark });
  }

  /** Begins a segment with room for `payloadBytes`. Its name appears once its first frame is durable. */
  async #roll(payloadBytes: number): Promise<FoundSegment> {
    const before = this.#segments.at(-1);
    const sequence = (before?.lastSequence ?? 0) + 1;
    const segment = (before?.head.segment ?? 0) + 1;
    const { hardState, start, snapshotId } = this.#image;
    const payload = encodeRecords([{ kind: "base", hardState, start, snapshotId }]);
    const neededBytes = payload.length + payloadBytes + 6 * SECTOR_BYTES;
    const spareBytes = await this.#takeSpare(neededBytes);
    const segmentBytes = spareBytes ??
      roundUpToSector(Math.max(this.#segmentBytes, neededBytes));
    const head: SegmentHead = {
      logId: this.#logId,
      owner: this.#owner,
      segment,
      firstSequence: sequence,
      segmentBytes,
    };
    const base = encodeFrame(head, { kind: "batch", sequence, payload });
    const end = SECTOR_BYTES + base.length;
    const bytes = new Uint8Array(spareBytes === undefined ? segmentBytes : end);
    bytes.set(encodeSegmentHead(head));
    bytes.set(base, SECTOR_BYTES);
    if (spareBytes === undefined) await this.#publish(segmentName(segment), bytes);
    else await this.#publishSpare(segmentName(segment), bytes);
    const begun = {
      head,
      segmentBytes,
      end,
      lastSequence: sequence,
      indexMax: 0,
    };
    this.#segments.push(begun);
    return begun;
  }

  /** Size of the spare, which is the caller's from here on; undefined where there is none that is large enough. */
  async #takeSpare(neededBytes: number): Promise<number | undefined> {
    const spare = this.#spare;
    this.#spare = undefined;
    const fits = spare !== undefined && await spare.isWhole && spare.fileBytes >= neededBytes;
    return fits ? spare.fileBytes : undefined;
  }

  async #publishSpare(name: string, bytes: Uint8Array): Promise<void> {
    await this.#disk.write(SPARE_NAME, { at: 0, bytes });
    await this.#disk.sync(SPARE_NAME);
    await this.#disk.rename(SPARE_NAME, name);
    await this.#disk.syncFolder();
  }

  #prepareSpare(): void {
    const { end, segmentBytes } = this.#current;
    if (this.#spare !== undefined || this.#failure !== undefined || end < segmentBytes / 2) return;
    const fileBytes = roundUpToSector(this.#segmentBytes);
    const isWhole = this.#disk.prepare(SPARE_NAME, fileBytes).then(
      () => true,
      // Only a convenience failed. What is wrong with the disk will show when the segment is really needed; half a file
      // would take the room for it.
      () => this.#disk.remove(SPARE_NAME).then(() => false, () => false),
    );
    this.#spare = { fileBytes, isWhole };
  }

  /** Removes segments and snapshots that the log no longer needs. Oldest first, each synced: no hole can come to be. */
  async #dropOutdated(): Promise<void> {
    const { start, snapshotId } = this.#image;
    for (let first = this.#segments[0]; first !== undefined; first = this.#segments[0]) {
      if (this.#segments.length === 1 || first.indexMax > start.index) break;
      await this.#disk.remove(segmentName(first.head.segment));
      await this.#disk.syncFolder();
      this.#segments.shift();
    }
    for (const name of await this.#disk.list()) {
      if (!name.startsWith("snapshot-") || name === snapshotName(snapshotId)) continue;
      await this.#disk.remove(name);
    }
  }

  async #publish(name: string, bytes: Uint8Array): Promise<void> {
    const temporary = name + TEMPORARY_SUFFIX;
    await this.#createWhole(temporary, bytes);
    await this.#disk.sync(temporary);
    await this.#disk.rename(temporary, name);
    await this.#disk.syncFolder();
  }

  async #createWhole(name: string, bytes: Uint8Array): Promise<void> {
    try {
      await this.#disk.create(name, bytes);
    } catch (error) {
      if (!isEdgeError(error) || error.code !== "disk_full") throw error;
      // Half of it would take the room that others could make.
      await this.#disk.remove(name);
      throw new NoRoomError(error.message, { cause: error });
    }
  }

  get #synced(): { readonly logId: string; readonly sequence: number } {
    return { logId: this.#logId, sequence: this.#current.lastSequence };
  }

  get #current(): FoundSegment {
    const segment = this.#segments.at(-1);
    assert(segment !== undefined, "A log has a segment");
    return segment;
  }

  /** After a failed sync the kernel may have dropped the pages: what is on the disk is unknown from here on. */
  #fail(error: unknown, batch: readonly Pending[]): void {
    this.#failure ??= error instanceof StorageError ? error : new StorageError(
      "storage_failed",
      `Cannot write the Raft log: ${errorMessage(error)}`,
      { cause: error },
    );
    for (const pending of [...batch, ...this.#queue.splice(0)]) pending.reject(this.#failure);
  }
}

function roundUpToSector(bytes: number): number {
  return Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES;
}

function randomLogId(): string {
  return crypto.getRandomValues(new Uint8Array(8)).toHex();
}
