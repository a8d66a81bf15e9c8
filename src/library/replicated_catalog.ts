import { RequestError } from "../base/mod.ts";
import type { Catalogue, CatalogueModel, Outcome } from "../core/catalogue/mod.ts";
import type { CatalogEntry, Clock, ModelCatalog, ReadOptions } from "../ports/mod.ts";
import {
  CATALOGUE_MANIFEST_BYTES_MAX,
  type CatalogueCommand,
  displayModelName,
  type Manifest,
  type ModelName,
  parseManifest,
} from "../protocol/mod.ts";
import {
  type CatalogueGroup,
  CHANGE_TIMEOUT_MS,
  READ_TIMEOUT_MS,
  type Reading,
  refusedChange,
  rewordNoQuorum,
  STALE_AFTER_MS,
} from "../group/mod.ts";
import { knownSpelling } from "./known_spelling.ts";

/** What a replicated catalog stands on. */
export interface ReplicatedCatalogParts {
  readonly group: CatalogueGroup;
  readonly clock: Clock;
  /** Brings the folder of this node in line with names that have just changed (`local_copies.ts`). */
  readonly settle: (names: readonly ModelName[]) => Promise<void>;
}

/**
 * The models of the cluster: names and manifests from the log that the nodes agree on. A change resolves once it is
 * agreed on, applied here, and written down here as far as this node holds the blobs.
 */
export class ReplicatedCatalog implements ModelCatalog {
  readonly #parts: ReplicatedCatalogParts;

  constructor(parts: ReplicatedCatalogParts) {
    this.#parts = parts;
  }

  async find(name: ModelName, options: ReadOptions = {}): Promise<CatalogEntry | undefined> {
    const action = `find model "${displayModelName(name)}"`;
    return await this.#read((catalogue) => {
      const model = catalogue.findModel(name);
      return model && entryOf(model);
    }, { ...options, action });
  }

  async list(options: ReadOptions = {}): Promise<readonly CatalogEntry[]> {
    const entries = await this.#read(
      (catalogue) => catalogue.models().flatMap((model) => entryOf(model) ?? []),
      { ...options, action: "list the models" },
    );
    return entries.sort((left, right) => right.modifiedAtMs - left.modifiedAtMs);
  }

  async put(name: ModelName, bytes: Uint8Array): Promise<void> {
    const action = `store model "${displayModelName(name)}"`;
    if (bytes.length > CATALOGUE_MANIFEST_BYTES_MAX) {
      const limit = `at most ${CATALOGUE_MANIFEST_BYTES_MAX} are allowed`;
      const message = `Cannot ${action}: its manifest has ${bytes.length} bytes, ${limit}`;
      throw new RequestError("invalid_request", message);
    }
    const outcome = await this.#propose({
      kind: "put_model",
      name: this.#spelled(name),
      manifest: bytes,
      atMs: this.#parts.clock.nowMs(),
      expected: undefined,
    }, action);
    if (outcome.kind === "refused") throw refusedChange(outcome.reason, action);
    await this.#parts.settle([name]);
  }

  async copy(source: ModelName, destination: ModelName): Promise<boolean> {
    const action = `copy model "${displayModelName(source)}"`;
    const outcome = await this.#propose({
      kind: "copy_model",
      source,
      destination: this.#spelled(destination),
      atMs: this.#parts.clock.nowMs(),
      expected: undefined,
    }, action);
    if (outcome.kind === "refused" && outcome.reason === "not_found") return false;
    if (outcome.kind === "refused") throw refusedChange(outcome.reason, action);
    await this.#parts.settle([destination]);
    return true;
  }

  async delete(name: ModelName): Promise<boolean> {
    const action = `delete model "${displayModelName(name)}"`;
    const command = { kind: "delete_model", name, expected: undefined } as const;
    const outcome = await this.#propose(command, action);
    if (outcome.kind === "refused" && outcome.reason === "not_found") return false;
    if (outcome.kind === "refused") throw refusedChange(outcome.reason, action);
    await this.#parts.settle([name]);
    return true;
  }

  #spelled(name: ModelName): ModelName {
    const { catalogue } = this.#parts.group;
    return knownSpelling(name, catalogue.models().map((model) => model.name));
  }

  async #read<T>(
    look: (catalogue: Catalogue) => T,
    options: ReadOptions & { readonly action: string },
  ): Promise<T> {
    const { value, consistency } = await this.#readAs(look, options);
    options.onRead?.(consistency);
    return value;
  }

  async #readAs<T>(
    look: (catalogue: Catalogue) => T,
    options: ReadOptions & { readonly action: string },
  ): Promise<Reading<T>> {
    const { group } = this.#parts;
    switch (options.consistency ?? "stale") {
      case "stale":
        return { value: look(group.catalogue), consistency: "stale" };
      case "available":
        return await group.readOrStale(look, { waitMs: STALE_AFTER_MS });
      case "linearizable":
        try {
          const value = await group.read(look, { timeoutMs: READ_TIMEOUT_MS });
          return { value, consistency: "linearizable" };
        } catch (error) {
          throw rewordNoQuorum(error, options.action);
        }
    }
  }

  async #propose(command: CatalogueCommand, action: string): Promise<Outcome> {
    try {
      return await this.#parts.group.propose(command, { timeoutMs: CHANGE_TIMEOUT_MS });
    } catch (error) {
      throw rewordNoQuorum(error, action);
    }
  }
}

/** Parsed manifests by their bytes in the catalogue, which keeps one array for as long as a model names it. */
const MANIFESTS = new WeakMap<Uint8Array, Manifest>();

/** A row of the catalogue as models are handed about; undefined for a manifest that can't be read. */
export function entryOf(model: CatalogueModel): CatalogEntry | undefined {
  const manifest = MANIFESTS.get(model.manifest) ?? parseManifest(model.manifest);
  if (manifest === undefined) return undefined;
  MANIFESTS.set(model.manifest, manifest);
  const { name, manifest: bytes, manifestDigest, modifiedAtMs } = model;
  return { name, manifest, bytes, manifestDigest, modifiedAtMs };
}
