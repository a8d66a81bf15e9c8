import { createHash } from "node:crypto";
import { join } from "node:path";
import { assert, type Digest, StorageError } from "../base/mod.ts";
import type { PartialBlob, PartialBlobPart } from "../ports/mod.ts";
import {
  diskFullError,
  freeBytes,
  publishFile,
  removeQuietly,
  storageErrorFrom,
  writeWhole,
} from "./durable_file.ts";
import { blobFileName, blobPath, type ModelsFolder, readEntries } from "./models_folder.ts";

/** Bytes read at once while the whole is hashed: large enough for the disk, short enough for the event loop. */
const HASH_CHUNK_BYTES = 1024 * 1024;
/** Parts of one download at most: a state file claiming more is not ours. */
const PARTS_MAX = 100_000;

/** Where a partial blob lies, and whom to tell when it is closed. */
export interface PartialPlace {
  readonly folder: ModelsFolder;
  readonly digest: Digest;
  readonly onClosed: () => void;
}

/** A part with the one field that changes. */
type MutablePart = { -readonly [Key in keyof PartialBlobPart]: PartialBlobPart[Key] };

/**
 * Ollama's own layout (contract 2.2), so either program takes up what the other left: a sparse file
 * `sha256-<hex>-partial`, and per part a file `…-partial-<n>` with `{"N","Offset","Size","Completed"}`.
 */
export class FilePartialBlob implements PartialBlob {
  readonly blobBytes: number;
  readonly #place: PartialPlace;
  readonly #file: Deno.FsFile;
  readonly #parts: MutablePart[];
  /** Parts whose progress is ahead of their state file. */
  readonly #unsynced = new Set<number>();
  /** Seek and write are two calls: parts take turns, or one would write at another's place. */
  #turn: Promise<void> = Promise.resolve();
  /** The last sync: of two at once the first could write its older progress after the second. */
  #syncing: Promise<void> = Promise.resolve();
  #isOpen = true;

  private constructor(
    place: PartialPlace,
    file: Deno.FsFile,
    parts: MutablePart[],
  ) {
    this.#place = place;
    this.#file = file;
    this.#parts = parts;
    this.blobBytes = parts.reduce((sum, part) => sum + part.partBytes, 0);
  }

  /** Undefined when nothing usable is there; what is unusable is removed. */
  static async find(place: PartialPlace): Promise<FilePartialBlob | undefined> {
    const parts = await readParts(place);
    const dataBytes = await fileBytes(dataPath(place));
    const isUsable = dataBytes !== undefined && isTiling(parts) &&
      parts.every((part) => part.completedBytes === 0 || endOf(part) <= dataBytes);
    if (!isUsable) {
      await removePartial(place);
      return undefined;
    }
    const file = await Deno.open(dataPath(place), { read: true, write: true });
    return new FilePartialBlob(place, file, parts);
  }

  /** @throws StorageError `disk_full` before a byte is written. */
  static async create(
    place: PartialPlace,
    size: { readonly blobBytes: number; readonly partBytes: number },
  ): Promise<FilePartialBlob> {
    await removePartial(place);
    const free = await freeBytes(place.folder.blobs);
    if (free !== undefined && free < size.blobBytes) {
      throw await diskFullError({
        action: "download a blob",
        folder: place.folder.blobs,
        neededBytes: size.blobBytes,
      });
    }
    const parts = cutIntoParts(size);
    const file = await Deno.open(dataPath(place), { read: true, write: true, create: true });
    await file.truncate(size.blobBytes); // Sparse: takes no space yet.
    const partial = new FilePartialBlob(place, file, parts);
    for (const part of parts) partial.#unsynced.add(part.index);
    await partial.sync();
    return partial;
  }

  get parts(): readonly PartialBlobPart[] {
    return this.#parts;
  }

  async append(index: number, bytes: Uint8Array): Promise<void> {
    const part = this.#parts[index];
    assert(part !== undefined, "A part that exists is appended to", { index });
    assert(
      part.completedBytes + bytes.length <= part.partBytes,
      "A part never grows past its end",
      { index, completedBytes: part.completedBytes, appended: bytes.length },
    );
    await this.#inTurn(async () => {
      await this.#file.seek(part.offset + part.completedBytes, Deno.SeekMode.Start);
      await writeWhole(this.#file, bytes);
      part.completedBytes += bytes.length;
      this.#unsynced.add(index);
    });
  }

  async sync(): Promise<void> {
    const run = this.#syncing.then(async () => {
      // What is appended from here on waits for the next time: the disk takes long, and nobody waits for it to go on.
      const progress = [...this.#unsynced].flatMap((index) => this.#parts[index] ?? [])
        .map((part) => ({ path: statePath(this.#place, part.index), text: encodePart(part) }));
      this.#unsynced.clear();
      // Data before progress: the other order could claim bytes that a crash then loses.
      await this.#syncData();
      for (const { path, text } of progress) await Deno.writeTextFile(path, text);
    });
    this.#syncing = run.catch(() => {}); // As below. What could not be synced is never claimed to be.
    await this.#worded(run);
  }

  async commit(): Promise<void> {
    const { digest, folder } = this.#place;
    const found = await this.#hashWhole();
    if (found !== digest) {
      this.close();
      await removePartial(this.#place);
      throw new StorageError(
        "corrupt_file",
        // The true digest stays here: with it whoever named the source could have the bytes as a blob of their own.
        `digest mismatch, file must be downloaded again: want ${digest}`,
      );
    }
    await this.#file.sync();
    this.close();
    await publishFile(dataPath(this.#place), blobPath(folder, digest));
    await removePartial(this.#place);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#file.close();
    this.#place.onClosed();
  }

  /** By a handle of its own, or appends would wait for it in the runtime. */
  async #syncData(): Promise<void> {
    const file = await Deno.open(dataPath(this.#place), { write: true });
    try {
      await file.syncData();
    } finally {
      file.close();
    }
  }

  async #hashWhole(): Promise<string> {
    const hash = createHash("sha256");
    const chunk = new Uint8Array(HASH_CHUNK_BYTES);
    await this.#inTurn(async () => {
      await this.#file.seek(0, Deno.SeekMode.Start);
      for (;;) {
        const count = await this.#file.read(chunk);
        if (count === null) return;
        hash.update(chunk.subarray(0, count));
      }
    });
    return `sha256:${hash.digest("hex")}`;
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const run = this.#turn.then(work);
    this.#turn = run.catch(() => {}); // The caller gets the failure; the next one gets its turn.
    await this.#worded(run);
  }

  async #worded(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      throw await storageErrorFrom(error, {
        action: "write a download",
        folder: this.#place.folder.blobs,
        neededBytes: this.#missingBytes(),
      });
    }
  }

  #missingBytes(): number {
    return this.#parts.reduce((sum, part) => sum + part.partBytes - part.completedBytes, 0);
  }
}

function dataPath(place: PartialPlace): string {
  return join(place.folder.blobs, `${blobFileName(place.digest)}-partial`);
}

function statePath(place: PartialPlace, index: number): string {
  return `${dataPath(place)}-${index}`;
}

function endOf(part: PartialBlobPart): number {
  return part.offset + part.completedBytes;
}

function cutIntoParts(size: { readonly blobBytes: number; readonly partBytes: number }) {
  assert(size.partBytes > 0, "Parts have bytes", { partBytes: size.partBytes });
  const parts: MutablePart[] = [];
  for (let offset = 0; offset < size.blobBytes; offset += size.partBytes) {
    const partBytes = Math.min(size.partBytes, size.blobBytes - offset);
    parts.push({ index: parts.length, offset, partBytes, completedBytes: 0 });
  }
  return parts;
}

/** Whether the parts follow each other without gap or overlap. */
function isTiling(parts: readonly PartialBlobPart[]): boolean {
  let offset = 0;
  for (const [index, part] of parts.entries()) {
    if (part.index !== index || part.offset !== offset) return false;
    offset += part.partBytes;
  }
  return parts.length > 0;
}

async function readParts(place: PartialPlace): Promise<MutablePart[]> {
  const parts: MutablePart[] = [];
  for (const path of await statePaths(place)) {
    const part = parsePart(await Deno.readTextFile(path));
    if (part === undefined || parts.length >= PARTS_MAX) return [];
    parts.push(part);
  }
  return parts.sort((left, right) => left.index - right.index);
}

async function statePaths(place: PartialPlace): Promise<string[]> {
  const prefix = `${blobFileName(place.digest)}-partial-`;
  const entries = await readEntries(place.folder.blobs);
  return entries.filter((entry) => entry.name.startsWith(prefix))
    .map((entry) => join(place.folder.blobs, entry.name));
}

function encodePart(part: PartialBlobPart): string {
  return JSON.stringify({
    N: part.index,
    Offset: part.offset,
    Size: part.partBytes,
    Completed: part.completedBytes,
  });
}

function parsePart(text: string): MutablePart | undefined {
  try {
    const { N: index, Offset: offset, Size: partBytes, Completed: completedBytes } = JSON.parse(
      text,
    );
    const numbers = [index, offset, partBytes, completedBytes];
    if (!numbers.every((value) => Number.isSafeInteger(value) && value >= 0)) return undefined;
    return completedBytes <= partBytes ? { index, offset, partBytes, completedBytes } : undefined;
  } catch {
    return undefined; // Cut off by a crash while it was written.
  }
}

async function fileBytes(path: string): Promise<number | undefined> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function removePartial(place: PartialPlace): Promise<void> {
  for (const path of await statePaths(place)) await removeQuietly(path);
  await removeQuietly(dataPath(place));
}
