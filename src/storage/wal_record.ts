import { crc32 } from "node:zlib";
import type { NodeId } from "../base/mod.ts";
import {
  ByteReader,
  ByteWriter,
  type Decoded,
  type Entry,
  entryField,
  type EntryId,
  entryIdField,
  type HardState,
  hardStateField,
  type Snapshot,
  snapshotField,
} from "../protocol/mod.ts";

/**
 * The unit a crash can lose or garble. Every frame begins on one of its own, so that a write that is not synced yet can't
 * take synced bytes with it.
 */
export const SECTOR_BYTES = 512;
/** Segment header, frame header: magic, checksum, length, kind, sequence. */
const FRAME_HEAD_BYTES = 24;
const SEGMENT_MAGIC = 0x4c41574f; // "OWAL"
const FRAME_MAGIC = 0x4d52464f; // "OFRM"
const FRAME_FIRST_BYTE = FRAME_MAGIC & 0xff;
const SNAPSHOT_MAGIC = 0x504e534f; // "OSNP"
/** Format of segments, frames and snapshot files. */
const WAL_FORMAT = 1;

/** What makes a segment part of one log of one node. */
export interface SegmentHead {
  /** Drawn when the log was made; every checksum covers it, so that parts of another log never fit. */
  readonly logId: string;
  readonly owner: NodeId;
  /** Position in the log's row of segments, from 1. */
  readonly segment: number;
  /** Sequence of its first frame. */
  readonly firstSequence: number;
  /** Of the whole file, zeros at its end included; 0 = not told, as by older versions. */
  readonly segmentBytes: number;
}

/** What the log says, one after another. */
export type WalRecord =
  /** First of a segment: all that older ones said, entries apart. */
  | {
    readonly kind: "base";
    readonly hardState: HardState;
    readonly start: EntryId;
    readonly snapshotId: EntryId;
  }
  | { readonly kind: "entry"; readonly entry: Entry }
  | { readonly kind: "hard_state"; readonly hardState: HardState }
  /** A snapshot of the leader has replaced everything before. */
  | { readonly kind: "installed"; readonly snapshotId: EntryId }
  /** A snapshot of the own state machine: entries up to `start` are gone. */
  | { readonly kind: "compacted"; readonly snapshotId: EntryId; readonly start: EntryId };

/**
 * A batch that was written and synced at once, or what tells a torn one from one that rotted after it was synced: a second
 * copy, written along with it, of which rot spoils only one; or, where that would be long, a mark that is written once the
 * batch is synced. Older versions had a mark, not synced, behind the last batch alone.
 */
export interface Frame {
  readonly kind: (typeof FRAME_KINDS)[number];
  /** Rises by one per batch over all segments; a twin or mark has its batch's. */
  readonly sequence: number;
  readonly payload: Uint8Array;
  /** Bytes it takes, a multiple of {@link SECTOR_BYTES}. */
  readonly frameBytes: number;
}

/** Measured: beyond it, twice the bytes take longer than one more sync. */
const TWIN_PAYLOAD_BYTES_MAX = 64 * 1024;
const FRAME_KINDS = ["batch", "mark", "twin"] as const;
const RECORD_KINDS = ["base", "entry", "hard_state", "installed", "compacted"] as const;

/** One sector. */
export function encodeSegmentHead(head: SegmentHead): Uint8Array {
  const writer = new ByteWriter(SECTOR_BYTES).uint32(SEGMENT_MAGIC).uint32(WAL_FORMAT);
  writer.hex64(head.logId).hex64(head.owner).varint(head.segment).varint(head.firstSequence);
  writer.varint(head.segmentBytes);
  const sector = new Uint8Array(SECTOR_BYTES);
  sector.set(writer.finish());
  const sum = crc32(sector.subarray(0, SECTOR_BYTES - 4));
  sector.set(new ByteWriter(4).uint32(sum).finish(), SECTOR_BYTES - 4);
  return sector;
}

/** Never throws, on any bytes. */
export function decodeSegmentHead(bytes: Uint8Array): Decoded<SegmentHead> {
  const sector = bytes.subarray(0, SECTOR_BYTES);
  const reader = new ByteReader(sector);
  if (reader.uint32() !== SEGMENT_MAGIC) reader.fail("not a log segment");
  if (reader.uint32() !== WAL_FORMAT) reader.fail("unknown format");
  const logId = reader.hex64();
  const owner = reader.hex64() as NodeId;
  const segment = reader.varint();
  const firstSequence = reader.varint();
  // The zeros behind an older head say 0.
  const segmentBytes = reader.varint();
  const sum = new ByteReader(sector.subarray(SECTOR_BYTES - 4)).uint32();
  if (reader.fault === undefined && sum !== crc32(sector.subarray(0, SECTOR_BYTES - 4))) {
    reader.fail("checksum does not match");
  }
  if (reader.fault !== undefined) return { kind: "malformed", reason: reader.fault };
  return { kind: "decoded", value: { logId, owner, segment, firstSequence, segmentBytes } };
}

/** A frame as it lies in its segment, padded to whole sectors. */
export function encodeFrame(
  head: SegmentHead,
  frame: Omit<Frame, "frameBytes">,
): Uint8Array<ArrayBuffer> {
  const { payload, sequence, kind } = frame;
  const bytes = new Uint8Array(frameBytesOf(payload.length));
  const writer = new ByteWriter(FRAME_HEAD_BYTES).uint32(FRAME_MAGIC).uint32(0);
  writer.uint32(payload.length).uint32(FRAME_KINDS.indexOf(kind));
  writer.uint32(sequence % 2 ** 32).uint32(Math.floor(sequence / 2 ** 32));
  bytes.set(writer.finish());
  bytes.set(payload, FRAME_HEAD_BYTES);
  // Padding is under the checksum too, so that no bit of a synced frame can change unnoticed.
  const sum = frameChecksum(head, bytes);
  bytes.set(new ByteWriter(4).uint32(sum).finish(), 4);
  return bytes;
}

/** What stands behind a batch. */
export function encodeCompanion(
  head: SegmentHead,
  { payload, sequence }: Pick<Frame, "payload" | "sequence">,
): Uint8Array<ArrayBuffer> {
  return hasTwin(payload.length)
    ? encodeFrame(head, { kind: "twin", sequence, payload })
    : encodeFrame(head, { kind: "mark", sequence, payload: new Uint8Array(0) });
}

/** True where a second copy costs less than a second sync. */
export function hasTwin(payloadBytes: number): boolean {
  return payloadBytes <= TWIN_PAYLOAD_BYTES_MAX;
}

/** Bytes of a batch with what stands behind it. */
export function batchBytesOf(payloadBytes: number): number {
  return frameBytesOf(payloadBytes) + frameBytesOf(hasTwin(payloadBytes) ? payloadBytes : 0);
}

/** Bytes of a frame around so many. */
function frameBytesOf(payloadBytes: number): number {
  return Math.ceil((FRAME_HEAD_BYTES + payloadBytes) / SECTOR_BYTES) * SECTOR_BYTES;
}

/**
 * The first sector from `at` on, itself the start of one, where a frame may begin; the segment's length where there is none.
 * Most of a segment is zeros, which take a look each and not a reader of frames.
 */
export function nextFrameAt(segment: Uint8Array, at: number): number {
  let sector = at;
  while (sector < segment.length && segment[sector] !== FRAME_FIRST_BYTE) sector += SECTOR_BYTES;
  return Math.min(sector, segment.length);
}

/** The frame that begins at `at`, or undefined when there is none that is whole. */
export function readFrame(head: SegmentHead, segment: Uint8Array, at: number): Frame | undefined {
  const reader = new ByteReader(segment.subarray(at, at + FRAME_HEAD_BYTES));
  if (reader.uint32() !== FRAME_MAGIC) return undefined;
  const sum = reader.uint32();
  const payloadBytes = reader.uint32();
  const kind = FRAME_KINDS[reader.uint32()];
  const sequence = reader.uint32() + reader.uint32() * 2 ** 32;
  const frameBytes = frameBytesOf(payloadBytes);
  if (reader.fault !== undefined || kind === undefined) return undefined;
  if (at + frameBytes > segment.length) return undefined;
  const bytes = segment.subarray(at, at + frameBytes);
  if (sum !== frameChecksum(head, bytes)) return undefined;
  const payload = bytes.subarray(FRAME_HEAD_BYTES, FRAME_HEAD_BYTES + payloadBytes);
  return { kind, sequence, payload, frameBytes };
}

/** The records of a batch, one after another. */
export function encodeRecords(records: readonly WalRecord[]): Uint8Array {
  const writer = new ByteWriter(1024);
  for (const record of records) {
    writer.uint8(RECORD_KINDS.indexOf(record.kind));
    switch (record.kind) {
      case "base":
        hardStateField.write(writer, record.hardState);
        entryIdField.write(writer, record.start);
        entryIdField.write(writer, record.snapshotId);
        break;
      case "entry":
        entryField.write(writer, record.entry);
        break;
      case "hard_state":
        hardStateField.write(writer, record.hardState);
        break;
      case "installed":
        entryIdField.write(writer, record.snapshotId);
        break;
      case "compacted":
        entryIdField.write(writer, record.snapshotId);
        entryIdField.write(writer, record.start);
        break;
    }
  }
  return writer.finish();
}

/** Never throws, on any bytes. */
export function decodeRecords(payload: Uint8Array): Decoded<readonly WalRecord[]> {
  const reader = new ByteReader(payload);
  const records: WalRecord[] = [];
  while (reader.remaining > 0) {
    const kind = RECORD_KINDS[reader.uint8()];
    if (kind === undefined) reader.fail("unknown record");
    else records.push(readRecord(reader, kind));
  }
  return reader.finish(records);
}

/** A snapshot as a file of its own. */
export function encodeSnapshotFile(logId: string, snapshot: Snapshot): Uint8Array {
  const body = new ByteWriter(snapshot.data.length + 1024);
  snapshotField.write(body, snapshot);
  const bytes = body.finish();
  const writer = new ByteWriter(bytes.length + 32).uint32(SNAPSHOT_MAGIC).uint32(WAL_FORMAT);
  return writer.hex64(logId).uint32(crc32(bytes, crc32(logId))).raw(bytes).finish();
}

/** Never throws, on any bytes; refuses a snapshot of another log. */
export function decodeSnapshotFile(logId: string, bytes: Uint8Array): Decoded<Snapshot> {
  const reader = new ByteReader(bytes);
  if (reader.uint32() !== SNAPSHOT_MAGIC) reader.fail("not a snapshot");
  if (reader.uint32() !== WAL_FORMAT) reader.fail("unknown format");
  if (reader.hex64() !== logId) reader.fail("belongs to another log");
  const sum = reader.uint32();
  const body = bytes.subarray(bytes.length - reader.remaining);
  if (reader.fault === undefined && sum !== crc32(body, crc32(logId))) {
    reader.fail("checksum does not match");
  }
  return reader.finish(snapshotField.read(reader));
}

/** The log that a snapshot's file says it belongs to, whatever else is wrong with it. */
export function snapshotLogId(bytes: Uint8Array): string {
  const reader = new ByteReader(bytes.subarray(2 * 4));
  return reader.hex64();
}

function readRecord(reader: ByteReader, kind: WalRecord["kind"]): WalRecord {
  switch (kind) {
    case "base": {
      const hardState = hardStateField.read(reader);
      const start = entryIdField.read(reader);
      return { kind, hardState, start, snapshotId: entryIdField.read(reader) };
    }
    case "entry":
      return { kind, entry: entryField.read(reader) };
    case "hard_state":
      return { kind, hardState: hardStateField.read(reader) };
    case "installed":
      return { kind, snapshotId: entryIdField.read(reader) };
    case "compacted": {
      const snapshotId = entryIdField.read(reader);
      return { kind, snapshotId, start: entryIdField.read(reader) };
    }
  }
}

/** Over all of the frame but the checksum itself, seeded with what the frame must not be taken out of. */
function frameChecksum(head: SegmentHead, frame: Uint8Array): number {
  return crc32(frame.subarray(8), crc32(`${head.logId} ${head.owner} ${head.segment}`));
}
