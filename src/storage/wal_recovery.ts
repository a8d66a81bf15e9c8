import { type NodeId, StorageError } from "../base/mod.ts";
import type { Disk } from "../ports/mod.ts";
import type { Entry, EntryId, HardState, Snapshot } from "../protocol/mod.ts";
import { NO_HARD_STATE, NO_SNAPSHOT } from "./log_image.ts";
import { readWatermark } from "./wal_watermark.ts";
import {
  decodeRecords,
  decodeSegmentHead,
  decodeSnapshotFile,
  encodeCompanion,
  encodeFrame,
  type Frame,
  nextFrameAt,
  readFrame,
  SECTOR_BYTES,
  type SegmentHead,
  snapshotLogId,
  type WalRecord,
} from "./wal_record.ts";

/** A segment as it was found. */
export interface FoundSegment {
  readonly head: SegmentHead;
  readonly segmentBytes: number;
  /** Where its next frame goes. */
  readonly end: number;
  readonly lastSequence: number;
  /** Highest index of any entry in it, 0 for none: once the log starts after it, the segment can go. */
  readonly indexMax: number;
}

/** A batch, or what stands behind one, is not as it was written, and known all the same. */
export interface Repair {
  readonly name: string;
  readonly at: number;
  readonly bytes: Uint8Array;
  /** False where a crash may have come between: of the very last batch. */
  readonly isRot: boolean;
}

/** A log put together from its files. */
export interface RecoveredLog {
  readonly segments: readonly FoundSegment[];
  readonly repairs: readonly Repair[];
  readonly hardState: HardState;
  readonly snapshot: Snapshot;
  readonly start: EntryId;
  readonly entries: readonly Entry[];
}

/** Name of a segment's file. */
export function segmentName(segment: number): string {
  return `wal-${String(segment).padStart(10, "0")}.log`;
}

/** Name of a snapshot's file. */
export function snapshotName(id: EntryId): string {
  return `snapshot-${String(id.index).padStart(16, "0")}-${id.term}.bin`;
}

/** Suffix of files that are not whole yet. */
export const TEMPORARY_SUFFIX = ".tmp";

const SEGMENT_PATTERN = /^wal-(\d{10})\.log$/;
const SNAPSHOT_PATTERN = /^snapshot-\d{16}-\d+\.bin$/;

/**
 * Reads the log, or undefined for a folder without one. Where a batch was written twice, one copy is enough. A torn tail
 * (written, never synced, so never acknowledged) is cut: the next batch is written over it. Anything else that does not fit
 * is refused, because a node that votes from half a log can undo what others were promised.
 *
 * @throws StorageError `corrupt_file`.
 */
export async function recoverLog(disk: Disk, owner: NodeId): Promise<RecoveredLog | undefined> {
  const names = await disk.list();
  const unfinished = names.filter((name) => name.endsWith(TEMPORARY_SUFFIX));
  const numbers = numbersOf(names);
  const snapshots = names.filter((name) => SNAPSHOT_PATTERN.test(name));
  if (numbers.length === 0) {
    if (snapshots.length > 0) throw damaged(snapshots[0], "the log it belongs to is missing");
    for (const name of unfinished) await disk.remove(name);
    return undefined;
  }
  const replay = new Replay();
  const segments: FoundSegment[] = [];
  const repairs: Repair[] = [];
  for (const [position, number] of numbers.entries()) {
    const last = position === numbers.length - 1;
    const before = segments.at(-1);
    segments.push(await readSegment(disk, { owner, number, before, last, replay, repairs }));
  }
  const logId = segments[0]?.head.logId ?? "";
  const { lastSequence = 0 } = segments.at(-1) ?? {};
  const syncedSequence = await readWatermark(disk, logId);
  if (lastSequence < syncedSequence) {
    const missing = `batches ${lastSequence + 1} to ${syncedSequence} were synced and are missing`;
    throw damaged(segmentName(numbers.at(-1) ?? 0), missing);
  }
  const snapshot = await loadSnapshot(disk, logId, replay.snapshotId);
  const { hardState, start } = replay;
  const entries = replay.finish();
  // Written but never named by the log: a crash came between.
  const unnamed = snapshots.filter((name) => name !== snapshotName(snapshot.id));
  for (const name of [...unfinished, ...unnamed]) await disk.remove(name);
  return { segments, repairs, hardState, snapshot, start, entries };
}

/**
 * What can still be read of a log that {@link recoverLog} refuses: up to the damage, and no further than what was known to be
 * committed. Changes nothing. A node that is shown this must neither vote nor confirm anything.
 */
export async function salvageLog(
  disk: Disk,
  owner: NodeId,
): Promise<Omit<RecoveredLog, "segments" | "repairs">> {
  const names = await disk.list();
  const logId = await salvageLogId(disk, names);
  const replay = new Replay();
  for (const number of numbersOf(names)) {
    const bytes = await disk.read(segmentName(number)) ?? new Uint8Array(0);
    // Its batches are known by all that their checksums cover, should the head be what is damaged.
    const named = { logId, owner, segment: number, firstSequence: 0, segmentBytes: bytes.length };
    if (!salvageSegment(named, bytes, replay)) break;
  }
  const snapshot = await newestSnapshot(disk, logId, names);
  const { hardState, start } = replay;
  const isWhole = snapshot.id.index >= start.index;
  const entries = isWhole ? replay.entriesAfter(snapshot.id.index, hardState.commit) : [];
  const commit = snapshot.id.index + entries.length;
  return { hardState: { ...hardState, commit }, snapshot, start: snapshot.id, entries };
}

/** False when it ends in damage. */
function salvageSegment(head: SegmentHead, bytes: Uint8Array, replay: Replay): boolean {
  let sequence = readFrame(head, bytes, SECTOR_BYTES)?.sequence;
  if (sequence === undefined) return false;
  for (let at = SECTOR_BYTES;; sequence++) {
    const batch = findBatch(head, bytes, { at, sequence });
    if (batch === undefined) return true;
    const records = decodeRecords(batch.payload);
    if (records.kind === "malformed") return false;
    if (records.value.some((record) => replay.take(record) !== undefined)) return false;
    at += batch.bytes;
  }
}

/** As any file says that it belongs to; "" = none does. */
async function salvageLogId(disk: Disk, names: readonly string[]): Promise<string> {
  for (const name of names) {
    const bytes = await disk.read(name) ?? new Uint8Array(0);
    if (SNAPSHOT_PATTERN.test(name)) return snapshotLogId(bytes);
    const head = SEGMENT_PATTERN.test(name) ? decodeSegmentHead(bytes) : undefined;
    if (head?.kind === "decoded") return head.value.logId;
  }
  return "";
}

async function newestSnapshot(
  disk: Disk,
  logId: string,
  names: readonly string[],
): Promise<Snapshot> {
  for (const name of names.filter((name) => SNAPSHOT_PATTERN.test(name)).toReversed()) {
    const decoded = decodeSnapshotFile(logId, await disk.read(name) ?? new Uint8Array(0));
    if (decoded.kind === "decoded") return decoded.value;
  }
  return NO_SNAPSHOT;
}

function numbersOf(names: readonly string[]): readonly number[] {
  return names.flatMap((name) => SEGMENT_PATTERN.exec(name)?.[1] ?? []).map(Number)
    .sort((a, b) => a - b);
}

interface SegmentQuestion {
  readonly owner: NodeId;
  readonly number: number;
  readonly before: FoundSegment | undefined;
  readonly last: boolean;
  readonly replay: Replay;
  /** Is added to. */
  readonly repairs: Repair[];
}

async function readSegment(disk: Disk, question: SegmentQuestion): Promise<FoundSegment> {
  const { owner, number, before, last, replay, repairs } = question;
  const name = segmentName(number);
  const bytes = await disk.read(name) ?? new Uint8Array(0);
  const decoded = decodeSegmentHead(bytes);
  if (decoded.kind === "malformed") throw damaged(name, decoded.reason);
  const head = decoded.value;
  if (head.owner !== owner) throw damaged(name, `it is the log of node ${head.owner}`);
  if (head.segment !== number) throw damaged(name, `it is segment ${head.segment}`);
  if (bytes.length < head.segmentBytes) {
    throw damaged(name, `it has ${bytes.length} bytes and was made with ${head.segmentBytes}`);
  }
  if (before !== undefined) {
    if (head.logId !== before.head.logId) throw damaged(name, "it is of another log");
    if (number !== before.head.segment + 1) throw damaged(name, "the segment before it is missing");
    if (head.firstSequence !== before.lastSequence + 1) {
      throw damaged(segmentName(before.head.segment), "synced batches at its end are missing");
    }
  }
  let end = SECTOR_BYTES;
  let lastSequence = head.firstSequence - 1;
  let indexMax = 0;
  const torn: Repair[] = [];
  for (let batch = nextBatch(); batch !== undefined; batch = nextBatch()) {
    // Another one was begun behind it, so it was synced.
    repairs.push(...torn.splice(0).map((repair) => ({ ...repair, isRot: true })));
    const records = decodeRecords(batch.payload);
    if (records.kind === "malformed") throw damaged(name, records.reason);
    for (const record of records.value) {
      const fault = replay.take(record);
      if (fault !== undefined) throw damaged(name, fault);
      if (record.kind === "entry") indexMax = Math.max(indexMax, record.entry.index);
    }
    if (batch.lacks !== undefined) torn.push({ name, isRot: !last, ...batch.lacks });
    end += batch.bytes;
    lastSequence++;
  }
  repairs.push(...torn);
  // A segment gets its name only once its first frame is synced.
  if (end === SECTOR_BYTES) throw damaged(name, "its first batch is damaged");
  // A copy that is missing may as well be a batch of an older version's log.
  if (last) refuseRot(name, { head, bytes, end: torn[0]?.at ?? end, lastSequence });
  return { head, segmentBytes: bytes.length, end, lastSequence, indexMax };

  function nextBatch(): FoundBatch | undefined {
    return findBatch(head, bytes, { at: end, sequence: lastSequence + 1 });
  }
}

interface FoundBatch {
  readonly payload: Uint8Array;
  /** With what stands behind it. */
  readonly bytes: number;
  /** What should stand somewhere and does not. */
  readonly lacks: Pick<Repair, "at" | "bytes"> | undefined;
}

/** The batch with a sequence that begins at `at`, or whose second copy begins where it would have ended. */
function findBatch(
  head: SegmentHead,
  segment: Uint8Array,
  wanted: { readonly at: number; readonly sequence: number },
): FoundBatch | undefined {
  const { at, sequence } = wanted;
  const first = readFrame(head, segment, at);
  if (first?.kind === "batch" && first.sequence === sequence) {
    const { payload, frameBytes } = first;
    const companion = encodeCompanion(head, { payload, sequence });
    const behind = at + frameBytes;
    const next = readFrame(head, segment, behind);
    if (next?.sequence === sequence && next.kind !== "batch") {
      return { payload, bytes: frameBytes + next.frameBytes, lacks: undefined };
    }
    // Older versions began the next batch there.
    const isOld = next !== undefined || behind + companion.length > segment.length;
    if (isOld) return { payload, bytes: frameBytes, lacks: undefined };
    const lacks = { at: behind, bytes: companion };
    return { payload, bytes: frameBytes + companion.length, lacks };
  }
  const twin = findTwin(head, segment, wanted);
  if (twin === undefined) return undefined;
  const { payload, frameBytes } = twin;
  const bytes = encodeFrame(head, { kind: "batch", sequence, payload });
  return { payload, bytes: 2 * frameBytes, lacks: { at, bytes } };
}

/** How long the first copy was is not known where it is damaged: as long as the second one. */
function findTwin(
  head: SegmentHead,
  segment: Uint8Array,
  { at, sequence }: { readonly at: number; readonly sequence: number },
): Frame | undefined {
  const next = (from: number) => nextFrameAt(segment, from + SECTOR_BYTES);
  for (let twinAt = next(at); twinAt < segment.length; twinAt = next(twinAt)) {
    const frame = readFrame(head, segment, twinAt);
    if (frame?.kind !== "twin" || frame.sequence !== sequence) continue;
    if (twinAt - at === frame.frameBytes) return frame;
  }
  return undefined;
}

/**
 * Tells a torn tail from rot. The batch at `end` was synced if anything was written after it: a later batch, or the mark
 * that older versions wrote. Then its damage is not the crash's doing, and cutting it would lose what was acknowledged.
 */
function refuseRot(
  name: string,
  scan: {
    readonly head: SegmentHead;
    readonly bytes: Uint8Array;
    readonly end: number;
    readonly lastSequence: number;
  },
): void {
  const { head, bytes } = scan;
  const next = (from: number) => nextFrameAt(bytes, from);
  for (let at = next(scan.end); at < bytes.length; at = next(at + SECTOR_BYTES)) {
    const frame = readFrame(head, bytes, at);
    if (frame === undefined || frame.sequence <= scan.lastSequence) continue;
    throw damaged(name, `batch ${scan.lastSequence + 1} was synced and is damaged`);
  }
}

async function loadSnapshot(disk: Disk, logId: string, id: EntryId): Promise<Snapshot> {
  if (id.index === 0) return NO_SNAPSHOT;
  const name = snapshotName(id);
  const bytes = await disk.read(name);
  if (bytes === undefined) throw damaged(name, "it is missing");
  const decoded = decodeSnapshotFile(logId, bytes);
  if (decoded.kind === "malformed") throw damaged(name, decoded.reason);
  const { term, index } = decoded.value.id;
  if (term !== id.term || index !== id.index) throw damaged(name, "it is of another index");
  return decoded.value;
}

/** Adds up what records say. The first segment may begin in the middle of the entries: older ones are gone by then. */
class Replay {
  hardState: HardState = NO_HARD_STATE;
  snapshotId: EntryId = NO_SNAPSHOT.id;
  start: EntryId = NO_SNAPSHOT.id;
  #entries: Entry[] = [];
  #based = false;

  /** Says what is wrong with a record, or takes it. */
  take(record: WalRecord): string | undefined {
    if (!this.#based && record.kind !== "base") return "its first record is not a base";
    switch (record.kind) {
      case "base":
        if (!this.#based) this.start = record.start;
        this.#based = true;
        this.hardState = record.hardState;
        this.snapshotId = record.snapshotId;
        return undefined;
      case "hard_state":
        this.hardState = record.hardState;
        return undefined;
      case "entry":
        return this.#takeEntry(record.entry);
      case "installed":
        this.#entries = [];
        this.start = record.snapshotId;
        this.snapshotId = record.snapshotId;
        return undefined;
      case "compacted":
        this.start = record.start;
        this.snapshotId = record.snapshotId;
        return undefined;
    }
  }

  /** Entries after the start, or an error when some are missing. */
  finish(): readonly Entry[] {
    const entries = this.#entries.filter((entry) => entry.index > this.start.index);
    const [first] = entries;
    if (first !== undefined && first.index !== this.start.index + 1) {
      throw damaged(undefined, `entries ${this.start.index + 1} to ${first.index - 1} are missing`);
    }
    return entries;
  }

  /** Those behind one index up to another, as far as there is no gap. */
  entriesAfter(index: number, last: number): readonly Entry[] {
    const entries = this.#entries.filter((entry) => entry.index > index && entry.index <= last);
    return entries[0]?.index === index + 1 ? entries : [];
  }

  #takeEntry(entry: Entry): string | undefined {
    const first = this.#entries[0]?.index ?? entry.index;
    const kept = entry.index - first;
    if (kept > this.#entries.length) return `entry ${entry.index} does not follow the log`;
    this.#entries.length = Math.max(0, kept);
    this.#entries.push(entry);
    return undefined;
  }
}

function damaged(name: string | undefined, reason: string): StorageError {
  const what = name === undefined ? "the Raft log" : `"${name}"`;
  return new StorageError("corrupt_file", `Cannot read ${what}: ${reason}`);
}
