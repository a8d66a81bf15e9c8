import type { Incarnation } from "../base/mod.ts";
import { ByteReader, ByteWriter, type Decoded } from "./bytes.ts";
import { nodeIdField } from "./catalogue.ts";
import {
  bytesField,
  type FieldCodec,
  listField,
  optionalField,
  recordField,
  uintField,
} from "./field_codec.ts";
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

const uint = uintField();
const uint32Field: FieldCodec<number> = {
  write: (writer, value) => void writer.uint32(value),
  read: (reader) => reader.uint32(),
};
/** By hand, as it stands in every datagram. */
const stampField: FieldCodec<LifeStamp> = {
  write: (writer, stamp) => void writer.varint(stamp.bootEpoch).varint(stamp.incarnation),
  read(reader) {
    const bootEpoch = reader.varint();
    return { bootEpoch, incarnation: reader.varint() as Incarnation };
  },
};
const addressField = asciiField(ADDRESS_BYTES_MAX);
const claimField: FieldCodec<MemberClaim> = {
  write(writer, claim) {
    writer.hex64(claim.nodeId).uint8(STANDINGS.indexOf(claim.standing));
    stampField.write(writer, claim);
    if (claim.standing === "suspect") writer.hex64(claim.accuser ?? claim.nodeId);
    writer.text(claim.address);
  },
  read(reader) {
    const nodeId = nodeIdField.read(reader);
    const standing: MemberStanding | undefined = STANDINGS[reader.uint8()];
    if (standing === undefined) reader.fail("unknown standing");
    const stamp = stampField.read(reader);
    const accuser = standing === "suspect" ? nodeIdField.read(reader) : undefined;
    const address = addressField.read(reader);
    return { nodeId, standing: standing ?? "alive", ...stamp, address, accuser };
  },
};
const KEY_AND_VALUE = {
  key: asciiField(VALUE_KEY_BYTES_MAX),
  value: optionalField(bytesField(0, VALUE_BYTES_MAX)),
};
const keyAndValueField = recordField<Omit<ValueEntry, "version">>(KEY_AND_VALUE);

type SyncBody = MembershipSync["body"];
const rowsField = itemsField(recordField<SyncRow>({
  claim: claimField,
  goneSeconds: uint,
  valueVersion: uint,
  collectedVersion: uint,
}));
const SYNC_FIELDS: {
  readonly [Kind in SyncBody["kind"]]: FieldCodec<Omit<Extract<SyncBody, { kind: Kind }>, "kind">>;
} = {
  sync_request: recordField({
    salt: uint32Field,
    rowsMax: uint,
    self: claimField,
    bucketHashes: {
      write: (writer, hashes) => hashes.forEach((hash) => writer.uint32(hash)),
      read: (reader) => Array.from({ length: SYNC_BUCKETS }, () => reader.uint32()),
    } satisfies FieldCodec<readonly number[]>,
  }),
  sync_rows: recordField({
    buckets: itemsField({
      write: (writer, bucket) => void writer.uint8(bucket),
      read(reader) {
        const bucket = reader.uint8();
        if (bucket >= SYNC_BUCKETS) reader.fail("bucket out of range");
        return bucket;
      },
    }),
    rows: rowsField,
  }),
  sync_update: recordField({
    rows: rowsField,
    deltas: itemsField(recordField<ValueDelta>({
      nodeId: nodeIdField,
      bootEpoch: uint,
      fromVersion: uint,
      toVersion: uint,
      collectedVersion: uint,
      entries: itemsField(recordField<ValueEntry>({ version: uint, ...KEY_AND_VALUE })),
    })),
    wants: itemsField(recordField<ValueWant>({
      nodeId: nodeIdField,
      bootEpoch: uint,
      fromVersion: uint,
      collectedVersion: uint,
    })),
  }),
};

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
  stampField.write(writer, source);
  if (body.kind !== "gossip") writer.varint(body.sequence);
  if (body.kind === "ping_request") writer.hex64(body.target);
  if (accusation !== undefined) {
    writer.uint8(ACCUSATIONS.indexOf(accusation.standing));
    stampField.write(writer, accusation);
  }
  return writer;
}

/** A claim as a part of a datagram. */
export function encodeClaimPart(claim: MemberClaim): Uint8Array {
  const writer = new ByteWriter(64).uint8(PART_CLAIM);
  claimField.write(writer, claim);
  return writer.finish();
}

/** A value, or word of a version, as a part of a datagram. */
export function encodeValuePart(rumor: ValueRumor): Uint8Array {
  const writer = new ByteWriter(64);
  writer.uint8(rumor.entry === undefined ? PART_VERSION : PART_VALUE);
  writer.hex64(rumor.nodeId).varint(rumor.bootEpoch).varint(rumor.version);
  if (rumor.entry !== undefined) keyAndValueField.write(writer, rumor.entry);
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
  const source = stampField.read(reader);
  const body = readDatagramBody(reader, kind ?? "gossip");
  const accusation = (head & ACCUSED) === 0 ? undefined : readAccusation(reader);
  const claims: MemberClaim[] = [];
  const values: ValueRumor[] = [];
  while (reader.remaining > 0) {
    const tag = reader.uint8();
    if (tag === PART_CLAIM) claims.push(claimField.read(reader));
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
  stampField.write(writer, source);
  const fields = SYNC_FIELDS[body.kind] as FieldCodec<object>; // The table has each kind's own.
  fields.write(writer, body);
  return writer.finish();
}

/** Never throws, on any bytes; allocates no more than a small multiple of them. */
export function decodeSync(bytes: Uint8Array): Decoded<MembershipSync> {
  const reader = new ByteReader(bytes);
  if (bytes.length > SYNC_BYTES_MAX) reader.fail("message too long");
  if (reader.uint8() !== MEMBERSHIP_PROTOCOL_VERSION) reader.fail("unknown version");
  const kind = SYNC_KINDS[reader.uint8()];
  if (kind === undefined) reader.fail("unknown message kind");
  const source = stampField.read(reader);
  const body = { kind, ...SYNC_FIELDS[kind ?? "sync_rows"].read(reader) } as SyncBody;
  return reader.finish({ source, body });
}

/** Bytes a row takes at most, for budgets. */
export function syncRowBytes(row: SyncRow): number {
  return 56 + row.claim.address.length;
}

/** Bytes an entry takes at most, for budgets. */
export function valueEntryBytes(entry: ValueEntry): number {
  return 16 + entry.key.length + (entry.value?.length ?? 0);
}

function readDatagramBody(
  reader: ByteReader,
  kind: MembershipDatagram["body"]["kind"],
): MembershipDatagram["body"] {
  if (kind === "gossip") return { kind };
  const sequence = reader.varint();
  if (kind !== "ping_request") return { kind, sequence };
  return { kind, sequence, target: nodeIdField.read(reader) };
}

function readAccusation(reader: ByteReader): Accusation {
  const standing = ACCUSATIONS[reader.uint8()];
  if (standing === undefined) reader.fail("unknown accusation");
  return { standing: standing ?? "unknown", ...stampField.read(reader) };
}

function readValueRumor(reader: ByteReader, tag: number): ValueRumor {
  const nodeId = nodeIdField.read(reader);
  const bootEpoch = reader.varint();
  const version = reader.varint();
  const entry = tag === PART_VALUE ? { ...keyAndValueField.read(reader), version } : undefined;
  return { nodeId, bootEpoch, version, entry };
}

/** Printable ASCII only: addresses and keys end up in logs and pages. */
function asciiField(bytesMax: number): FieldCodec<string> {
  return {
    write: (writer, text) => void writer.text(text),
    read(reader) {
      const bytes = reader.raw(reader.varint(bytesMax));
      let text = "";
      for (const byte of bytes) {
        if (byte < 0x21 || byte > 0x7e) reader.fail("character not allowed");
        text += String.fromCharCode(byte);
      }
      return text;
    },
  };
}

/** As many as there are bytes for. */
function itemsField<T>(codec: FieldCodec<T>): FieldCodec<readonly T[]> {
  return listField(codec, SYNC_BYTES_MAX);
}
