import { invalidRequest, isEdgeError } from "../base/mod.ts";
import {
  type Catalogue,
  type CatalogueModel,
  judgeOwnModel,
  modelKey,
  type NamedManifest,
  type Outcome,
} from "../core/catalogue/mod.ts";
import {
  BEFORE_CHANGE,
  type CatalogEntry,
  type Clock,
  type Log,
  type ModelCatalog,
  type ReadOptions,
  type Replacement,
} from "../ports/mod.ts";
import {
  CATALOGUE_MANIFEST_BYTES_MAX,
  type CatalogueCommand,
  displayModelName,
  knownSpelling,
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
import type { KnownModels } from "./known_models.ts";

/** This node's folder (`local_copies.ts`). */
export interface OwnFolder {
  /** Brings it in line with names that have just changed. */
  settle(names: readonly ModelName[]): Promise<void>;
  /** Keeps what the cluster can't be told of now. */
  putLocal(name: ModelName, bytes: Uint8Array): Promise<void>;
  /** False when it is not this node's own any more. */
  deleteLocal(name: ModelName): Promise<boolean>;
}

/** What a replicated catalog stands on. */
export interface ReplicatedCatalogParts {
  readonly group: CatalogueGroup;
  readonly clock: Clock;
  readonly copies: () => OwnFolder;
  /** This node's own models. */
  readonly locals: LocalModels;
  readonly log: Log;
}

/**
 * The models of the cluster: names and manifests from the log that the nodes agree on. A change resolves once it is
 * agreed on, applied here, and written down here as far as this node holds the blobs. Where no quorum answers, what is stored
 * and copied is this node's own until there is one, and only what is the cluster's can't be changed.
 */
export class ReplicatedCatalog implements ModelCatalog {
  readonly #parts: ReplicatedCatalogParts;

  constructor(parts: ReplicatedCatalogParts) {
    this.#parts = parts;
  }

  async find(name: ModelName, options: ReadOptions = {}): Promise<CatalogEntry | undefined> {
    const action = `find model "${displayModelName(name)}"`;
    const shared = await this.#read((catalogue) => {
      const model = name.node === undefined ? catalogue.findModel(name) : undefined;
      return model && entryOf(model);
    }, { ...options, action });
    return this.#parts.locals.find(name) ?? shared;
  }

  async list(options: ReadOptions = {}): Promise<readonly CatalogEntry[]> {
    const entries = await this.#read(
      (catalogue) => catalogue.models().flatMap((model) => entryOf(model) ?? []),
      { ...options, action: "list the models" },
    );
    const own = this.#parts.locals.list();
    const named = new Set(own.filter(({ name }) => name.node === undefined).map(keyOf));
    const shared = entries.filter((entry) => !named.has(keyOf(entry)));
    return [...own, ...shared].sort((left, right) => right.modifiedAtMs - left.modifiedAtMs);
  }

  async put(name: ModelName, bytes: Uint8Array): Promise<Replacement> {
    const action = `store model "${displayModelName(name)}"`;
    if (bytes.length > CATALOGUE_MANIFEST_BYTES_MAX) {
      const limit = `at most ${CATALOGUE_MANIFEST_BYTES_MAX} are allowed`;
      const message = `Cannot ${action}: its manifest has ${bytes.length} bytes, ${limit}`;
      throw invalidRequest(message);
    }
    const replaced = await this.find(name, BEFORE_CHANGE);
    const outcome = await this.#proposeOrNot({
      kind: "put_model",
      name: this.#spelled(name),
      manifest: bytes,
      atMs: this.#parts.clock.nowMs(),
      expected: undefined,
    }, action);
    if (outcome === "no_quorum") await this.#parts.copies().putLocal(name, bytes);
    else if (outcome.kind === "refused") throw refusedChange(outcome.reason, action);
    else await this.#parts.copies().settle([name]);
    return { stored: await this.find(name), replaced };
  }

  async copy(source: ModelName, destination: ModelName): Promise<boolean> {
    const action = `copy model "${displayModelName(source)}"`;
    const own = this.#parts.locals.find(source);
    if (own !== undefined) {
      await this.put(destination, own.bytes);
      return true;
    }
    const outcome = await this.#proposeOrNot({
      kind: "copy_model",
      source,
      destination: this.#spelled(destination),
      atMs: this.#parts.clock.nowMs(),
      expected: undefined,
    }, action);
    if (outcome === "no_quorum") return await this.#copyHere(source, destination);
    if (outcome.kind === "refused" && outcome.reason === "not_found") return false;
    if (outcome.kind === "refused") throw refusedChange(outcome.reason, action);
    await this.#parts.copies().settle([destination]);
    return true;
  }

  async delete(name: ModelName): Promise<boolean> {
    const action = `delete model "${displayModelName(name)}"`;
    if (this.#parts.locals.find(name) !== undefined) {
      return await this.#parts.copies().deleteLocal(name);
    }
    if (name.node !== undefined) return false;
    const command = { kind: "delete_model", name, expected: undefined } as const;
    const outcome = await this.#propose(command, action);
    if (outcome.kind === "refused" && outcome.reason === "not_found") return false;
    if (outcome.kind === "refused") throw refusedChange(outcome.reason, action);
    await this.#parts.copies().settle([name]);
    return true;
  }

  async #copyHere(source: ModelName, destination: ModelName): Promise<boolean> {
    const entry = await this.find(source);
    if (entry !== undefined) await this.#parts.copies().putLocal(destination, entry.bytes);
    return entry !== undefined;
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
        return await group.readOrStale(look, { waitMs: options.waitMs ?? STALE_AFTER_MS });
      case "linearizable":
        try {
          const value = await group.read(look, { timeoutMs: READ_TIMEOUT_MS });
          return { value, consistency: "linearizable" };
        } catch (error) {
          throw rewordNoQuorum(error, options.action);
        }
    }
  }

  /** `no_quorum` where there is none: the change may still be made, and is then found to be the same. */
  async #proposeOrNot(command: CatalogueCommand, action: string): Promise<Outcome | "no_quorum"> {
    try {
      return await this.#propose(command, action);
    } catch (error) {
      if (!isEdgeError(error) || error.code !== "no_quorum") throw error;
      this.#parts.log.log("debug", "change_stays_here", { reason: error.message });
      return "no_quorum";
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

function keyOf({ name }: CatalogEntry): string {
  return modelKey(name);
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

/** What {@link LocalModels} go by. */
export interface LocalModelsParts {
  readonly known: Pick<KnownModels, "has" | "isKept">;
  /** What the catalogue has under a name, as far as this node has applied it. */
  readonly catalogued: (name: ModelName) => Pick<NamedManifest, "manifestDigest"> | undefined;
  /** This node's name, by which its own models are told from the cluster's. */
  readonly nodeName: () => string;
}

/** The models in this node's folder that are not the cluster's: made without a quorum, or brought along. */
export class LocalModels {
  readonly #parts: LocalModelsParts;
  /** By model key: what the folder holds. */
  readonly #held = new Map<string, CatalogEntry>();

  constructor(parts: LocalModelsParts) {
    this.#parts = parts;
  }

  /** The folder was looked at; undefined = it has nothing under the name. */
  note(name: ModelName, entry: CatalogEntry | undefined): void {
    if (entry === undefined) this.#held.delete(modelKey(name));
    else this.#held.set(modelKey(name), entry);
  }

  /** The whole folder was looked at. */
  noteAll(entries: readonly CatalogEntry[]): void {
    this.#held.clear();
    for (const entry of entries) this.note(entry.name, entry);
  }

  /** This node's own model of a name, with or without the node in it; undefined = what the cluster has counts. */
  find(name: ModelName): CatalogEntry | undefined {
    const held = this.#held.get(modelKey(name));
    if (held === undefined) return undefined;
    const { nodeName } = this.#parts;
    if (name.node !== undefined && name.node.toLowerCase() !== nodeName().toLowerCase()) {
      return undefined;
    }
    const own = this.#own(held);
    return own?.name.node !== undefined && name.node === undefined ? undefined : own;
  }

  /** What this node has under the name in its folder, and keeps beside the cluster's. */
  findAside(name: ModelName): CatalogEntry | undefined {
    const held = this.#held.get(modelKey(name));
    const own = held && this.#own(held);
    return own?.name.node === undefined ? undefined : own;
  }

  /** All of them, under the names they go by. */
  list(): readonly CatalogEntry[] {
    return [...this.#held.values()].flatMap((held) => this.#own(held) ?? []);
  }

  /** Names of those that the cluster was not told of yet. */
  pending(): readonly ModelName[] {
    return this.list().map(({ name }) => name).filter(({ node }) => node === undefined);
  }

  #own(held: CatalogEntry): CatalogEntry | undefined {
    const { known, catalogued, nodeName } = this.#parts;
    const judged = judgeOwnModel({
      local: held,
      catalogue: catalogued(held.name),
      isKnown: known.has(held),
      isKept: known.isKept(held),
    });
    if (judged === "no") return undefined;
    const name = judged === "aside" ? { ...held.name, node: nodeName() } : held.name;
    return { ...held, name, isLocal: true };
  }
}
