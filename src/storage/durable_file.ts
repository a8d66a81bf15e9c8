import { statfs } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorMessage, StorageError } from "../base/mod.ts";

/** Of folders and files that a node makes for itself: other users of the machine have no business there. */
export const FOLDER_MODE = 0o700;
export const FILE_MODE = 0o600;

/** Prefix of files being written. No blob, tag or digest begins with a dot, so no listing takes one for a finished file. */
export const TEMPORARY_PREFIX = ".tmp-";

/** A fresh name in `folder` for a file that is renamed once it is whole. */
export function temporaryPath(folder: string): string {
  return join(folder, `${TEMPORARY_PREFIX}${crypto.randomUUID()}`);
}

/**
 * Replaces a file as a whole: after a crash the path holds the old bytes or the new ones, never a part. `mode` is the
 * Unix permissions from the first byte on; default as the system has it.
 *
 * @throws StorageError `disk_full` or `storage_failed`; the old file stays.
 */
export async function writeFileDurably(
  path: string,
  bytes: Uint8Array,
  options: { readonly mode?: number } = {},
): Promise<void> {
  const folder = dirname(path);
  const temporary = temporaryPath(folder);
  try {
    using file = await Deno.open(temporary, { write: true, createNew: true, ...options });
    await writeWhole(file, bytes);
    await file.sync();
  } catch (error) {
    await removeQuietly(temporary);
    throw await storageErrorFrom(error, {
      action: `write "${basename(path)}"`,
      folder,
      neededBytes: bytes.length,
    });
  }
  await publishFile(temporary, path);
}

/** Gives a synced temporary file its name. The rename survives a crash once the folder is synced too. */
export async function publishFile(temporary: string, path: string): Promise<void> {
  try {
    await Deno.rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await removeQuietly(temporary);
    throw await storageErrorFrom(error, {
      action: `rename to "${basename(path)}"`,
      folder: dirname(path),
    });
  }
}

/** Makes renames and removals in the folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows can't open a folder as a file; its file systems journal renames themselves.
  if (Deno.build.os === "windows") return;
  // Not by `using`: the bundler puts a value that is used but once where it is used, and then nobody closes it.
  const handle = await Deno.open(folder);
  try {
    await handle.sync();
  } finally {
    handle.close();
  }
}

/** `Deno.FsFile.write` may take fewer bytes than it is given. */
export async function writeWhole(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await file.write(bytes.subarray(written));
  }
}

/** Removes a file that may be gone already. Other failures leave it to the prune at the next start. */
export async function removeQuietly(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch {
    // The error that led here says more than this one, and the prune takes what stays.
  }
}

/** Bytes that this process may still write to the folder's disk; undefined where the system doesn't say. */
export async function freeBytes(folder: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/** Turns what a file operation threw into a StorageError that names the action, the folder and, for a full disk, the figures. */
export async function storageErrorFrom(
  cause: unknown,
  place: { readonly action: string; readonly folder: string; readonly neededBytes?: number },
): Promise<StorageError> {
  if (cause instanceof StorageError) return cause;
  if (isDiskFull(cause)) return await diskFullError(place, cause);
  const reason = `Cannot ${place.action} in "${place.folder}": ${errorMessage(cause)}`;
  return new StorageError("storage_failed", reason, { cause });
}

/** The disk can't take `neededBytes`. */
export async function diskFullError(
  place: { readonly action: string; readonly folder: string; readonly neededBytes?: number },
  cause?: unknown,
): Promise<StorageError> {
  const needed = place.neededBytes === undefined
    ? "more space is needed"
    : `${place.neededBytes} bytes are needed`;
  const free = await freeBytes(place.folder);
  const left = free === undefined ? "the disk is full" : `${free} bytes are free`;
  return new StorageError(
    "disk_full",
    `Cannot ${place.action} in "${place.folder}": ${needed}, ${left}`,
    { cause },
  );
}

/** ENOSPC and EDQUOT; Deno gives the code as a property of an error without a class of its own. */
function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  return error.code === "ENOSPC" || error.code === "EDQUOT";
}
