import { isHashHex } from "../base/mod.ts";
import { modelKey, type NamedManifest } from "../core/catalogue/mod.ts";
import type { KeptFile } from "../ports/mod.ts";

/** Bytes of the file at most; a larger one is not ours. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

/**
 * What the folder of this node holds and the catalogue is known to have had under the same name. Kept over restarts: a
 * model that was deleted while this node was off must be told from one that the cluster has never heard of.
 */
export class KnownModels {
  readonly #file: KeptFile;
  readonly #clusterId: string;
  /** Manifest digests by model key. Several while one replaces another. */
  readonly #digests: Map<string, Set<string>>;
  /** What this node keeps as its own beside the catalogue, likewise. */
  readonly #kept: Map<string, Set<string>>;
  #isNew: boolean;

  private constructor(
    file: KeptFile,
    clusterId: string,
    read: Pick<KnownFile, "models" | "kept"> | undefined,
  ) {
    this.#file = file;
    this.#clusterId = clusterId;
    this.#digests = read?.models ?? new Map();
    this.#kept = read?.kept ?? new Map();
    this.#isNew = read === undefined;
  }

  /** True until something was kept for this cluster: the node has just come to it. */
  get isNew(): boolean {
    return this.#isNew;
  }

  /** From the next start on the node is not new any more. */
  async begin(): Promise<void> {
    if (this.#isNew) await this.#save();
  }

  /**
   * What another cluster knew says nothing about this one; a file that can't be read
   * counts as absent, because a model too many does less harm than one too few.
   */
  static async open(file: KeptFile, clusterId: string): Promise<KnownModels> {
    const bytes = await file.read().catch(() => undefined);
    return new KnownModels(file, clusterId, parseKnown(new TextDecoder().decode(bytes), clusterId));
  }

  has(model: NamedManifest): boolean {
    return this.#digests.get(modelKey(model.name))?.has(model.manifestDigest) ?? false;
  }

  isKept(model: NamedManifest): boolean {
    return this.#kept.get(modelKey(model.name))?.has(model.manifestDigest) ?? false;
  }

  /** From now on these are this node's own. Durable when it resolves. */
  async keep(models: readonly NamedManifest[]): Promise<void> {
    if (models.length === 0) return;
    // One name has one model in the folder.
    for (const model of models) {
      this.#kept.set(modelKey(model.name), new Set([model.manifestDigest]));
    }
    await this.#save();
  }

  /** Durable when it resolves; to be called before the folder gets what is noted. */
  async note(models: readonly NamedManifest[]): Promise<void> {
    const fresh = models.filter((model) => !this.has(model));
    if (fresh.length === 0) return;
    for (const { name, manifestDigest } of fresh) {
      const key = modelKey(name);
      const digests = this.#digests.get(key) ?? new Set();
      this.#digests.set(key, digests.add(manifestDigest));
    }
    await this.#save();
  }

  /** To be called after they went out of the folder. */
  async forget(models: readonly NamedManifest[]): Promise<void> {
    const known = models.filter((model) => this.has(model) || this.isKept(model));
    if (known.length === 0) return;
    for (const model of known) {
      const { name, manifestDigest } = model;
      const key = modelKey(name);
      if (this.isKept(model)) this.#kept.delete(key);
      this.#digests.get(key)?.delete(manifestDigest);
      if (this.#digests.get(key)?.size === 0) this.#digests.delete(key);
    }
    await this.#save();
  }

  async #save(): Promise<void> {
    const [models, kept] = [plain(this.#digests), plain(this.#kept)];
    const text = JSON.stringify({ version: 1, clusterId: this.#clusterId, models, kept });
    await this.#file.write(new TextEncoder().encode(text));
    this.#isNew = false;
  }
}

/** By model key. */
interface KnownFile {
  readonly models: Map<string, Set<string>>;
  readonly kept: Map<string, Set<string>>;
}

/** Undefined for anything that was not kept for this cluster. */
function parseKnown(text: string, clusterId: string): KnownFile | undefined {
  if (text === "" || text.length > FILE_BYTES_MAX) return undefined;
  const value = parseObject(text);
  if (value["version"] !== 1 || value["clusterId"] !== clusterId) return undefined;
  return { models: parseDigests(value["models"]), kept: parseDigests(value["kept"]) };
}

function parseDigests(value: unknown): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const [key, digests] of Object.entries(asObject(value))) {
    if (!Array.isArray(digests)) continue;
    const fitting = digests.filter((digest) => typeof digest === "string" && isHashHex(digest));
    found.set(key, new Set(fitting));
  }
  return found;
}

function plain(digests: ReadonlyMap<string, ReadonlySet<string>>): object {
  return Object.fromEntries([...digests].map(([key, held]) => [key, [...held]]));
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return {}; // Damaged: nothing is known.
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
