import { equalBytes, sha256, sha256Hex } from "../../base/mod.ts";
import {
  ByteReader,
  ByteWriter,
  CATALOGUE_SCHEMA,
  type Decoded,
  type FieldCodec,
  ORIGIN_SCHEMA,
} from "../../protocol/mod.ts";
import {
  apiKeyRow,
  apiKeyRowOfSchema1,
  AUDIT_ROWS_MAX,
  auditRow,
  type CatalogueTables,
  emptyTables,
  keyHistoryField,
  manifestRow,
  memberRow,
  modelRow,
  quarantineRow,
  sessionRow,
  SESSIONS_MAX,
  settingRow,
  TABLE_ROWS_MAX,
  tokenRow,
  votersRow,
} from "./rows.ts";
import { modelKey } from "./apply_models.ts";

/** "odistcat": a file or message of another kind is refused by its first bytes. */
const MAGIC = Uint8Array.from("odistcat", (letter) => letter.charCodeAt(0));
const SNAPSHOT_FORMAT = 1;
const CHECKSUM_BYTES = 32;

/** The tables at an index, restored. */
export interface RestoredTables {
  readonly tables: CatalogueTables;
  readonly appliedIndex: number;
}

/**
 * One byte string per state: rows sorted by key, so that equal states have equal bytes on every node whatever the order
 * in which they came about. Ends with the SHA-256 of what stands before it.
 */
export function encodeSnapshot(tables: CatalogueTables, appliedIndex: number): Uint8Array {
  const writer = new ByteWriter(64 * 1024).raw(MAGIC).varint(SNAPSHOT_FORMAT);
  writer.varint(tables.schema).varint(appliedIndex);
  votersRow.write(writer, tables.voters);
  writeRows(writer, modelRow, sortedValues(tables.models));
  const digests = [...tables.manifests.keys()].sort();
  const manifests = digests.map((digest) => ({
    digest,
    bytes: tables.manifests.get(digest) ?? new Uint8Array(0),
  }));
  writeRows(writer, manifestRow, manifests);
  writeRows(writer, memberRow, sortedValues(tables.members));
  writeRows(writer, tokenRow, sortedValues(tables.tokens));
  const isScoped = tables.schema >= ORIGIN_SCHEMA;
  writeRows(writer, isScoped ? apiKeyRow : apiKeyRowOfSchema1, sortedValues(tables.apiKeys));
  writeRows(writer, settingRow, sortedValues(tables.settings));
  writeRows(writer, quarantineRow, sortedValues(tables.quarantine));
  const sessions = [...tables.sessions.values()].sort((a, b) => a.session - b.session);
  writeRows(writer, sessionRow, sessions);
  if (isScoped) {
    keyHistoryField.write(writer, tables.keyHistory);
    writeRows(writer, auditRow, [...tables.audit.values()]);
  }
  const body = writer.finish();
  return new ByteWriter(body.length + CHECKSUM_BYTES).raw(body).raw(sha256(body)).finish();
}

/**
 * Never throws, on any bytes. Refuses what is damaged, foreign, of a schema this program does not know, or not in the
 * one form its state would be written in.
 */
export function decodeSnapshot(bytes: Uint8Array): Decoded<RestoredTables> {
  const body = bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM_BYTES));
  const reader = new ByteReader(body);
  if (!equalBytes(reader.raw(MAGIC.length), MAGIC)) reader.fail("not a catalogue snapshot");
  if (reader.varint() !== SNAPSHOT_FORMAT) reader.fail("unknown snapshot format");
  if (reader.fault === undefined && !equalBytes(sha256(body), bytes.subarray(body.length))) {
    reader.fail("checksum does not match");
  }
  const tables = emptyTables();
  tables.schema = reader.varint();
  if (tables.schema > CATALOGUE_SCHEMA) reader.fail("schema is newer than this program");
  const appliedIndex = reader.varint();
  tables.voters = votersRow.read(reader);
  const max = TABLE_ROWS_MAX;
  readRows(reader, modelRow, {
    max: max.models,
    put: (row) => tables.models.set(modelKey(row.name), row),
  });
  readRows(reader, manifestRow, {
    max: max.models,
    put: (row) => tables.manifests.set(row.digest, row.bytes),
  });
  readRows(reader, memberRow, {
    max: max.members,
    put: (row) => tables.members.set(row.nodeId, row),
  });
  readRows(reader, tokenRow, {
    max: max.tokens,
    put: (row) => tables.tokens.set(row.tokenId, row),
  });
  const isScoped = tables.schema >= ORIGIN_SCHEMA;
  readRows(reader, isScoped ? apiKeyRow : apiKeyRowOfSchema1, {
    max: max.apiKeys,
    put: (row) => tables.apiKeys.set(row.keyId, row),
  });
  readRows(reader, settingRow, {
    max: max.settings,
    put: (row) => tables.settings.set(row.key, row),
  });
  readRows(reader, quarantineRow, {
    max: max.quarantine,
    put: (row) => tables.quarantine.set(row.digest, row),
  });
  readRows(reader, sessionRow, {
    max: SESSIONS_MAX,
    put: (row) => tables.sessions.set(row.session, row),
  });
  if (isScoped) {
    tables.keyHistory = keyHistoryField.read(reader);
    readRows(reader, auditRow, {
      max: AUDIT_ROWS_MAX,
      put: (row) => tables.audit.set(row.index, row),
    });
  }
  if (reader.fault === undefined) checkManifests(reader, tables);
  return reader.finish({ tables, appliedIndex });
}

/** Every model has its manifest, every manifest a model and its own hash. */
function checkManifests(reader: ByteReader, tables: CatalogueTables): void {
  const wanted = new Set([...tables.models.values()].map((row) => row.manifestDigest));
  if (wanted.size !== tables.manifests.size) reader.fail("manifests do not match the models");
  for (const [digest, bytes] of tables.manifests) {
    if (!wanted.has(digest) || sha256Hex(bytes) !== digest) reader.fail("manifest does not match");
  }
}

function writeRows<Row>(writer: ByteWriter, codec: FieldCodec<Row>, rows: readonly Row[]): void {
  writer.varint(rows.length);
  for (const row of rows) codec.write(writer, row);
}

function readRows<Row>(
  reader: ByteReader,
  codec: FieldCodec<Row>,
  table: {
    readonly max: number;
    readonly put: (row: Row) => ReadonlyMap<unknown, unknown>;
  },
): void {
  const count = reader.varint(table.max);
  for (let index = 0; index < count && reader.fault === undefined; index++) {
    // Two rows under one key are a state that never was.
    if (table.put(codec.read(reader)).size !== index + 1) reader.fail("repeated row");
  }
}

function sortedValues<Row>(table: ReadonlyMap<string, Row>): Row[] {
  const rows: Row[] = [];
  for (const key of [...table.keys()].sort()) {
    const row = table.get(key);
    if (row !== undefined) rows.push(row);
  }
  return rows;
}
