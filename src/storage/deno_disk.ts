import { join } from "node:path";
import { BoundedMap, StorageError } from "../base/mod.ts";
import type { Disk } from "../ports/mod.ts";
import { FOLDER_MODE, storageErrorFrom, syncFolder, writeWhole } from "./durable_file.ts";

/**
 * Bytes that are handed to the page cache on the spot: a copy of microseconds, where the way to another thread and back
 * takes twenty and, on a busy machine, a scheduler's slice. Only a sync waits for the disk, and that never happens here.
 */
const SYNCHRONOUS_BYTES_MAX = 256 * 1024;

/** The files that are written by turns: a log's last segment, and beside it how far it is synced. */
const OPEN_FILES_MAX = 2;

/** Bytes of a file in preparation that are synced at a time: a sync of the log waits for no more than these. */
const PREPARE_STEP_BYTES = 512 * 1024;

/** A folder of the machine's own disk; made when it is missing. */
export async function openDisk(folder: string): Promise<Disk> {
  try {
    await Deno.mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  } catch (error) {
    throw await storageErrorFrom(error, { action: `make "${folder}"`, folder });
  }
  return new DenoDisk(folder);
}

/** What {@link openDisk} opened, once that is closed. Absent is fine. */
export async function removeDisk(folder: string): Promise<void> {
  try {
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

class DenoDisk implements Disk {
  readonly #folder: string;
  // Written to over and over; opening a file each time would cost more than the write.
  readonly #open = new BoundedMap<string, Deno.FsFile>(OPEN_FILES_MAX);

  constructor(folder: string) {
    this.#folder = folder;
  }

  async list(): Promise<readonly string[]> {
    return await this.#try("list the log's folder", async () => {
      const names: string[] = [];
      for await (const entry of Deno.readDir(this.#folder)) {
        if (entry.isFile) names.push(entry.name);
      }
      return names.sort();
    });
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    return await this.#try(`read "${name}"`, async () => {
      try {
        return await Deno.readFile(this.#path(name));
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    });
  }

  async create(name: string, bytes: Uint8Array): Promise<void> {
    await this.#try(`create "${name}"`, async () => {
      using file = await Deno.open(this.#path(name), { write: true, create: true, truncate: true });
      await writeWhole(file, bytes);
    });
  }

  async prepare(name: string, fileBytes: number): Promise<void> {
    await this.#try(`prepare "${name}"`, async () => {
      using file = await Deno.open(this.#path(name), { write: true, create: true, truncate: true });
      const zeros = new Uint8Array(PREPARE_STEP_BYTES);
      for (let done = 0; done < fileBytes; done += zeros.length) {
        await writeWhole(file, zeros.subarray(0, fileBytes - done));
        await file.syncData();
      }
    });
  }

  async write(
    name: string,
    write: { readonly at: number; readonly bytes: Uint8Array },
  ): Promise<void> {
    await this.#try(`write "${name}"`, async () => {
      const file = await this.#file(name);
      if (write.bytes.length <= SYNCHRONOUS_BYTES_MAX) return writeNow(file, write);
      await file.seek(write.at, Deno.SeekMode.Start);
      await writeWhole(file, write.bytes);
    });
  }

  async sync(name: string): Promise<void> {
    await this.#try(`sync "${name}"`, async () => await (await this.#file(name)).syncData());
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#try(`rename "${from}"`, async () => {
      this.#closeFile(from);
      this.#closeFile(to);
      await Deno.rename(this.#path(from), this.#path(to));
    });
  }

  async remove(name: string): Promise<void> {
    await this.#try(`remove "${name}"`, async () => {
      this.#closeFile(name);
      try {
        await Deno.remove(this.#path(name));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    });
  }

  async syncFolder(): Promise<void> {
    await this.#try("sync the log's folder", async () => await syncFolder(this.#folder));
  }

  async close(): Promise<void> {
    for (const name of [...this.#open.keys()]) this.#closeFile(name);
  }

  async #file(name: string): Promise<Deno.FsFile> {
    const open = this.#open.use(name);
    if (open !== undefined) return open;
    const file = await Deno.open(this.#path(name), { read: true, write: true });
    // Another call may have opened it meanwhile: one of the two would never be closed.
    const earlier = this.#open.use(name);
    if (earlier !== undefined) {
      file.close();
      return earlier;
    }
    const [oldest] = this.#open.keys();
    if (oldest !== undefined && this.#open.size === OPEN_FILES_MAX) this.#closeFile(oldest);
    this.#open.set(name, file);
    return file;
  }

  #closeFile(name: string): void {
    this.#open.get(name)?.close();
    this.#open.delete(name);
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  async #try<T>(action: string, attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof StorageError) throw error;
      throw await storageErrorFrom(error, { action, folder: this.#folder });
    }
  }
}

function writeNow(
  file: Deno.FsFile,
  write: { readonly at: number; readonly bytes: Uint8Array },
): void {
  file.seekSync(write.at, Deno.SeekMode.Start);
  for (let written = 0; written < write.bytes.length;) {
    written += file.writeSync(write.bytes.subarray(written));
  }
}
