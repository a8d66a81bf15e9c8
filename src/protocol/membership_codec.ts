import type { Incarnation, NodeId } from "../base/mod.ts";
import { ByteReader, ByteWriter, type Decoded } from "./bytes.ts";
import {
  type Accusation,
  ADDRESS_BYTES_MAX,
  DATAGRAM_BYTES_MAX,
  type LifeStamp,
  type MemberClaim,
  MEMBERSHIP_PROTOCOL_VERSION,
  type MembershipDatagram,
  type MembershipSync,
  type MemberStanding,
  SYNC_BUCKETS,
  SYNC_BYTES_MAX,
  type SyncRow,
  VALUE_BYTES_MAX,
  VALUE_KEY_BYTES_MAX,
  type ValueDelta,
  type ValueEntry,
  type ValueRumor,
  type ValueWant,
} from "./membership.ts";

// A fixed layout instead of CBOR: a ping is 9 to 20 bytes, and every node sends ten datagrams a second for ever.
const STANDINGS = ["alive", "suspect", "down", "left"] as const;
const ACCUSATIONS = ["suspect", "down", "left", "unknown"] as const;
const DATAGRAM_KINDS = ["ping", "ack", "nack", "ping_request", "gossip"] as const;
const SYNC_KINDS = ["sync_request", "sync_rows", "sync_update"] as const;
/** Set on a datagram's kind byte when an accusation follows. */
const ACCUSED = 0x80;
/** Tags of the parts that ride behind a datagram's head, up to its end: no count that could overflow. */
const PART_CLAIM = 1;
const PART_VALUE = 2;
const PART_VERSION = 3;

/** First allocation for a datagram. */
const USUAL_BYTES = 64;

/** The head of a datagram. Encoded parts may be appended behind it while they fit {@link DATAGRAM_BYTES_MAX}. */
export function encodeDatagramHead(
  source: LifeStamp,
  body: MembershipDatagram["body"],
  accusation: Accusation | undefined,
): ByteWriter {
  // Most carry a few dozen bytes: clearing room for the largest cost a fifth of all the time.
  const writer = new ByteWriter(USUAL_BYTES);
  const kind = DATAGRAM_KINDS.indexOf(body.kind);
  writer.uint8(MEMBERSHIP_PROTOCOL_VERSION);
  writer.uint8(accusation === undefined ? kind : kind | ACCUSED);
  writeStamp(writer, source);
  if (body.kind !== "gossip") writer.varint(body.sequence);
  if (body.kind === "ping_request") writer.hex64(body.target);
  if (accusation !== undefined) {
    writer.uint8(ACCUSATIONS.indexOf(accusation.standing));
    writeStamp(writer, accusation);
  }
  return writer;
}

/** A claim as a part of a datagram. */
export function encodeClaimPart(claim: MemberClaim): Uint8Array {
  const writer = new ByteWriter(64).uint8(PART_CLAIM);
  writeClaim(writer, claim);
  return writer.finish();
}

/** A value, or word of a version, as a part of a datagram. */
export function encodeValuePart(rumor: ValueRumor): Uint8Array {
  const writer = new ByteWriter(64);
  writer.uint8(rumor.entry === undefined ? PART_VERSION : PART_VALUE);
  writer.hex64(rumor.nodeId).varint(rumor.bootEpoch).varint(rumor.version);
  if (rumor.entry !== undefined) writeKeyAndValue(writer, rumor.entry);
  return writer.finish();
}

/** Never throws, on any bytes. */
export function decodeDatagram(bytes: Uint8Array): Decoded<MembershipDatagram> {
  const reader = new ByteReader(bytes);
  if (bytes.length > DATAGRAM_BYTES_MAX) reader.fail("datagram too long");
  if (reader.uint8() !== MEMBERSHIP_PROTOCOL_VERSION) reader.fail("unknown version");
  const head = reader.uint8();
  const kind = DATAGRAM_KINDS[head & ~ACCUSED];
  if (kind === undefined) reader.fail("unknown datagram kind");
  const source = readStamp(reader);
  const body = readDatagramBody(reader, kind ?? "gossip");
  const accusation = (head & ACCUSED) === 0 ? undefined : readAccusation(reader);
  const claims: MemberClaim[] = [];
  const values: ValueRumor[] = [];
  while (reader.remaining > 0) {
    const tag = reader.uint8();
    if (tag === PART_CLAIM) claims.push(readClaim(reader));
    else if (tag === PART_VALUE || tag === PART_VERSION) values.push(readValueRumor(reader, tag));
    else reader.fail("unknown part");
  }
  return reader.finish({ source, body, piggyback: { accusation, claims, values } });
}

/** A stream message; the caller keeps it within {@link SYNC_BYTES_MAX}. */
export function encodeSync(message: MembershipSync): Uint8Array<ArrayBuffer> {
  const { source, body } = message;
  const writer = new ByteWriter(1024);
  writer.uint8(MEMBERSHIP_PROTOCOL_VERSION).uint8(SYNC_KINDS.indexOf(body.kind));
  writeStamp(writer, source);
  switch (body.kind) {
    case "sync_request":
      writer.uint32(body.salt).varint(body.rowsMax);
      writeClaim(writer, body.self);
      for (const hash of body.bucketHashes) writer.uint32(hash);
      break;
    case "sync_rows":
      writer.varint(body.buckets.length);
      for (const bucket of body.buckets) writer.uint8(bucket);
      writeRows(writer, body.rows);
      break;
    case "sync_update":
      writeRows(writer, body.rows);
      writer.varint(body.deltas.length);
      for (const delta of body.deltas) writeDelta(writer, delta);
      writer.varint(body.wants.length);
      for (const want of body.wants) writeWant(writer, want);
      break;
  }
  return writer.finish();
}

/** Never throws, on any bytes; allocates no more than a small multiple of them. */
export function decodeSync(bytes: Uint8Array): Decoded<MembershipSync> {
  const reader = new ByteReader(bytes);
  if (bytes.length > SYNC_BYTES_MAX) reader.fail("message too long");
  if (reader.uint8() !== MEMBERSHIP_PROTOCOL_VERSION) reader.fail("unknown version");
  const kind = SYNC_KINDS[reader.uint8()];
  if (kind === undefined) reader.fail("unknown message kind");
  const source = readStamp(reader);
  return reader.finish({ source, body: readSyncBody(reader, kind ?? "sync_rows") });
}

/** Bytes a row takes at most, for budgets. */
export function syncRowBytes(row: SyncRow): number {
  return 56 + row.claim.address.length;
}

/** Bytes an entry takes at most, for budgets. */
export function valueEntryBytes(entry: ValueEntry): number {
  return 16 + entry.key.length + (entry.value?.length ?? 0);
}

function readSyncBody(
  reader: ByteReader,
  kind: MembershipSync["body"]["kind"],
): MembershipSync["body"] {
  switch (kind) {
    case "sync_request": {
      const salt = reader.uint32();
      const rowsMax = reader.varint();
      const self = readClaim(reader);
      const bucketHashes = Array.from({ length: SYNC_BUCKETS }, () => reader.uint32());
      return { kind, salt, rowsMax, self, bucketHashes };
    }
    case "sync_rows": {
      const buckets = readList(reader, readBucket);
      return { kind, buckets, rows: readList(reader, readRow) };
    }
    case "sync_update": {
      const rows = readList(reader, readRow);
      const deltas = readList(reader, readDelta);
      return { kind, rows, deltas, wants: readList(reader, readWant) };
    }
  }
}

function readDatagramBody(
  reader: ByteReader,
  kind: MembershipDatagram["body"]["kind"],
): MembershipDatagram["body"] {
  if (kind === "gossip") return { kind };
  const sequence = reader.varint();
  if (kind !== "ping_request") return { kind, sequence };
  return { kind, sequence, target: readNodeId(reader) };
}

function writeStamp(writer: ByteWriter, stamp: LifeStamp): void {
  writer.varint(stamp.bootEpoch).varint(stamp.incarnation);
}

function readStamp(reader: ByteReader): LifeStamp {
  const bootEpoch = reader.varint();
  return { bootEpoch, incarnation: reader.varint() as Incarnation };
}

function readNodeId(reader: ByteReader): NodeId {
  return reader.hex64() as NodeId;
}

function readAccusation(reader: ByteReader): Accusation {
  const standing = ACCUSATIONS[reader.uint8()];
  if (standing === undefined) reader.fail("unknown accusation");
  return { standing: standing ?? "unknown", ...readStamp(reader) };
}

function writeClaim(writer: ByteWriter, claim: MemberClaim): void {
  writer.hex64(claim.nodeId).uint8(STANDINGS.indexOf(claim.standing));
  writeStamp(writer, claim);
  if (claim.standing === "suspect") writer.hex64(claim.accuser ?? claim.nodeId);
  writer.text(claim.address);
}

function readClaim(reader: ByteReader): MemberClaim {
  const nodeId = readNodeId(reader);
  const standing: MemberStanding | undefined = STANDINGS[reader.uint8()];
  if (standing === undefined) reader.fail("unknown standing");
  const stamp = readStamp(reader);
  const accuser = standing === "suspect" ? readNodeId(reader) : undefined;
  const address = readAscii(reader, ADDRESS_BYTES_MAX);
  return { nodeId, standing: standing ?? "alive", ...stamp, address, accuser };
}

/** Printable ASCII only: addresses and keys end up in logs and pages. */
function readAscii(reader: ByteReader, bytesMax: number): string {
  const bytes = reader.raw(reader.varint(bytesMax));
  let text = "";
  for (const byte of bytes) {
    if (byte < 0x21 || byte > 0x7e) reader.fail("character not allowed");
    text += String.fromCharCode(byte);
  }
  return text;
}

function writeKeyAndValue(writer: ByteWriter, entry: ValueEntry): void {
  writer.text(entry.key).uint8(entry.value === undefined ? 0 : 1);
  if (entry.value !== undefined) writer.bytes(entry.value);
}

function readKeyAndValue(reader: ByteReader, version: number): ValueEntry {
  const key = readAscii(reader, VALUE_KEY_BYTES_MAX);
  const present = reader.uint8();
  if (present > 1) reader.fail("unknown flag");
  return { key, version, value: present === 1 ? reader.bytes(VALUE_BYTES_MAX) : undefined };
}

function readValueRumor(reader: ByteReader, tag: number): ValueRumor {
  const nodeId = readNodeId(reader);
  const bootEpoch = reader.varint();
  const version = reader.varint();
  const entry = tag === PART_VALUE ? readKeyAndValue(reader, version) : undefined;
  return { nodeId, bootEpoch, version, entry };
}

function writeRows(writer: ByteWriter, rows: readonly SyncRow[]): void {
  writer.varint(rows.length);
  for (const row of rows) {
    writeClaim(writer, row.claim);
    writer.varint(row.goneSeconds).varint(row.valueVersion).varint(row.collectedVersion);
  }
}

function readRow(reader: ByteReader): SyncRow {
  const claim = readClaim(reader);
  const goneSeconds = reader.varint();
  const valueVersion = reader.varint();
  return { claim, goneSeconds, valueVersion, collectedVersion: reader.varint() };
}

function readBucket(reader: ByteReader): number {
  const bucket = reader.uint8();
  if (bucket >= SYNC_BUCKETS) reader.fail("bucket out of range");
  return bucket;
}

function writeDelta(writer: ByteWriter, delta: ValueDelta): void {
  writer.hex64(delta.nodeId).varint(delta.bootEpoch);
  writer.varint(delta.fromVersion).varint(delta.toVersion).varint(delta.collectedVersion);
  writer.varint(delta.entries.length);
  for (const entry of delta.entries) {
    writer.varint(entry.version);
    writeKeyAndValue(writer, entry);
  }
}

function readDelta(reader: ByteReader): ValueDelta {
  const nodeId = readNodeId(reader);
  const bootEpoch = reader.varint();
  const fromVersion = reader.varint();
  const toVersion = reader.varint();
  const collectedVersion = reader.varint();
  const entries = readList(reader, (entry) => readKeyAndValue(entry, entry.varint()));
  return { nodeId, bootEpoch, fromVersion, toVersion, collectedVersion, entries };
}

function writeWant(writer: ByteWriter, want: ValueWant): void {
  writer.hex64(want.nodeId).varint(want.bootEpoch);
  writer.varint(want.fromVersion).varint(want.collectedVersion);
}

function readWant(reader: ByteReader): ValueWant {
  const nodeId = readNodeId(reader);
  const bootEpoch = reader.varint();
  const fromVersion = reader.varint();
  return { nodeId, bootEpoch, fromVersion, collectedVersion: reader.varint() };
}

/** A count that lies ends at the last byte: every item takes at least one, so the loop is bounded by the input. */
function readList<T>(reader: ByteReader, readItem: (reader: ByteReader) => T): T[] {
  const count = reader.varint(reader.remaining);
  const items: T[] = [];
  for (let index = 0; index < count && reader.fault === undefined; index++) {
    items.push(readItem(reader));
  }
  return items;
}
