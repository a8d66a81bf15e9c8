import { createHash } from "node:crypto";
import {
  assert,
  type Digest,
  errorMessage,
  parseDigest,
  RequestError,
  StorageError,
} from "../base/mod.ts";
import type { BlobReader, BlobStore, Log, PartialBlob } from "../ports/mod.ts";
import {
  publishFile,
  removeQuietly,
  storageErrorFrom,
  temporaryPath,
  writeWhole,
} from "./durable_file.ts";
import {
  blobPath,
  digestOfFileName,
  type ModelsFolder,
  openModelsFolder,
  readEntries,
} from "./models_folder.ts";
import { FilePartialBlob } from "./partial_blob.ts";
import { pruneModelsFolder } from "./prune.ts";

/** How a blob store starts. */
export interface BlobStoreOptions {
  readonly log: Log;
  /** Milliseconds since the epoch, compared with the files' own times. */
  readonly nowMs: () => number;
  /** True keeps what no manifest names (`OLLAMA_NOPRUNE`). Default false. */
  readonly noPrune?: boolean;
}

/**
 * The blobs of one node in `<folder>/blobs` (contract 2.2), pruned first unless `noPrune`.
 *
 * @throws StorageError `storage_failed` when the folder can't be used.
 */
export async function openBlobStore(
  modelsFolder: string,
  options: BlobStoreOptions,
): Promise<BlobStore> {
  const folder = await openModelsFolder(modelsFolder);
  await pruneModelsFolder(folder, options);
  return new FolderBlobStore(folder);
}

/** Bytes read at once from a file that is hashed. */
const HASH_CHUNK_BYTES = 1024 * 1024;

class FolderBlobStore implements BlobStore {
  readonly #folder: ModelsFolder;
  /** Invariant: digests with an open {@link FilePartialBlob}; two writers would overwrite each other's progress. */
  readonly #openPartials = new Set<Digest>();

  constructor(folder: ModelsFolder) {
    this.#folder = folder;
  }

  path(digest: Digest): string {
    return blobPath(this.#folder, digest);
  }

  async find(digest: Digest): Promise<{ readonly blobBytes: number } | undefined> {
    try {
      const stat = await Deno.stat(this.path(digest));
      return stat.isFile ? { blobBytes: stat.size } : undefined;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw await this.#failed("look for a blob", error);
    }
  }

  async read(digest: Digest): Promise<Uint8Array> {
    try {
      return await Deno.readFile(this.path(digest));
    } catch (cause) {
      throw unreadable(digest, cause);
    }
  }

  async open(digest: Digest): Promise<BlobReader> {
    try {
      const file = await Deno.open(this.path(digest));
      return new FileBlobReader(file, (await file.stat()).size);
    } catch (cause) {
      throw unreadable(digest, cause);
    }
  }

  async write(digest: Digest, bytes: ReadableStream<Uint8Array>): Promise<"created" | "exists"> {
    if (await this.find(digest) !== undefined) {
      await bytes.cancel();
      return "exists";
    }
    const temporary = temporaryPath(this.#folder.blobs);
    try {
      const found = await writeStream(temporary, bytes);
      if (found !== digest) {
        throw new RequestError(
          "digest_mismatch",
          `digest mismatch, expected "${digest}", got "${found}"`,
        );
      }
    } catch (error) {
      await removeQuietly(temporary);
      if (!(error instanceof WriteFailure)) throw error;
      // Only now, so that the free bytes it names count what was just given back.
      throw await storageErrorFrom(error.cause, {
        action: "write a blob",
        folder: this.#folder.blobs,
        neededBytes: error.neededBytes,
      });
    }
    await publishFile(temporary, this.path(digest));
    return "created";
  }

  async put(
    bytes: Uint8Array,
  ): Promise<{ readonly digest: Digest; readonly outcome: "created" | "exists" }> {
    const digest = parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
    assert(digest !== undefined, "A SHA-256 in hex is a digest");
    return { digest, outcome: await this.write(digest, ReadableStream.from([bytes])) };
  }

  async putFile(
    make: (path: string) => Promise<void>,
  ): Promise<{ readonly digest: Digest; readonly blobBytes: number }> {
    const temporary = temporaryPath(this.#folder.blobs);
    try {
      await make(temporary);
      using file = await Deno.open(temporary, { read: true, write: true });
      const hash = createHash("sha256");
      let blobBytes = 0;
      const chunk = new Uint8Array(HASH_CHUNK_BYTES);
      for (let count = await file.read(chunk); count !== null; count = await file.read(chunk)) {
        hash.update(chunk.subarray(0, count));
        blobBytes += count;
      }
      await file.sync();
      const digest = parseDigest(`sha256:${hash.digest("hex")}`);
      assert(digest !== undefined, "A SHA-256 in hex is a digest");
      await publishFile(temporary, this.path(digest));
      return { digest, blobBytes };
    } catch (error) {
      await removeQuietly(temporary);
      throw error;
    }
  }

  async findPartial(digest: Digest): Promise<PartialBlob | undefined> {
    return await this.#openPartial(digest, (place) => FilePartialBlob.find(place));
  }

  async createPartial(
    digest: Digest,
    size: { readonly blobBytes: number; readonly partBytes: number },
  ): Promise<PartialBlob> {
    return await this.#openPartial(digest, (place) => FilePartialBlob.create(place, size));
  }

  async delete(digest: Digest): Promise<void> {
    try {
      await Deno.remove(this.path(digest));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      throw await this.#failed("delete a blob", error);
    }
  }

  async list(): Promise<readonly Digest[]> {
    try {
      const entries = await readEntries(this.#folder.blobs);
      return entries.filter((entry) => entry.isFile)
        .map((entry) => digestOfFileName(entry.name))
        .filter((digest) => digest !== undefined);
    } catch (error) {
      throw await this.#failed("list blobs", error);
    }
  }

  async #openPartial<T extends FilePartialBlob | undefined>(
    digest: Digest,
    open: (place: Parameters<typeof FilePartialBlob.find>[0]) => Promise<T>,
  ): Promise<T> {
    assert(!this.#openPartials.has(digest), "A partial blob is opened once", { digest });
    this.#openPartials.add(digest);
    const onClosed = () => this.#openPartials.delete(digest);
    try {
      const partial = await open({ folder: this.#folder, digest, onClosed });
      if (partial === undefined) onClosed();
      return partial;
    } catch (error) {
      onClosed();
      throw await this.#failed("take up a download", error);
    }
  }

  async #failed(action: string, cause: unknown): Promise<StorageError> {
    return await storageErrorFrom(cause, { action, folder: this.#folder.blobs });
  }
}

/** The file system's failure, kept apart from what the sender's stream throws. */
class WriteFailure extends Error {
  override readonly name = "WriteFailure";
  readonly neededBytes: number;
  constructor(cause: unknown, neededBytes: number) {
    super(errorMessage(cause), { cause });
    this.neededBytes = neededBytes;
  }
}

/** The digest of what was written and synced. @throws WriteFailure, or what the stream throws. */
async function writeStream(path: string, bytes: ReadableStream<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  let neededBytes = 0;
  const guard = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (cause) {
      throw new WriteFailure(cause, neededBytes);
    }
  };
  using file = await guard(
    Deno.open(path, { write: true, createNew: true }).catch(async (error) => {
      await bytes.cancel(); // Nobody will read it, and its sender holds a connection or a file.
      throw error;
    }),
  );
  for await (const chunk of bytes) {
    neededBytes += chunk.length;
    hash.update(chunk);
    await guard(writeWhole(file, chunk));
  }
  await guard(file.sync());
  return `sha256:${hash.digest("hex")}`;
}

class FileBlobReader implements BlobReader {
  readonly blobBytes: number;
  readonly #file: Deno.FsFile;

  constructor(file: Deno.FsFile, blobBytes: number) {
    this.#file = file;
    this.blobBytes = blobBytes;
  }

  async read(
    offset: number,
    length: number,
    { into }: { readonly into?: ArrayBuffer } = {},
  ): Promise<Uint8Array> {
    const wanted = Math.max(0, Math.min(length, this.blobBytes - offset));
    const bytes = into !== undefined && into.byteLength >= wanted
      ? new Uint8Array(into, 0, wanted)
      : new Uint8Array(wanted);
    await this.#file.seek(offset, Deno.SeekMode.Start);
    let filled = 0;
    while (filled < wanted) {
      const count = await this.#file.read(bytes.subarray(filled));
      if (count === null) break;
      filled += count;
    }
    return bytes.subarray(0, filled);
  }

  close(): void {
    this.#file.close();
  }
}

function unreadable(digest: Digest, cause: unknown): StorageError {
  return new StorageError(
    "corrupt_file",
    `Cannot read blob ${digest}: ${errorMessage(cause)}`,
    { cause },
  );
}
