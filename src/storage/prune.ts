import { basename, dirname, join } from "node:path";
import { type Digest, errorMessage } from "../base/mod.ts";
import type { Log } from "../ports/mod.ts";
import { TEMPORARY_PREFIX } from "./durable_file.ts";
import { readManifestFile, removeEmptyParents, walkManifests } from "./model_catalog.ts";
import {
  digestOfFileName,
  type ModelsFolder,
  openModelsFolder,
  readEntries,
} from "./models_folder.ts";

/** Age from which a blob that no manifest names is garbage: a create or pull may still be about to name a younger one. */
const UNREFERENCED_AGE_MS = 60 * 60 * 1000;
/** Age from which nobody will go on with a download. Longer than for blobs, so a pull cut off at night resumes in the morning. */
const PARTIAL_AGE_MS = 7 * 24 * 60 * 60 * 1000;

/** Stands for the name of a manifest that has none. */
const UNNAMED = { host: "", namespace: "", model: "", tag: "" };

/** What the prune needs of its caller. */
export interface PruneOptions {
  readonly log: Log;
  readonly nowMs: () => number;
  readonly noPrune?: boolean;
  /** Blobs that are in use although no manifest in the folder names them. */
  readonly alsoReferenced?: ReadonlySet<Digest>;
}

/**
 * Brings a models folder in order while it is used: by then everything in use is named, or younger than what is removed.
 * Failures are logged, never thrown.
 */
export async function pruneModels(modelsFolder: string, options: PruneOptions): Promise<void> {
  await pruneModelsFolder(await openModelsFolder(modelsFolder), options);
}

/**
 * Brings a models folder in order before it is used (contract 2.2): blobs named with `:` get their `-`; then, unless
 * `noPrune`, old garbage goes. A manifest that can't be read stops the removal, because its blobs can't be known.
 * Failures are logged, never thrown: a folder that may only be read still serves.
 */
export async function pruneModelsFolder(
  folder: ModelsFolder,
  options: PruneOptions,
): Promise<void> {
  try {
    await renameColonBlobs(folder);
    if (options.noPrune === true) return;
    const referenced = await findReferenced(folder);
    if ("corruptPath" in referenced) {
      options.log.log("warn", "prune_skipped", { corruptManifest: referenced.corruptPath });
      return;
    }
    const inUse = referenced.digests.union(options.alsoReferenced ?? new Set<Digest>());
    const removed = await removeGarbage(folder, inUse, options.nowMs());
    if (removed.length > 0) options.log.log("info", "blobs_pruned", { files: removed.length });
    await removeOldTemporaries(folder, options.nowMs());
    await removeEmptyManifestFolders(folder);
  } catch (error) {
    options.log.log("warn", "prune_failed", { reason: errorMessage(error) });
  }
}

async function renameColonBlobs(folder: ModelsFolder): Promise<void> {
  for (const entry of await readEntries(folder.blobs)) {
    if (!entry.isFile || !entry.name.startsWith("sha256:")) continue;
    await Deno.rename(
      join(folder.blobs, entry.name),
      join(folder.blobs, entry.name.replace(":", "-")),
    );
  }
}

async function findReferenced(
  folder: ModelsFolder,
): Promise<{ readonly digests: ReadonlySet<Digest> } | { readonly corruptPath: string }> {
  const digests = new Set<Digest>();
  for await (const { path, name } of walkManifests(folder)) {
    // A manifest whose path is no model's name can't be served here, but its blobs are somebody's all the same.
    const entry = await readManifestFile(path, name ?? UNNAMED);
    if (entry === undefined && name === undefined) continue;
    if (entry === undefined) return { corruptPath: path };
    digests.add(entry.manifest.config.digest);
    for (const layer of entry.manifest.layers) digests.add(layer.digest);
  }
  return { digests };
}

async function removeGarbage(
  folder: ModelsFolder,
  referenced: ReadonlySet<Digest>,
  nowMs: number,
): Promise<string[]> {
  const removed: string[] = [];
  for (const entry of await readEntries(folder.blobs)) {
    const ageMsMax = garbageAgeMs(entry, referenced);
    if (ageMsMax === undefined) continue;
    const path = join(folder.blobs, entry.name);
    if (await removeWhenOlder(path, { nowMs, ageMsMax })) removed.push(entry.name);
  }
  return removed;
}

/** Manifests being written when a node died. */
async function removeOldTemporaries(folder: ModelsFolder, nowMs: number): Promise<void> {
  for await (const { path } of walkManifests(folder)) {
    if (!basename(path).startsWith(TEMPORARY_PREFIX)) continue;
    await removeWhenOlder(path, { nowMs, ageMsMax: UNREFERENCED_AGE_MS });
  }
}

async function removeWhenOlder(
  path: string,
  limit: { readonly nowMs: number; readonly ageMsMax: number },
): Promise<boolean> {
  const modified = (await Deno.stat(path)).mtime;
  if (modified === null || limit.nowMs - modified.getTime() < limit.ageMsMax) return false;
  await Deno.remove(path);
  return true;
}

/** From which age on a file is garbage; undefined when it is none, or not ours to judge. */
function garbageAgeMs(
  entry: Deno.DirEntry,
  referenced: ReadonlySet<Digest>,
): number | undefined {
  if (!entry.isFile) return undefined;
  if (entry.name.startsWith(TEMPORARY_PREFIX)) return UNREFERENCED_AGE_MS;
  if (/^sha256-[0-9a-f]{64}-partial(-\d+)?$/.test(entry.name)) return PARTIAL_AGE_MS;
  const digest = digestOfFileName(entry.name);
  return digest === undefined || referenced.has(digest) ? undefined : UNREFERENCED_AGE_MS;
}

async function removeEmptyManifestFolders(folder: ModelsFolder): Promise<void> {
  const walk = async (path: string): Promise<void> => {
    const entries = await readEntries(path);
    for (const entry of entries) {
      if (entry.isDirectory) await walk(join(path, entry.name));
    }
    if (path !== folder.manifests) await removeEmptyParents(path, dirname(path));
  };
  await walk(folder.manifests);
}
