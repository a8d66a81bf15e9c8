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
  #isNew: boolean;

  private constructor(
    file: KeptFile,
    clusterId: string,
    digests: Map<string, Set<string>> | undefined,
  ) {
    this.#file = file;
    this.#clusterId = clusterId;
    this.#digests = digests ?? new Map();
    this.#isNew = digests === undefined;
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
    const known = models.filter((model) => this.has(model));
    if (known.length === 0) return;
    for (const { name, manifestDigest } of known) {
      const key = modelKey(name);
      this.#digests.get(key)?.delete(manifestDigest);
      if (this.#digests.get(key)?.size === 0) this.#digests.delete(key);
    }
    await this.#save();
  }

  async #save(): Promise<void> {
    const models = Object.fromEntries([...this.#digests].map(([key, held]) => [key, [...held]]));
    const text = JSON.stringify({ version: 1, clusterId: this.#clusterId, models });
    await this.#file.write(new TextEncoder().encode(text));
    this.#isNew = false;
  }
}

/** Undefined for anything that was not kept for this cluster. */
function parseKnown(text: string, clusterId: string): Map<string, Set<string>> | undefined {
  if (text === "" || text.length > FILE_BYTES_MAX) return undefined;
  const value = parseObject(text);
  if (value["version"] !== 1 || value["clusterId"] !== clusterId) return undefined;
  const known = new Map<string, Set<string>>();
  for (const [key, digests] of Object.entries(asObject(value["models"]))) {
    if (!Array.isArray(digests)) continue;
    const fitting = digests.filter((digest) => typeof digest === "string" && isHashHex(digest));
    known.set(key, new Set(fitting));
  }
  return known;
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
