import { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { errorMessage, type NodeId, StorageError } from "../../src/base/mod.ts";
import type { LogOrder, RaftLogStore } from "../../src/ports/mod.ts";
import {
  ByteReader,
  ByteWriter,
  type Decoded,
  type Entry,
  entryField,
  entryIdField,
  type FieldCodec,
  hardStateField,
  type Snapshot,
  snapshotField,
} from "../../src/protocol/mod.ts";
import {
  lastIndexAfter,
  type LimitEntries,
  LogImage,
  NO_HARD_STATE,
  NO_SNAPSHOT,
} from "../../src/storage/log_image.ts";

const SQLITE_LOG_FORMAT = 1;

const TABLES = `
  CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS entries (place INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
`;

/**
 * The Raft log in a SQLite file: the same contract as the segmented log, by someone else's durable code. Oracle of the
 * contract tests, and a fallback. Syncs on the calling thread.
 *
 * @throws StorageError `corrupt_file` when a row's checksum or the file itself does not hold.
 */
export function openSqliteLog(
  path: string,
  options: { readonly owner: NodeId; readonly limitEntries: LimitEntries },
): RaftLogStore {
  try {
    const database = new DatabaseSync(path);
    // FULL: a commit is on the disk before it returns.
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + TABLES);
    return new SqliteLog(database, options);
  } catch (error) {
    if (error instanceof StorageError) throw error;
    throw new StorageError("corrupt_file", `Cannot open "${path}": ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

class SqliteLog implements RaftLogStore {
  readonly #database: DatabaseSync;
  readonly #image: LogImage;
  #failure: StorageError | undefined;

  constructor(
    database: DatabaseSync,
    options: { readonly owner: NodeId; readonly limitEntries: LimitEntries },
  ) {
    this.#database = database;
    this.#image = new LogImage(options.limitEntries);
    const made = new ByteWriter().varint(SQLITE_LOG_FORMAT).hex64(options.owner).finish();
    const found = this.#readFact("made");
    if (found === undefined) this.#writeFact("made", made);
    else if (crc32(found) !== crc32(made)) {
      throw damaged("it is another node's, or of another format");
    }
    this.#image.restore({
      hardState: this.#readField("hard_state", hardStateField) ?? NO_HARD_STATE,
      snapshot: this.#readField("snapshot", snapshotField) ?? NO_SNAPSHOT,
      start: this.#readField("start", entryIdField) ?? NO_SNAPSHOT.id,
      entries: this.#readEntries(),
    });
  }

  initial() {
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

  async write(order: LogOrder): Promise<void> {
    lastIndexAfter(order, this.#image.lastIndex());
    const { snapshot, entries, hardState } = order;
    const installs = snapshot !== undefined && snapshot.id.index > this.#image.snapshotId.index;
    this.#transact(() => {
      if (installs) {
        this.#database.exec("DELETE FROM entries");
        this.#writeField("snapshot", snapshotField, snapshot);
        this.#writeField("start", entryIdField, snapshot.id);
      }
      this.#writeEntries(entries);
      if (hardState !== undefined) this.#writeField("hard_state", hardStateField, hardState);
    });
    this.#image.write(order);
  }

  async compact(snapshot: Snapshot, options: { readonly trailing: number }): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const start = this.#image.compactionStart(snapshot.id, options.trailing);
    if (start === undefined) return;
    this.#transact(() => {
      this.#writeField("snapshot", snapshotField, snapshot);
      this.#writeField("start", entryIdField, start);
      this.#database.prepare("DELETE FROM entries WHERE place <= ?").run(start.index);
    });
    this.#image.compact(snapshot, start);
  }

  async close(): Promise<void> {
    this.#failure ??= new StorageError("storage_failed", "Cannot write the Raft log: it is closed");
    this.#database.close();
  }

  #transact(work: () => void): void {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      work();
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#failure = new StorageError(
        "storage_failed",
        `Cannot write the Raft log: ${errorMessage(error)}`,
        { cause: error },
      );
      throw this.#failure;
    }
  }

  #writeEntries(entries: readonly Entry[]): void {
    const [first] = entries;
    if (first === undefined) return;
    this.#database.prepare("DELETE FROM entries WHERE place >= ?").run(first.index);
    const insert = this.#database.prepare("INSERT INTO entries (place, bytes) VALUES (?, ?)");
    for (const entry of entries) insert.run(entry.index, sealed(encode(entryField, entry)));
  }

  #readEntries(): Entry[] {
    const rows = this.#database.prepare("SELECT place, bytes FROM entries ORDER BY place").all();
    return rows.map((row) => {
      const entry = decode(entryField, unsealed(row["bytes"]));
      if (entry.index !== row["place"]) throw damaged(`entry ${row["place"]} is another's`);
      return entry;
    });
  }

  #readField<T>(name: string, codec: FieldCodec<T>): T | undefined {
    const bytes = this.#readFact(name);
    return bytes === undefined ? undefined : decode(codec, bytes);
  }

  #writeField<T>(name: string, codec: FieldCodec<T>, value: T): void {
    this.#writeFact(name, encode(codec, value));
  }

  #readFact(name: string): Uint8Array | undefined {
    const row = this.#database.prepare("SELECT bytes FROM facts WHERE name = ?").get(name);
    return row === undefined ? undefined : unsealed(row["bytes"]);
  }

  #writeFact(name: string, bytes: Uint8Array): void {
    this.#database.prepare("INSERT OR REPLACE INTO facts (name, bytes) VALUES (?, ?)")
      .run(name, sealed(bytes));
  }
}

function encode<T>(codec: FieldCodec<T>, value: T): Uint8Array {
  const writer = new ByteWriter();
  codec.write(writer, value);
  return writer.finish();
}

function decode<T>(codec: FieldCodec<T>, bytes: Uint8Array): T {
  const reader = new ByteReader(bytes);
  const decoded: Decoded<T> = reader.finish(codec.read(reader));
  if (decoded.kind === "malformed") throw damaged(decoded.reason);
  return decoded.value;
}

/** SQLite does not check its pages: each value carries its own checksum in front. */
function sealed(bytes: Uint8Array): Uint8Array {
  return new ByteWriter(bytes.length + 4).uint32(crc32(bytes)).raw(bytes).finish();
}

function unsealed(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw damaged("a row holds no bytes");
  const reader = new ByteReader(value);
  const sum = reader.uint32();
  const bytes = value.subarray(4);
  if (reader.fault !== undefined || sum !== crc32(bytes)) {
    throw damaged("checksum does not match");
  }
  return bytes;
}

function damaged(reason: string): StorageError {
  return new StorageError("corrupt_file", `Cannot read the Raft log: ${reason}`);
}
