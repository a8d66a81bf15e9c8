import type { BlobStore, CatalogEntry, ListedModel, Log, ModelCatalog } from "../ports/mod.ts";
import { FactsCache } from "./stored/facts_cache.ts";
import { listModels } from "./list_models.ts";
import { ContentReader } from "./stored/model_content.ts";
import {
  type DefinitionSources,
  loadModelDefinition,
  type ModelDefinition,
} from "./stored/model_definition.ts";
import {
  type Asker,
  modelNotFound,
  type ModelReference,
  parseReference,
} from "./model_reference.ts";
import { TemplateInspector } from "./stored/template_inspector.ts";

/** What a model store stands on. */
export interface ModelStoreOptions {
  readonly blobs: BlobStore;
  readonly catalog: ModelCatalog;
  readonly log: Log;
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
}

export function createModelStore(options: ModelStoreOptions): ModelStore {
  const { blobs, catalog, log } = options;
  const sources: DefinitionSources = {
    blobs,
    facts: new FactsCache(blobs),
    contents: new ContentReader(blobs),
    templates: new TemplateInspector(options.preferGo ?? "unless_poorer"),
  };
  const findEntry = async (reference: ModelReference): Promise<CatalogEntry | undefined> => {
    const entry = await catalog.find(reference.name);
    if (entry === undefined || !reference.isLocalOnly) return entry;
    const { config } = await sources.contents.read(entry);
    return config.remoteHost === undefined ? entry : undefined;
  };
  const getEntry = async (model: string, asker: Asker): Promise<CatalogEntry> => {
    const reference = parseReference(model, asker);
    const entry = await findEntry(reference);
    if (entry === undefined) throw modelNotFound(reference, asker);
    return entry;
  };
  return {
    list: async () => await listModels(await catalog.list(), sources, log),
    find: async (model, asker) => await findEntry(parseReference(model, asker)),
    getDefinition: async (model, asker) =>
      await loadModelDefinition(await getEntry(model, asker), sources),
  };
}
