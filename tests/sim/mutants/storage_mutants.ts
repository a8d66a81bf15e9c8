import type { Edit } from "./mutant.ts";
import { mutant } from "./raft_files.ts";

function inStorage(file: string, find: string, replace: string): Edit {
  return { file: `src/storage/${file}`, find, replace };
}

/** Bugs of other people's logs, each caught by the crash sweeps or the contract of the stores. */
export const STORAGE_MUTANTS = [
  mutant(
    "long-batch-without-a-mark",
    { origin: "own", kind: "D", does: "takes a long batch that rotted for a torn write" },
    inStorage(
      "wal.ts",
      "      await this.#writeSynced(segment.end + frame.length, companion);\n",
      "",
    ),
  ),
  mutant(
    "second-copy-not-read",
    {
      origin: "FAST'18",
      kind: "D",
      does: "takes a bit that turned in the last batch for a torn write",
    },
    inStorage("wal_recovery.ts", "    if (twinAt - at === frame.frameBytes) return frame;\n", ""),
  ),
  mutant(
    "page-cache-taken-for-durable",
    {
      origin: "own",
      kind: "D",
      does: "counts on what a killed process has written and not synced",
    },
    inStorage("wal.ts", "for (const name of new Set(changed)) await this.#disk.sync(name);", ""),
  ),
  mutant(
    "acknowledged-before-sync",
    { origin: "row 14", kind: "D", does: "acknowledges a batch that is in the page cache" },
    inStorage(
      "wal.ts",
      "orNoRoom(this.#disk.write(name, { at, bytes }));\n    await this.#disk.sync(name);",
      "orNoRoom(this.#disk.write(name, { at, bytes }));",
    ),
  ),
  mutant(
    "folder-not-synced",
    { origin: "row 15", kind: "D", does: "a rename that is gone after a crash" },
    inStorage(
      "wal.ts",
      "await orNoRoom(this.#disk.rename(temporary, name));\n    await this.#disk.syncFolder();",
      "await orNoRoom(this.#disk.rename(temporary, name));",
    ),
  ),
  mutant(
    "renamed-before-synced",
    { origin: "row 16", kind: "D", does: "a file that has its name but not its bytes" },
    inStorage("wal.ts", "    await this.#disk.sync(temporary);\n", ""),
  ),
  mutant(
    "spare-named-before-synced",
    { origin: "row 16", kind: "D", does: "a segment that has its name but not its head" },
    inStorage("wal.ts", "    await this.#disk.sync(SPARE_NAME);\n", ""),
  ),
  mutant(
    "watermark-before-sync",
    { origin: "own", kind: "D", does: "says that a batch was synced which a crash may still take" },
    inStorage(
      "wal.ts",
      "    if (hasTwin(payload.length)) {",
      "    await this.#watermark?.raise({ logId: this.#logId, sequence });\n" +
        "    if (hasTwin(payload.length)) {",
    ),
  ),
  mutant(
    "watermark-not-read",
    {
      origin: "own",
      kind: "D",
      does: "takes a log whose end is zeros for one that never had more",
    },
    inStorage("wal_recovery.ts", "if (lastSequence < syncedSequence) {", "if (lastSequence < 0) {"),
  ),
  mutant(
    "snapshot-after-its-record",
    { origin: "row 40", kind: "D", does: "relies on a snapshot that is not there yet" },
    inStorage(
      "wal.ts",
      '    await this.#writeSnapshot(snapshot);\n    await this.#append([{ kind: "compacted", snapshotId: snapshot.id, start }]);',
      '    await this.#append([{ kind: "compacted", snapshotId: snapshot.id, start }]);\n    await this.#writeSnapshot(snapshot);',
    ),
  ),
  mutant(
    "rot-cut-as-a-torn-tail",
    { origin: "FAST'18", kind: "S", does: "loses acknowledged entries in the middle of the log" },
    inStorage("wal_recovery.ts", "if (last) refuseRot(", "if (last && number < 0) refuseRot("),
  ),
  mutant(
    "batches-share-sectors",
    { origin: "FAST'18", kind: "D", does: "a torn write takes synced bytes with it" },
    inStorage(
      "wal_record.ts",
      "Math.ceil((FRAME_HEAD_BYTES + payloadBytes) / SECTOR_BYTES) * SECTOR_BYTES;",
      "Math.ceil((FRAME_HEAD_BYTES + payloadBytes) / 8) * 8;",
    ),
  ),
  mutant(
    "works-on-after-a-failed-sync",
    { origin: "fsyncgate", kind: "D", does: "takes the next sync's word for the lost pages" },
    inStorage(
      "wal.ts",
      "pending.reject(this.#failure);",
      "pending.reject(this.#failure);\n    this.#failure = undefined;",
    ),
  ),
  mutant(
    "segments-removed-too-early",
    { origin: "row 44", kind: "S", does: "drops entries that trail the snapshot" },
    inStorage("wal.ts", "first.indexMax > start.index", "first.indexMax > snapshotId.index"),
  ),
  mutant(
    "overwritten-entries-come-back",
    { origin: "row 44", kind: "S", does: "keeps what stood behind an overwritten entry" },
    inStorage(
      "wal_recovery.ts",
      "    this.#entries.length = Math.max(0, kept);",
      "    if (kept >= 0 && kept < this.#entries.length) {\n      this.#entries[kept] = entry;\n      return undefined;\n    }",
    ),
  ),
  mutant(
    "read-before-durable",
    { origin: "row 43", kind: "S", does: "shows the core what a crash may take away" },
    inStorage(
      "wal.ts",
      "    if (records.length > 0) await this.#append(records);\n    for (const order of orders) this.#image.write(order);",
      "    for (const order of orders) this.#image.write(order);\n    if (records.length > 0) await this.#append(records);",
    ),
  ),
];
