import { join } from "node:path";
import { invalidRequest, RequestError } from "../base/mod.ts";
import { Catalogue, refoundCatalogue } from "../core/catalogue/mod.ts";
import type { Decoded } from "../protocol/mod.ts";
import { lockFolder, writeFileDurably } from "../storage/mod.ts";

/** There until the next start has founded its cluster on it. */
const FOUNDATION_FILE = "founding.snapshot";
/** It names every API key's hash. */
const FILE_MODE = 0o600;

/** Where a node that belongs to a cluster keeps what binds it there. */
export function clusterFolderOf(dataFolder: string): string {
  return join(dataFolder, "cluster");
}

/** The catalogue that a node without a cluster begins with, where one was laid down. */
export function foundationOf(dataFolder: string): string {
  return join(dataFolder, FOUNDATION_FILE);
}

/** What came back. */
export interface Restored {
  readonly models: number;
  readonly settings: number;
}

/**
 * Lays down the catalogue of a lost cluster, so that the next start on this data folder founds a new one with it. Members,
 * tokens and voters are not in it: the machines that they name are gone.
 *
 * @throws RequestError `invalid_request` when the bytes are no snapshot, `conflict` when the folder belongs to a member of
 *   a cluster; StorageError, also `data_folder_locked` when a node runs on it.
 */
export async function restoreSnapshot(dataFolder: string, bytes: Uint8Array): Promise<Restored> {
  const founding = decoded(refoundCatalogue(bytes));
  const catalogue = decoded(Catalogue.restore(founding));
  const lock = await lockFolder(dataFolder);
  try {
    if (await exists(clusterFolderOf(dataFolder))) {
      throw new RequestError(
        "conflict",
        `Cannot restore into "${dataFolder}": it belongs to a member of a cluster; choose an empty data folder`,
      );
    }
    await writeFileDurably(foundationOf(dataFolder), founding, { mode: FILE_MODE });
  } finally {
    lock.release();
  }
  return {
    models: catalogue.models().length,
    settings: catalogue.settings().length,
  };
}

function decoded<T>(result: Decoded<T>): T {
  if (result.kind === "decoded") return result.value;
  throw invalidRequest(`This is no snapshot of a cluster: ${result.reason}`);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
