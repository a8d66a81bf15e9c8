import { judgeOwnModel, modelKey, type NamedManifest } from "../core/catalogue/mod.ts";
import type { CatalogEntry } from "../ports/mod.ts";
import type { ModelName } from "../protocol/mod.ts";
import type { KnownModels } from "./known_models.ts";

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
