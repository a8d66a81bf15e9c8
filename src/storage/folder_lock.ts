import { join } from "node:path";
import { errorMessage, StorageError } from "../base/mod.ts";
import { FILE_MODE, FOLDER_MODE } from "./durable_file.ts";

/** Name of the locked file; the file itself stays when the lock goes. */
const LOCK_FILE = "lock";
/** Holds the process id as text. A file of its own, because Windows lets nobody read a locked one. */
const HOLDER_FILE = "lock.pid";

/** A held lock. Ends with {@link FolderLock.release}, or with the process, however that ends. */
export interface FolderLock {
  /** Twice is fine. */
  release(): void;
}

/**
 * Keeps a second node off a data folder, which is created when absent. The operating system owns the lock, so a crashed
 * holder blocks nobody.
 *
 * @throws StorageError `data_folder_locked` naming the holder's process id, `storage_failed` when the folder can't be used.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const file = await openLockFile(folder);
  if (!(await file.tryLock(true))) {
    file.close();
    throw new StorageError(
      "data_folder_locked",
      `Cannot use data folder "${folder}": ${await describeHolder(folder)} uses it already; ` +
        `stop that node or choose another data folder`,
    );
  }
  await Deno.writeTextFile(join(folder, HOLDER_FILE), String(Deno.pid), { mode: FILE_MODE });
  let isHeld = true;
  return {
    release() {
      if (!isHeld) return;
      isHeld = false;
      file.close(); // Closing gives up the lock with the handle.
    },
  };
}

async function openLockFile(folder: string): Promise<Deno.FsFile> {
  try {
    await Deno.mkdir(folder, { recursive: true, mode: FOLDER_MODE });
    const access = { create: true, read: true, write: true, mode: FILE_MODE };
    return await Deno.open(join(folder, LOCK_FILE), access);
  } catch (cause) {
    throw new StorageError(
      "storage_failed",
      `Cannot use data folder "${folder}": ${errorMessage(cause)}`,
      { cause },
    );
  }
}

async function describeHolder(folder: string): Promise<string> {
  try {
    const holder = (await Deno.readTextFile(join(folder, HOLDER_FILE))).trim();
    return /^\d+$/.test(holder) ? `process ${holder}` : "another process";
  } catch {
    return "another process"; // The holder may be between locking and writing its id.
  }
}
