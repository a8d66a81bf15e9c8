import {
  assert,
  type EdgeError,
  errorMessage,
  isEdgeError,
  type NodeId,
  StorageError,
} from "../base/mod.ts";
import type { Disk, LogOrder, RaftLogStore } from "../ports/mod.ts";
import type { Snapshot } from "../protocol/mod.ts";
import {
  DamagedLog,
  ImageReads,
  lastIndexAfter,
  type LimitEntries,
  LogImage,
} from "./log_image.ts";
import {
  batchBytesOf,
  encodeCompanion,
  encodeFrame,
  encodeRecords,
  encodeSegmentHead,
  encodeSnapshotFile,
  hasTwin,
  SECTOR_BYTES,
  type SegmentHead,
  type WalRecord,
} from "./wal_record.ts";
import {
  type FoundSegment,
  type RecoveredLog,
  recoverLog,
  type Repair,
  salvageLog,
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
  /** What to do when there is no room for what nothing depends on yet; absent = the log fails. */
  readonly room?: LogRoom;
  /** Is told at the start what had changed on the disk and is as it was again; for people. */
  readonly onRepaired?: (what: string) => void;
  /** Is told of a log that can't be trusted, which can then be read as far as it goes and takes nothing; absent = it is refused. */
  readonly onDamaged?: (damage: StorageError) => void;
}

/** Waits for room on the disk. */
export interface LogRoom {
  /** Resolves when to try again; with false to let the log fail. `reason` is for people. */
  wait(reason: string): Promise<boolean>;
  /** What was waited for is written. */
  found(): void;
}

/** Something could not be written, and nothing that is relied on has changed. */
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
 * Opens the log in a folder, or starts one. Sector-aligned batches in zero-filled segments, short ones written twice,
 * one checksum and one sync per batch, whatever has queued up meanwhile in it.
 *
 * @throws StorageError `corrupt_file` when what is there can't be trusted and nobody is told; nothing is changed then.
 */
export async function openWal(disk: Disk, options: WalOptions): Promise<RaftLogStore> {
  const recovered = await recoverOrSalvage(disk, options);
  if (recovered instanceof DamagedLog) return recovered;
  const logId = options.logId ?? randomLogId();
  const log = new Wal(disk, options, recovered ?? logId);
  await log.start();
  return log;
}

async function recoverOrSalvage(
  disk: Disk,
  { owner, onDamaged, limitEntries }: WalOptions,
): Promise<RecoveredLog | DamagedLog | undefined> {
  try {
    return await recoverLog(disk, owner);
  } catch (error) {
    const isDamage = error instanceof StorageError && error.code === "corrupt_file";
    if (!isDamage || onDamaged === undefined) throw error;
    const image = new LogImage(limitEntries);
    image.restore(await salvageLog(disk, owner));
    await disk.close();
    onDamaged(error);
    return new DamagedLog(image, error);
  }
}

class Wal extends ImageReads implements RaftLogStore {
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
  readonly #repairs: readonly Repair[];
  readonly #onRepaired: (what: string) => void;
  #failure: StorageError | undefined;

  constructor(disk: Disk, options: WalOptions, found: RecoveredLog | string) {
    const image = new LogImage(options.limitEntries);
    super(image);
    this.#image = image;
    this.#disk = disk;
    this.#owner = options.owner;
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
    this.#room = options.room;
    this.#onRepaired = options.onRepaired ?? (() => {});
    this.#repairs = typeof found === "string" ? [] : found.repairs;
    if (typeof found === "string") {
      this.#logId = found;
      return;
    }
    this.#logId = found.segments[0]?.head.logId ?? "";
    this.#segments = [...found.segments];
    this.#image.restore(found);
    this.#plannedLastIndex = this.#image.lastIndex();
  }

  /** Makes what a new log lacks, and durable what a killed process has left to the page cache. */
  async start(): Promise<void> {
    if (this.#segments.length === 0) await this.#rollFirst();
    else await this.#settle();
    await this.#hasRoomFor(async () =>
      void (this.#watermark = await WalWatermark.open(this.#disk))
    );
    await this.#raiseWatermark();
  }

  async #settle(): Promise<void> {
    for (const repair of this.#repairs) await this.#repair(repair);
    const changed = [...this.#repairs.map(({ name }) => name), this.#currentName];
    for (const name of new Set(changed)) await this.#disk.sync(name);
    await this.#disk.syncFolder();
  }

  /** What has no room is tried again at the next start: the other copy is there. */
  async #repair({ name, at, bytes, isRot }: Repair): Promise<void> {
    const isDone = await this.#hasRoomFor(() => this.#disk.write(name, { at, bytes }));
    if (!isRot) return;
    const end = isDone ? "is written anew" : "stays so: there is no room to write it anew";
    this.#onRepaired(`"${name}" had changed at byte ${at} and lost nothing by it; it ${end}`);
  }

  async #rollFirst(): Promise<void> {
    try {
      await this.#roll(0);
    } catch (error) {
      throw error instanceof NoRoomError ? error.cause : error;
    }
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
    // The watermark lets the next start tell what was lost of the last batches from what never was.
    if (this.#failure === undefined && segment !== undefined) {
      await this.#disk.sync(this.#currentName);
      await this.#raiseWatermark();
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
        // Not before: nobody waits for the watermark, but everybody for the answer.
        if (this.#queue.length === 0) await this.#raiseWatermark();
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
    if (segment.end + batchBytesOf(payload.length) > segment.segmentBytes) {
      segment = await this.#roll(payload.length);
    }
    const sequence = segment.lastSequence + 1;
    const batch = { kind: "batch", sequence, payload } as const;
    const frame = encodeFrame(segment.head, batch);
    const companion = encodeCompanion(segment.head, batch);
    if (hasTwin(payload.length)) {
      await this.#writeSynced(segment.end, joined(frame, companion));
    } else {
      await this.#writeSynced(segment.end, frame);
      await this.#writeSynced(segment.end + frame.length, companion);
    }
    const indexes = records.map((record) => record.kind === "entry" ? record.entry.index : 0);
    const indexMax = indexes.reduce((max, index) => Math.max(max, index), segment.indexMax);
    const end = segment.end + frame.length + companion.length;
    this.#segments[this.#segments.length - 1] = {
      ...segment,
      end,
      lastSequence: sequence,
      indexMax,
    };
  }

  /** Nothing counts on it before, so it may be tried again where there is no room. */
  async #writeSynced(at: number, bytes: Uint8Array): Promise<void> {
    const name = this.#currentName;
    await orNoRoom(this.#disk.write(name, { at, bytes }));
    await this.#disk.sync(name);
  }

  /** Says that the last batch was synced; where there is no room for that, a later one will say it. */
  async #raiseWatermark(): Promise<void> {
    await this.#hasRoomFor(async () => await this.#watermark?.raise(this.#synced));
  }

  /** False when there was none. @throws what else goes wrong. */
  async #hasRoomFor(action: () => Promise<void>): Promise<boolean> {
    try {
      await action();
      return true;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      return false;
    }
  }

  /** Begins a segment with room for `payloadBytes`. Its name appears once its first frame is durable. */
  async #roll(payloadBytes: number): Promise<FoundSegment> {
    const before = this.#segments.at(-1);
    const sequence = (before?.lastSequence ?? 0) + 1;
    const segment = (before?.head.segment ?? 0) + 1;
    const { hardState, start, snapshotId } = this.#image;
    const payload = encodeRecords([{ kind: "base", hardState, start, snapshotId }]);
    const neededBytes = SECTOR_BYTES + batchBytesOf(payload.length) + batchBytesOf(payloadBytes);
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
    const batch = { kind: "batch", sequence, payload } as const;
    const base = joined(encodeFrame(head, batch), encodeCompanion(head, batch));
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
    await orNoRoom(this.#disk.write(SPARE_NAME, { at: 0, bytes }));
    await this.#disk.sync(SPARE_NAME);
    await orNoRoom(this.#disk.rename(SPARE_NAME, name));
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
    await orNoRoom(this.#disk.rename(temporary, name));
    await this.#disk.syncFolder();
  }

  async #createWhole(name: string, bytes: Uint8Array): Promise<void> {
    try {
      await orNoRoom(this.#disk.create(name, bytes));
    } catch (error) {
      // Half of it would take the room that others could make.
      if (error instanceof NoRoomError) await this.#disk.remove(name);
      throw error;
    }
  }

  get #synced(): { readonly logId: string; readonly sequence: number } {
    return { logId: this.#logId, sequence: this.#current.lastSequence };
  }

  get #currentName(): string {
    return segmentName(this.#current.head.segment);
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

function isDiskFull(error: unknown): error is EdgeError {
  return isEdgeError(error) && error.code === "disk_full";
}

/** Tells want of room apart, for what can be tried again. */
async function orNoRoom(action: Promise<void>): Promise<void> {
  try {
    await action;
  } catch (error) {
    throw isDiskFull(error) ? new NoRoomError(error.message, { cause: error }) : error;
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}

function roundUpToSector(bytes: number): number {
  return Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES;
}

function randomLogId(): string {
  return crypto.getRandomValues(new Uint8Array(8)).toHex();
}
