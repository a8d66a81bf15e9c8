import { join } from "node:path";
import { type Digest, errorMessage, parseDigest, StorageError } from "../base/mod.ts";
import { FOLDER_MODE } from "./durable_file.ts";

/** Where things lie in a models folder (contract 2.2). */
export interface ModelsFolder {
  readonly root: string;
  readonly blobs: string;
  readonly manifests: string;
}

/**
 * Makes sure that the two folders are there and can be read.
 *
 * @throws StorageError `storage_failed` naming the folder and the reason.
 */
export async function openModelsFolder(root: string): Promise<ModelsFolder> {
  const folder = { root, blobs: join(root, "blobs"), manifests: join(root, "manifests") };
  for (const path of [folder.blobs, folder.manifests]) {
    try {
      await Deno.mkdir(path, { recursive: true, mode: FOLDER_MODE });
      for await (const _ of Deno.readDir(path)) break; // Existing is not enough: it must be readable.
    } catch (cause) {
      throw new StorageError(
        "storage_failed",
        `Cannot open models folder "${root}": ${errorMessage(cause)}`,
        { cause },
      );
    }
  }
  return folder;
}

/** Path of a blob: `sha256-<hex>`, because `:` is no character for a file name everywhere. */
export function blobPath(folder: ModelsFolder, digest: Digest): string {
  return join(folder.blobs, blobFileName(digest));
}

/** File name of a blob. */
export function blobFileName(digest: Digest): string {
  return digest.replace(":", "-");
}

/** The digest a file name stands for, or undefined for partial downloads, temporary files and strangers. */
export function digestOfFileName(name: string): Digest | undefined {
  return parseDigest(name);
}

/** Entries of a folder, sorted by name; none when the folder is not there. */
export async function readEntries(path: string): Promise<Deno.DirEntry[]> {
  const entries: Deno.DirEntry[] = [];
  try {
    for await (const entry of Deno.readDir(path)) entries.push(entry);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return entries.sort((left, right) => left.name < right.name ? -1 : 1);
}
