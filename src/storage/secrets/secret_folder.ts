import { join } from "node:path";
import { StorageError } from "../../base/mod.ts";
import type { SecretFiles } from "../../ports/mod.ts";
import {
  FILE_MODE,
  FOLDER_MODE,
  removeQuietly,
  storageErrorFrom,
  syncFolder,
  TEMPORARY_PREFIX,
  writeFileDurably,
} from "../durable_file.ts";

/** The bits by which anybody but the owner may do something. */
const OTHERS_MODE = 0o077;
/** Bytes of one file; keys and certificates have a few hundred. */
const FILE_BYTES_MAX = 64 * 1024;

/** Room that is given up for a file when the disk is full: a node that can't note its own start can't start. */
const RESERVE_NAME = "reserve";
const RESERVE_BYTES = 64 * 1024;

/** How a folder of secrets is opened. */
export interface SecretFolderOptions {
  /** A file that others were able to read: its mode is right now, but who read it before has it. */
  readonly onRepaired: (found: { readonly name: string; readonly mode: number }) => void;
}

/** Secrets in a folder of their own; made when it is missing. */
export async function openSecretFolder(
  folder: string,
  options: SecretFolderOptions,
): Promise<SecretFiles> {
  try {
    await Deno.mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    await removeUnfinished(folder);
  } catch (error) {
    throw await storageErrorFrom(error, { action: `make "${folder}"`, folder });
  }
  await makeReserve(folder);
  return new SecretFolder(folder, options);
}

/** Where there is room for it, which a full disk has when it is needed anew. */
async function makeReserve(folder: string): Promise<void> {
  const path = join(folder, RESERVE_NAME);
  const isThere = await Deno.stat(path).then(({ size }) => size === RESERVE_BYTES, () => false);
  if (isThere) return;
  try {
    await Deno.writeFile(path, new Uint8Array(RESERVE_BYTES), { mode: FILE_MODE });
  } catch {
    // Half of it would take the room that others need.
    await removeQuietly(path);
  }
}

/** What a crash left half-written may be a key, and nobody else would ever remove it. */
async function removeUnfinished(folder: string): Promise<void> {
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (isFile && name.startsWith(TEMPORARY_PREFIX)) await Deno.remove(join(folder, name));
  }
}

class SecretFolder implements SecretFiles {
  readonly #folder: string;
  readonly #options: SecretFolderOptions;

  constructor(folder: string, options: SecretFolderOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  async read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return await this.#try(`read "${name}"`, async () => {
      const path = join(this.#folder, name);
      try {
        const { mode, size } = await Deno.stat(path);
        if (size > FILE_BYTES_MAX) throw this.#tooLong(name, size);
        if (mode !== null && (mode & OTHERS_MODE) !== 0) await this.#repair(name, mode);
        return await Deno.readFile(path);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    });
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    const write = () => writeFileDurably(join(this.#folder, name), bytes, { mode: FILE_MODE });
    try {
      await write();
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== "disk_full") throw error;
      await removeQuietly(join(this.#folder, RESERVE_NAME));
      await write();
      await makeReserve(this.#folder);
    }
  }

  async remove(name: string): Promise<void> {
    await this.#try(`remove "${name}"`, async () => {
      try {
        await Deno.remove(join(this.#folder, name));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      await syncFolder(this.#folder);
    });
  }

  async #repair(name: string, mode: number): Promise<void> {
    // Windows reports Unix bits that nothing there obeys, and can't change them.
    if (Deno.build.os === "windows") return;
    await Deno.chmod(join(this.#folder, name), FILE_MODE);
    this.#options.onRepaired({ name, mode: mode & 0o777 });
  }

  #tooLong(name: string, size: number): StorageError {
    return new StorageError(
      "corrupt_file",
      `Cannot read "${name}" in "${this.#folder}": it has ${size} bytes, at most ${FILE_BYTES_MAX} are expected`,
    );
  }

  async #try<T>(action: string, attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt();
    } catch (error) {
      throw await storageErrorFrom(error, { action, folder: this.#folder });
    }
  }
}
