import { isEdgeError, RequestError } from "../base/mod.ts";
import {
  type ArrivingModel,
  BEFORE_CHANGE,
  type BlobPeers,
  type BlobStore,
  type CatalogEntry,
  type Clock,
  type CreateRequest,
  type ListedModel,
  type Log,
  type ModelCatalog,
  type Quantizer,
  type ReadOptions,
  type RegistryKey,
  type ShownModel,
  type ShowRequest,
  type TransferLimits,
  type TransferProgress,
  type TransferRequest,
} from "../ports/mod.ts";
import {
  displayModelName,
  isSameModelName,
  type Manifest,
  parseKeptName,
} from "../protocol/mod.ts";
import { BlobHolds, blobsOf, isHere, isWholeHere } from "./blob_holds.ts";
import { createModel } from "./create/mod.ts";
import { Exclusive } from "./exclusive.ts";
import { listModels } from "./list_models.ts";
import { holdersLost, type ModelsElsewhere } from "./models_elsewhere.ts";
import {
  type Asker,
  checkStorable,
  modelNotFound,
  type ModelReference,
  parseReference,
} from "./model_reference.ts";
import {
  type PullContext,
  pullModel,
  type PushContext,
  pushModel,
  type RegistryAccess,
  type RegistryNetwork,
  SYSTEM_NETWORK,
} from "./registry/mod.ts";
import { showModel } from "./show_model.ts";
import {
  ContentReader,
  type DefinitionSources,
  FactsCache,
  layersOf,
  type ModelDefinition,
  RecentDefinitions,
  type TemplateInspector,
  templateSourcesOf,
} from "./stored/mod.ts";
import { Arrivals, SharedDownloads, TRANSFER_LIMITS } from "./transfer/mod.ts";
import { type BlobUsers, removeUnused, type StoredHook } from "./unused_blobs.ts";

/** The line before the last of what was made while nobody could be told. */
const KEPT_HERE = "no quorum of the cluster answers: this node keeps the model until one does";

/** What a model store stands on. */
export interface ModelStoreOptions {
  readonly blobs: BlobStore;
  readonly catalog: ModelCatalog;
  /** What names blobs besides, where {@link catalog} is a cluster's: that is not removed either. */
  readonly localCatalog?: Pick<ModelCatalog, "list">;
  /** Other nodes that blobs can be had from; absent on a node without any. */
  readonly peers?: BlobPeers;
  /** What other nodes say of the models whose blobs they hold; absent on a node without any. */
  readonly elsewhere?: ModelsElsewhere;
  /** Called when blobs came from other nodes, and all of a model are here now. */
  readonly onFetched?: (entry: CatalogEntry) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  /** For creating models in another precision. */
  readonly quantizer: Quantizer;
  /** What registries are told of this program. */
  readonly userAgent: string;
  /** For registries that want a signature; without it they can't be used. */
  readonly registryKey?: RegistryKey;
  /** Lets registries name addresses that only this machine or its network can reach. Default false. */
  readonly allowsPrivateRegistry?: boolean;
  /** Default {@link SYSTEM_NETWORK}. */
  readonly registryNetwork?: RegistryNetwork;
  /** True keeps blobs that only a replaced manifest named (`OLLAMA_NOPRUNE`). Default false. */
  readonly noPrune?: boolean;
  /** Default {@link TRANSFER_LIMITS}. */
  readonly transferLimits?: TransferLimits;
  readonly templates: TemplateInspector;
}

/**
 * The models that the catalog names: everything about them but running them. Reads are `stale` unless said otherwise;
 * changes, and what they are based on, are linearizable where a quorum answers, and the catalog's affair where none does.
 */
export interface ModelStore {
  /** Contract 1.10, newest first. */
  list(options?: ReadOptions): Promise<readonly ListedModel[]>;
  /** Undefined when the name is valid and unknown. @throws RequestError when the name is not valid. */
  find(model: string, asker: Asker): Promise<CatalogEntry | undefined>;
  /**
   * What inference needs of a model named in a request.
   *
   * @throws RequestError in the asker's words when the name is bad or unknown; UnavailableError `load_failed` when a blob
   *   is missing or damaged.
   */
  getDefinition(model: string, asker: Asker): Promise<ModelDefinition>;
  /**
   * The blobs that say how a model is spoken to, for a node that lacks them.
   *
   * @throws as {@link ModelStore.getDefinition}.
   */
  readContentLayers(model: string, asker: Asker): Promise<readonly Uint8Array[]>;
  /** Contract 1.10. @throws as {@link ModelStore.getDefinition}. */
  show(request: ShowRequest, options?: ReadOptions): Promise<ShownModel>;
  /** Contract 1.11, with its progress lines. @throws RequestError before the first one when the request is bad. */
  create(request: CreateRequest, signal: AbortSignal): AsyncIterable<TransferProgress>;
  /** Contract 1.12. @throws RequestError before the first line for a bad name. */
  pull(request: TransferRequest, signal: AbortSignal): AsyncIterable<TransferProgress>;
  /** As {@link ModelStore.pull}. */
  push(request: TransferRequest, signal: AbortSignal): AsyncIterable<TransferProgress>;
  /** Copies the manifest only. The same name is fine. @throws RequestError in the contract's words. */
  copy(request: { readonly source: string; readonly destination: string }): Promise<void>;
  /** Blobs that other models share stay. @throws RequestError in the contract's words. */
  delete(request: { readonly model: string }): Promise<void>;
  /** Whether all blobs of a manifest are on this node. */
  isWholeHere(manifest: Manifest): Promise<boolean>;
  /**
   * Brings the blobs of a model that are not here from the nodes that hold them, with the progress lines of a pull. They
   * are not removed until `use`, called once all are here, has resolved.
   *
   * @throws UnavailableError `peer_lost` when nobody can be reached who holds one; StorageError `disk_full` or
   *   `corrupt_file`; `signal`'s reason. What came stays for a later try.
   */
  fetch(
    entry: CatalogEntry,
    use: () => Promise<void>,
    signal: AbortSignal,
  ): AsyncIterable<TransferProgress>;
  /** Those that are pulled or fetched now, and how much of each is here. */
  arriving(): readonly ArrivingModel[];
  /** Finds out what the templates of all models here can do, where that isn't known yet; later lists and shows tell it. */
  inspectTemplates(): Promise<void>;
  /** Deletes the blobs of manifests that are no longer in the catalog, except those that are named otherwise. */
  removeUnused(manifests: readonly Manifest[]): Promise<void>;
}

export function createModelStore(options: ModelStoreOptions): ModelStore {
  return new StoredModels(options);
}

class StoredModels implements ModelStore {
  readonly #options: ModelStoreOptions;
  readonly #sources: DefinitionSources;
  readonly #definitions: RecentDefinitions;
  /** Looks at blobs that are about to be named, and removals of blobs, take turns. */
  readonly #changes = new Exclusive();
  readonly #holds = new BlobHolds();
  readonly #downloads: SharedDownloads;
  readonly #arrivals = new Arrivals();
  readonly #limits: TransferLimits;

  constructor(options: ModelStoreOptions) {
    this.#options = options;
    this.#sources = {
      blobs: options.blobs,
      facts: new FactsCache(options.blobs),
      contents: new ContentReader(options.blobs),
      templates: options.templates,
    };
    const { blobs, clock, peers } = options;
    this.#definitions = new RecentDefinitions(this.#sources, clock);
    this.#limits = options.transferLimits ?? TRANSFER_LIMITS;
    const { progressMs } = this.#limits;
    this.#downloads = new SharedDownloads({ blobs, clock, progressMs, ...(peers && { peers }) });
  }

  async list(options: ReadOptions = {}): Promise<readonly ListedModel[]> {
    const { catalog, log, elsewhere } = this.#options;
    const entries = await catalog.list(options);
    return await listModels(entries, { ...this.#sources, log, ...(elsewhere && { elsewhere }) });
  }

  async find(model: string, asker: Asker): Promise<CatalogEntry | undefined> {
    return await this.#findEntry(parseReference(model, asker));
  }

  async getDefinition(model: string, asker: Asker): Promise<ModelDefinition> {
    return await this.#definitions.get(await this.#getEntry(model, asker));
  }

  async readContentLayers(model: string, asker: Asker): Promise<readonly Uint8Array[]> {
    return await this.#sources.contents.readLayers(await this.#getEntry(model, asker));
  }

  async show(request: ShowRequest, options: ReadOptions = {}): Promise<ShownModel> {
    const { elsewhere } = this.#options;
    const entry = await this.#getEntry(request.model, "show", options);
    if (elsewhere === undefined || await this.isWholeHere(entry.manifest)) {
      return await showModel(entry, request, this.#sources);
    }
    const shown = await elsewhere.show(entry, request);
    if (shown === undefined) throw holdersLost(entry, elsewhere.away(entry));
    return shown;
  }

  create(request: CreateRequest, signal: AbortSignal): AsyncIterable<TransferProgress> {
    const { clock, quantizer } = this.#options;
    const { facts, contents, templates } = this.#sources;
    const context = {
      ...this.#users(),
      clock,
      quantizer,
      facts,
      contents,
      templates,
      changes: this.#changes,
      pullParent: (model: string, pullSignal: AbortSignal) =>
        this.pull({ model, insecure: false }, pullSignal),
      fetchMissing: (entry: CatalogEntry, fetchSignal: AbortSignal) =>
        this.#fetchMissing(entry, fetchSignal),
    };
    return createModel(request, context, signal);
  }

  pull(request: TransferRequest, signal: AbortSignal): AsyncIterable<TransferProgress> {
    const context: PullContext = {
      ...this.#users(),
      access: this.#access(),
      limits: this.#limits,
      downloads: this.#downloads,
      arrivals: this.#arrivals,
      changes: this.#changes,
      removesUnused: this.#options.noPrune !== true,
    };
    return pullModel(request, context, signal);
  }

  push(request: TransferRequest, signal: AbortSignal): AsyncIterable<TransferProgress> {
    const context: PushContext = {
      ...this.#options,
      access: this.#access(),
      limits: this.#limits,
      fetchMissing: (entry, fetchSignal) => this.#fetchMissing(entry, fetchSignal),
    };
    return pushModel(request, context, signal);
  }

  async copy(request: { readonly source: string; readonly destination: string }): Promise<void> {
    const source = parseCopied(request.source, "source");
    const destination = parseCopied(request.destination, "destination");
    const { catalog } = this.#options;
    // Nothing is removed that the copy will name, should the source go first.
    const known = await catalog.find(source);
    using _held = this.#holds.hold(known === undefined ? [] : blobsOf(known.manifest));
    const isThere = isSameModelName(source, destination)
      ? await catalog.find(source, BEFORE_CHANGE) !== undefined
      : await catalog.copy(source, destination);
    if (isThere) return;
    throw new RequestError("model_not_found", `model "${request.source}" not found`);
  }

  async delete(request: { readonly model: string }): Promise<void> {
    const reference = parseReference(request.model, "delete");
    const entry = await this.#findEntry(reference, BEFORE_CHANGE);
    if (entry === undefined || !await this.#options.catalog.delete(entry.name)) {
      throw modelNotFound(reference, "delete");
    }
    await this.removeUnused([entry.manifest]);
  }

  async isWholeHere(manifest: Manifest): Promise<boolean> {
    return await isWholeHere(manifest, this.#options.blobs);
  }

  async *fetch(
    entry: CatalogEntry,
    use: () => Promise<void>,
    signal: AbortSignal,
  ): AsyncIterable<TransferProgress> {
    const { blobs } = this.#options;
    const layers = blobsOf(entry.manifest);
    using _held = this.#holds.hold(layers);
    using arrival = this.#arrivals.begin(displayModelName(entry.name), layers);
    for (const layer of layers) {
      if (await isHere(layer, blobs)) {
        arrival.note(layer, layer.size);
        continue;
      }
      for await (const line of this.#downloads.follow(layer, undefined, signal)) {
        arrival.note(layer, line.completed ?? 0);
        yield line;
      }
    }
    // In turn with removals: one that began before the blobs were held must not end after this look.
    await this.#changes.run(async () => {
      if (await this.isWholeHere(entry.manifest)) return;
      throw holdersLost(entry, this.#options.elsewhere?.away(entry));
    });
    await use();
    await this.#inspect(entry);
  }

  arriving(): readonly ArrivingModel[] {
    return this.#arrivals.rows();
  }

  async inspectTemplates(): Promise<void> {
    for (const entry of await this.#options.catalog.list()) {
      if (await this.isWholeHere(entry.manifest)) await this.#inspect(entry);
    }
  }

  async removeUnused(manifests: readonly Manifest[]): Promise<void> {
    await this.#changes.run(async () => {
      for (const manifest of manifests) await removeUnused(manifest, this.#users());
    });
  }

  async *#afterStored(entry: CatalogEntry | undefined): AsyncIterable<TransferProgress> {
    if (entry !== undefined) await this.#inspect(entry);
    if (entry?.isLocal) yield { status: KEPT_HERE };
  }

  /** A model that can't be read, or whose template can't be used, is stored all the same; whoever uses it is told why. */
  async #inspect(entry: CatalogEntry): Promise<void> {
    try {
      const [weights] = layersOf(entry.manifest, "model");
      if (weights === undefined) return;
      const content = await this.#sources.contents.read(entry);
      const facts = await this.#sources.facts.get(weights.digest);
      await this.#sources.templates.inspect(templateSourcesOf(content, facts));
    } catch (error) {
      if (!isEdgeError(error)) throw error;
      const model = displayModelName(entry.name);
      this.#options.log.log("debug", "template_not_inspected", { model, reason: error.message });
    }
  }

  /** Nothing where there are no other nodes: what is missing is then found out by whoever reads it. */
  async *#fetchMissing(entry: CatalogEntry, signal: AbortSignal): AsyncIterable<TransferProgress> {
    const { peers, onFetched } = this.#options;
    if (peers === undefined) return;
    // In turn with removals, as in `fetch`: the caller holds what is here.
    if (await this.#changes.run(() => this.isWholeHere(entry.manifest))) return;
    yield* this.fetch(entry, async () => await onFetched?.(entry), signal);
  }

  #users(): BlobUsers & StoredHook {
    const afterStored = (entry: CatalogEntry | undefined) => this.#afterStored(entry);
    return { ...this.#options, holds: this.#holds, afterStored };
  }

  #access(): RegistryAccess {
    const { clock, userAgent, registryKey: key, registryNetwork, allowsPrivateRegistry } =
      this.#options;
    return {
      clock,
      userAgent,
      network: registryNetwork ?? SYSTEM_NETWORK,
      allowsPrivate: allowsPrivateRegistry ?? false,
      ...(key && { key }),
    };
  }

  async #getEntry(
    model: string,
    asker: Asker,
    options: ReadOptions = {},
  ): Promise<CatalogEntry> {
    const reference = parseReference(model, asker);
    const entry = await this.#findEntry(reference, options);
    if (entry === undefined) throw modelNotFound(reference, asker);
    return entry;
  }

  async #findEntry(
    reference: ModelReference,
    options: ReadOptions = {},
  ): Promise<CatalogEntry | undefined> {
    const entry = await this.#options.catalog.find(reference.name, options);
    if (entry === undefined || !reference.isLocalOnly) return entry;
    const { config } = await this.#sources.contents.read(entry);
    return config.remoteHost === undefined ? entry : undefined;
  }
}

function parseCopied(text: string, role: "source" | "destination") {
  const name = parseKeptName(text.trim());
  if (name !== undefined && role === "destination") checkStorable(name);
  if (name !== undefined) return name;
  throw new RequestError("invalid_model_name", `${role} "${text}" is invalid`);
}
