import { join } from "node:path";
import { type Digest, isEdgeError, PeerError } from "../../base/mod.ts";
import type { BlobRange, BlobReader, RangeStore } from "../../ports/mod.ts";
import {
  diskFullError,
  FILE_MODE,
  FOLDER_MODE,
  freeBytes,
  removeQuietly,
  storageErrorFrom,
  TEMPORARY_PREFIX,
  temporaryPath,
  writeWhole,
} from "../durable_file.ts";

/** Parts of blobs take one in so many bytes of what the disk has left to them and others: whole models come first. */
const DISK_SHARE = 4;

/** How parts of blobs are kept. */
export interface RangeStoreOptions {
  /** Bytes that are free on a disk where these use so many; default as the system says. */
  readonly freeBytes?: (usedBytes: number) => number;
}

/** Parts of blobs in a folder of their own, a file each. Unfinished ones of an earlier start are removed. */
export async function openRangeStore(
  folder: string,
  options: RangeStoreOptions = {},
): Promise<RangeStore> {
  await Deno.mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  for await (const { name } of Deno.readDir(folder)) {
    if (name.startsWith(TEMPORARY_PREFIX)) await removeQuietly(join(folder, name));
  }
  return new FolderRangeStore(folder, options);
}

interface RangeFile {
  readonly name: string;
  readonly bytes: number;
  readonly usedMs: number;
}

class FolderRangeStore implements RangeStore {
  readonly #folder: string;
  readonly #options: RangeStoreOptions;
  /** Names of files that are read, and how many read each. */
  readonly #open = new Map<string, number>();
  /** One write at a time decides what has to go. */
  #turn: Promise<void> = Promise.resolve();
  /** Bytes that writes under way were granted. */
  #grantedBytes = 0;

  constructor(folder: string, options: RangeStoreOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  async missing(digest: Digest, ranges: readonly BlobRange[]): Promise<readonly BlobRange[]> {
    const kept = await Promise.all(ranges.map((range) => this.#has(nameOf(digest, range), range)));
    return ranges.filter((_, index) => kept[index] !== true);
  }

  async open(digest: Digest, ranges: readonly BlobRange[]): Promise<BlobReader | undefined> {
    // Before they are looked for: what is open stays.
    const names = ranges.map((range) => nameOf(digest, range));
    const release = this.#hold(names);
    if ((await this.missing(digest, ranges)).length > 0) {
      release();
      return undefined;
    }
    const now = new Date();
    for (const name of names) await Deno.utime(join(this.#folder, name), now, now);
    return new RangeReader(this.#folder, { digest, ranges, release });
  }

  async write(digest: Digest, range: BlobRange, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const place = { action: "keep a part of a blob", folder: this.#folder };
    await this.#makeRoom(digest, range.length);
    const temporary = temporaryPath(this.#folder);
    try {
      await writeRange(temporary, range, bytes);
      await Deno.rename(temporary, join(this.#folder, nameOf(digest, range)));
    } catch (error) {
      await removeQuietly(temporary);
      if (isEdgeError(error)) throw error;
      throw await storageErrorFrom(error, { ...place, neededBytes: range.length });
    } finally {
      this.#grantedBytes -= range.length;
    }
  }

  async drop(digest: Digest): Promise<void> {
    for (const { name } of await this.#files()) {
      if (name.startsWith(prefixOf(digest))) await removeQuietly(join(this.#folder, name));
    }
  }

  #hold(names: readonly string[]): () => void {
    for (const name of names) this.#open.set(name, (this.#open.get(name) ?? 0) + 1);
    return () => {
      for (const name of names) {
        const left = (this.#open.get(name) ?? 1) - 1;
        if (left > 0) this.#open.set(name, left);
        else this.#open.delete(name);
      }
    };
  }

  /** Grants so many bytes, and removes what is longest unused where there is no room for them; not of the same blob. */
  async #makeRoom(digest: Digest, neededBytes: number): Promise<void> {
    const before = this.#turn;
    const turn = Promise.withResolvers<void>();
    this.#turn = turn.promise;
    await before;
    try {
      const files = (await this.#files()).toSorted((a, b) => a.usedMs - b.usedMs);
      let usedBytes = files.reduce((sum, { bytes }) => sum + bytes, this.#grantedBytes);
      const free = this.#options.freeBytes?.(usedBytes) ?? await freeBytes(this.#folder) ??
        Infinity;
      const limitBytes = (free + usedBytes) / DISK_SHARE;
      for (const { name, bytes } of files) {
        if (usedBytes + neededBytes <= limitBytes) break;
        if (this.#open.has(name) || name.startsWith(prefixOf(digest))) continue;
        await removeQuietly(join(this.#folder, name));
        usedBytes -= bytes;
      }
      if (usedBytes + neededBytes > limitBytes) {
        throw await diskFullError({
          action: "keep a part of a blob",
          folder: this.#folder,
          neededBytes,
        });
      }
      this.#grantedBytes += neededBytes;
    } finally {
      turn.resolve();
    }
  }

  async #has(name: string, range: BlobRange): Promise<boolean> {
    try {
      return (await Deno.stat(join(this.#folder, name))).size === range.length;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  async #files(): Promise<readonly RangeFile[]> {
    const files: RangeFile[] = [];
    for await (const { name } of Deno.readDir(this.#folder)) {
      if (name.startsWith(TEMPORARY_PREFIX)) continue;
      const { size, mtime } = await Deno.stat(join(this.#folder, name));
      files.push({ name, bytes: size, usedMs: mtime?.getTime() ?? 0 });
    }
    return files;
  }
}

/** Reads within single ranges; between and beyond them is nothing. */
class RangeReader implements BlobReader {
  readonly blobBytes: number;
  readonly #folder: string;
  readonly #of: {
    readonly digest: Digest;
    readonly ranges: readonly BlobRange[];
    readonly release: () => void;
  };

  constructor(
    folder: string,
    of: {
      readonly digest: Digest;
      readonly ranges: readonly BlobRange[];
      readonly release: () => void;
    },
  ) {
    this.#folder = folder;
    this.#of = of;
    this.blobBytes = Math.max(0, ...of.ranges.map(({ offset, length }) => offset + length));
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const range = this.#of.ranges.find((one) =>
      offset >= one.offset && offset + length <= one.offset + one.length
    );
    if (range === undefined) return new Uint8Array(0);
    using file = await Deno.open(join(this.#folder, nameOf(this.#of.digest, range)));
    await file.seek(offset - range.offset, Deno.SeekMode.Start);
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const count = await file.read(bytes.subarray(filled));
      if (count === null) break;
      filled += count;
    }
    return bytes.subarray(0, filled);
  }

  close(): void {
    this.#of.release();
  }
}

async function writeRange(
  path: string,
  range: BlobRange,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true, mode: FILE_MODE });
  let written = 0;
  for await (const part of bytes) {
    written += part.length;
    if (written > range.length) break;
    await writeWhole(file, part);
  }
  if (written !== range.length) {
    throw new PeerError(
      "malformed_frame",
      `A part of a blob has ${range.length} bytes, and ${written} came`,
    );
  }
}

function prefixOf(digest: Digest): string {
  return `${digest.slice("sha256:".length)}-`;
}

function nameOf(digest: Digest, { offset, length }: BlobRange): string {
  return `${prefixOf(digest)}${offset}-${length}`;
}
