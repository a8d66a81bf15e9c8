import { RequestError } from "../base/mod.ts";
import type {
  BlobStore,
  CatalogEntry,
  Clock,
  CreateRequest,
  ListedModel,
  Log,
  ModelCatalog,
  Quantizer,
  RegistryKey,
  ShownModel,
  ShowRequest,
  TransferProgress,
  TransferRequest,
} from "../ports/mod.ts";
import { isSameModelName, parseModelName } from "../protocol/mod.ts";
import { createModel } from "./create/create_model.ts";
import { Exclusive } from "./exclusive.ts";
import { listModels } from "./list_models.ts";
import {
  type Asker,
  modelNotFound,
  type ModelReference,
  parseReference,
} from "./model_reference.ts";
import { type PullContext, pullModel } from "./registry/pull_model.ts";
import { type PushContext, pushModel } from "./registry/push_model.ts";
import { SharedDownloads } from "./transfer/shared_downloads.ts";
import { TRANSFER_LIMITS, type TransferLimits } from "./transfer/transfer_limits.ts";
import { showModel } from "./show_model.ts";
import { FactsCache } from "./stored/facts_cache.ts";
import { ContentReader } from "./stored/model_content.ts";
import {
  type DefinitionSources,
  loadModelDefinition,
  type ModelDefinition,
} from "./stored/model_definition.ts";
import { TemplateInspector } from "./stored/template_inspector.ts";
import { removeUnused } from "./unused_blobs.ts";

/** What a model store stands on. */
export interface ModelStoreOptions {
  readonly blobs: BlobStore;
  readonly catalog: ModelCatalog;
  readonly clock: Clock;
  readonly log: Log;
  /** For creating models in another precision. */
  readonly quantizer: Quantizer;
  /** What registries are told of this program. */
  readonly userAgent: string;
  /** For registries that want a signature; without it they can't be used. */
  readonly registryKey?: RegistryKey;
  /** True keeps blobs that only a replaced manifest named (`OLLAMA_NOPRUNE`). Default false. */
  readonly noPrune?: boolean;
  /** Default {@link TRANSFER_LIMITS}. */
  readonly transferLimits?: TransferLimits;
  /** As in `compileTemplate`. */
  readonly preferGo?: "always" | "unless_poorer";
}

/** The models of one node: everything about them but running them. */
export interface ModelStore {
  /** Contract 1.10, newest first. */
  list(): Promise<readonly ListedModel[]>;
  /** Undefined when the name is valid and unknown. @throws RequestError when the name is not valid. */
  find(model: string, asker: Asker): Promise<CatalogEntry | undefined>;
  /**
   * What inference needs of a model named in a request.
   *
   * @throws RequestError in the asker's words when the name is bad or unknown; UnavailableError `load_failed` when a blob
   *   is missing or damaged.
   */
  getDefinition(model: string, asker: Asker): Promise<ModelDefinition>;
  /** Contract 1.10. @throws as {@link ModelStore.getDefinition}. */
  show(request: ShowRequest): Promise<ShownModel>;
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
}

export function createModelStore(options: ModelStoreOptions): ModelStore {
  return new StoredModels(options);
}

class StoredModels implements ModelStore {
  readonly #options: ModelStoreOptions;
  readonly #sources: DefinitionSources;
  readonly #changes = new Exclusive();
  readonly #transfers: PullContext & PushContext;

  constructor(options: ModelStoreOptions) {
    this.#options = options;
    this.#sources = {
      blobs: options.blobs,
      facts: new FactsCache(options.blobs),
      contents: new ContentReader(options.blobs),
      templates: new TemplateInspector(options.preferGo ?? "unless_poorer"),
    };
    const { blobs, catalog, clock, userAgent, registryKey: key } = options;
    const limits = options.transferLimits ?? TRANSFER_LIMITS;
    this.#transfers = {
      blobs,
      catalog,
      clock,
      limits,
      access: { clock, userAgent, ...(key && { key }) },
      downloads: new SharedDownloads({ blobs, clock, limits }),
      changes: this.#changes,
      removesUnused: options.noPrune !== true,
    };
  }

  async list(): Promise<readonly ListedModel[]> {
    const { catalog, log } = this.#options;
    return await listModels(await catalog.list(), this.#sources, log);
  }

  async find(model: string, asker: Asker): Promise<CatalogEntry | undefined> {
    return await this.#findEntry(parseReference(model, asker));
  }

  async getDefinition(model: string, asker: Asker): Promise<ModelDefinition> {
    return await loadModelDefinition(await this.#getEntry(model, asker), this.#sources);
  }

  async show(request: ShowRequest): Promise<ShownModel> {
    return await showModel(await this.#getEntry(request.model, "show"), request, this.#sources);
  }

  create(request: CreateRequest, signal: AbortSignal): AsyncIterable<TransferProgress> {
    const { blobs, catalog, clock, quantizer } = this.#options;
    const { facts, contents } = this.#sources;
    const context = {
      blobs,
      catalog,
      clock,
      quantizer,
      facts,
      contents,
      changes: this.#changes,
      pullParent: (model: string, pullSignal: AbortSignal) =>
        this.pull({ model, insecure: false }, pullSignal),
    };
    return createModel(request, context, signal);
  }

  pull(request: TransferRequest, signal: AbortSignal): AsyncIterable<TransferProgress> {
    return pullModel(request, this.#transfers, signal);
  }

  push(request: TransferRequest, signal: AbortSignal): AsyncIterable<TransferProgress> {
    return pushModel(request, this.#transfers, signal);
  }

  async copy(request: { readonly source: string; readonly destination: string }): Promise<void> {
    const source = parseCopied(request.source, "source");
    const destination = parseCopied(request.destination, "destination");
    await this.#changes.run(async () => {
      const entry = await this.#options.catalog.find(source);
      if (entry === undefined) {
        throw new RequestError("model_not_found", `model "${request.source}" not found`);
      }
      if (isSameModelName(source, destination)) return;
      await this.#options.catalog.put(destination, entry.bytes);
    });
  }

  async delete(request: { readonly model: string }): Promise<void> {
    const reference = parseReference(request.model, "delete");
    await this.#changes.run(async () => {
      const entry = await this.#findEntry(reference);
      if (entry === undefined) throw modelNotFound(reference, "delete");
      await this.#options.catalog.delete(entry.name);
      await removeUnused(entry.manifest, this.#options);
    });
  }

  async #getEntry(model: string, asker: Asker): Promise<CatalogEntry> {
    const reference = parseReference(model, asker);
    const entry = await this.#findEntry(reference);
    if (entry === undefined) throw modelNotFound(reference, asker);
    return entry;
  }

  async #findEntry(reference: ModelReference): Promise<CatalogEntry | undefined> {
    const entry = await this.#options.catalog.find(reference.name);
    if (entry === undefined || !reference.isLocalOnly) return entry;
    const { config } = await this.#sources.contents.read(entry);
    return config.remoteHost === undefined ? entry : undefined;
  }
}

function parseCopied(text: string, role: "source" | "destination") {
  const name = parseModelName(text.trim());
  if (name !== undefined) return name;
  throw new RequestError("invalid_model_name", `${role} "${text}" is invalid`);
}
