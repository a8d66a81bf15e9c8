import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { assert } from "../base/mod.ts";
import type { CatalogEntry, ModelCatalog, Replacement } from "../ports/mod.ts";
import { isModelName, MANIFEST_BYTES_MAX, type ModelName, parseManifest } from "../protocol/mod.ts";
import { FOLDER_MODE, storageErrorFrom, writeFileDurably } from "./durable_file.ts";
import { type ModelsFolder, openModelsFolder, readEntries } from "./models_folder.ts";

/**
 * The catalog of one node in `<folder>/manifests/<host>/<namespace>/<model>/<tag>` (contract 2.2). Reads the disk each
 * time, so an Ollama that works on the same folder is seen.
 *
 * @throws StorageError `storage_failed` when the folder can't be used.
 */
export async function openModelCatalog(modelsFolder: string): Promise<ModelCatalog> {
  return new FolderCatalog(await openModelsFolder(modelsFolder));
}

/** Elsewhere a path opens in any spelling, and the stored one must still be found out. */
const IS_CASE_SENSITIVE = Deno.build.os === "linux";

class FolderCatalog implements ModelCatalog {
  readonly #folder: ModelsFolder;

  constructor(folder: ModelsFolder) {
    this.#folder = folder;
  }

  async find(name: ModelName): Promise<CatalogEntry | undefined> {
    // Nearly every request spells a name as it is stored, and four folder listings cost more than the file.
    const exact = IS_CASE_SENSITIVE ? await readManifestFile(this.#path(name), name) : undefined;
    if (exact !== undefined) return exact;
    const stored = await this.#storedSpelling(name);
    return await readManifestFile(this.#path(stored), stored);
  }

  async list(): Promise<readonly CatalogEntry[]> {
    const entries: CatalogEntry[] = [];
    for await (const { path, name } of walkManifests(this.#folder)) {
      const entry = name && await readManifestFile(path, name);
      if (entry) entries.push(entry);
    }
    return entries.sort((left, right) => right.modifiedAtMs - left.modifiedAtMs);
  }

  async put(name: ModelName, bytes: Uint8Array): Promise<Replacement> {
    assert(parseManifest(bytes) !== undefined, "Only bytes that parse are stored as a manifest");
    assert(isModelName(name), "Only valid names become paths", { ...name });
    const spelled = await this.#storedSpelling(name);
    const path = this.#path(spelled);
    // One that can't be read can be replaced all the same.
    const replaced = await readManifestFile(path, spelled).catch(() => undefined);
    try {
      await Deno.mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
    } catch (error) {
      throw await storageErrorFrom(error, {
        action: "store a manifest",
        folder: this.#folder.root,
      });
    }
    await writeFileDurably(path, bytes);
    return { stored: await readManifestFile(path, spelled), replaced };
  }

  async copy(source: ModelName, destination: ModelName): Promise<boolean> {
    const entry = await this.find(source);
    if (entry !== undefined) await this.put(destination, entry.bytes);
    return entry !== undefined;
  }

  async delete(name: ModelName): Promise<boolean> {
    const path = this.#path(await this.#storedSpelling(name));
    try {
      await Deno.remove(path);
    } catch (error) {
      if (isMissing(error)) return false;
      throw await storageErrorFrom(error, {
        action: "delete a manifest",
        folder: this.#folder.root,
      });
    }
    await removeEmptyParents(dirname(path), this.#folder.manifests);
    return true;
  }

  #path(name: ModelName): string {
    return join(this.#folder.manifests, name.host, name.namespace, name.model, name.tag);
  }

  /** The name in the spelling of what is stored, part by part; parts that match nothing stay as they are. */
  async #storedSpelling(name: ModelName): Promise<ModelName> {
    let folder = this.#folder.manifests;
    const spelled: string[] = [];
    for (const part of [name.host, name.namespace, name.model, name.tag]) {
      const names = (await readFolderEntries(folder)).map((entry) => entry.name);
      const match = names.includes(part)
        ? part
        : names.find((other) => other.toLowerCase() === part.toLowerCase());
      spelled.push(match ?? part);
      folder = join(folder, match ?? part);
    }
    const [host = "", namespace = "", model = "", tag = ""] = spelled;
    return { host, namespace, model, tag };
  }
}

/** Each file at manifest depth; `name` is undefined where the path is no model name. */
export async function* walkManifests(
  folder: ModelsFolder,
): AsyncIterable<{ readonly path: string; readonly name: ModelName | undefined }> {
  const walk = async function* (path: string, parts: readonly string[]): AsyncIterable<string[]> {
    for (const entry of await readFolderEntries(path)) {
      const below = [...parts, entry.name];
      if (below.length === 4) yield below;
      else yield* walk(join(path, entry.name), below);
    }
  };
  for await (const parts of walk(folder.manifests, [])) {
    const [host = "", namespace = "", model = "", tag = ""] = parts;
    const name = { host, namespace, model, tag };
    yield {
      path: join(folder.manifests, ...parts),
      name: isModelName(name) ? name : undefined,
    };
  }
}

/** Undefined when the file is absent, too large, or no manifest. */
export async function readManifestFile(
  path: string,
  name: ModelName,
): Promise<CatalogEntry | undefined> {
  try {
    const stat = await Deno.stat(path);
    if (!stat.isFile || stat.size > MANIFEST_BYTES_MAX) return undefined;
    const bytes = await Deno.readFile(path);
    const manifest = parseManifest(bytes);
    if (manifest === undefined) return undefined;
    const manifestDigest = createHash("sha256").update(bytes).digest("hex");
    return { name, manifest, bytes, manifestDigest, modifiedAtMs: stat.mtime?.getTime() ?? 0 };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw await storageErrorFrom(error, { action: "read a manifest", folder: dirname(path) });
  }
}

/** Up to, but not including, `top`. A folder that is not empty ends it. */
export async function removeEmptyParents(path: string, top: string): Promise<void> {
  for (let folder = path; folder !== top && folder.startsWith(top); folder = dirname(folder)) {
    if ((await readFolderEntries(folder)).length > 0) return;
    try {
      await Deno.remove(folder);
    } catch {
      return; // Somebody stored a model there in the meantime, which is the better outcome.
    }
  }
}

/** A file where a folder is expected has no entries: the folder is others' to spoil. */
async function readFolderEntries(path: string): Promise<Deno.DirEntry[]> {
  try {
    return await readEntries(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotADirectory) return [];
    throw await storageErrorFrom(error, { action: "read a folder", folder: path });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}
