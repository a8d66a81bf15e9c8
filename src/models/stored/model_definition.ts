import { BoundedMap, errorMessage, invalidRequest, PeerError, sha256Hex } from "../../base/mod.ts";
import type {
  BlobStore,
  CatalogEntry,
  Clock,
  ModelDetails,
  RequestOptions,
} from "../../ports/mod.ts";
import { type BlobLayer, displayModelName, type ModelName } from "../../protocol/mod.ts";
import {
  type ContentReader,
  type FactsCache,
  layersOf,
  loadFailed,
  missingBlob,
  type ModelContent,
  readContent,
  type StoredMessage,
} from "./model_content.ts";
import type { GgufFacts } from "../gguf/mod.ts";
import { capabilitiesOf, detailsOf, type ModelConfig } from "./model_config.ts";
import { optionsOf } from "../modelfile/mod.ts";
import type { TemplateCapabilities } from "../template/mod.ts";
import type {
  InspectedTemplate,
  StoredTemplates,
  TemplateInspector,
} from "./template_inspector.ts";

/** Everything inference needs to know of a stored model. */
export interface ModelDefinition {
  readonly name: ModelName;
  /** SHA-256 hex of the manifest: changes with anything below. */
  readonly manifestDigest: string;
  readonly modelPath: string;
  readonly adapterPaths: readonly string[];
  readonly projectorPath: string | undefined;
  /** Bytes of weights, adapters and projector on disk. */
  readonly weightsBytes: number;
  /** Those of the projector alone; 0 = there is none. */
  readonly projectorBytes: number;
  readonly template: DefinedTemplate;
  readonly system: string;
  readonly parameters: RequestOptions;
  /** Precede every conversation. */
  readonly messages: readonly StoredMessage[];
  readonly config: ModelConfig;
  readonly facts: GgufFacts;
  readonly details: ModelDetails;
  readonly capabilities: readonly string[];
}

/** A model's templates, and what is known of them; absent = nothing yet. */
export interface DefinedTemplate extends StoredTemplates {
  readonly inspected?: InspectedTemplate;
}

/** What {@link loadModelDefinition} reads from. */
export interface DefinitionSources {
  readonly blobs: BlobStore;
  readonly facts: FactsCache;
  readonly contents: ContentReader;
  readonly templates: TemplateInspector;
}

/**
 * Reads a stored model as inference needs it. What its template can do is found out if it isn't known yet.
 *
 * @throws UnavailableError `load_failed` naming what is missing or damaged; RequestError when it can't run here at all.
 */
async function loadModelDefinition(
  entry: CatalogEntry,
  sources: DefinitionSources,
): Promise<ModelDefinition> {
  const content = await sources.contents.read(entry);
  const { config } = content;
  if (config.remoteHost !== undefined || config.remoteModel !== undefined) {
    throw invalidRequest("this server cannot run this remote model");
  }
  const [weights] = layersOf(entry.manifest, "model");
  if (weights === undefined) throw loadFailed(entry, "its manifest names no GGUF weights");
  const adapters = layersOf(entry.manifest, "adapter");
  const projectors = layersOf(entry.manifest, "projector");
  for (const layer of [weights, ...adapters, ...projectors]) {
    await requireWhole(layer, entry, sources.blobs);
  }
  const facts = await readFacts(weights, entry, sources.facts);
  const projectorFacts = await Promise.all(
    projectors.map((layer) => readFacts(layer, entry, sources.facts)),
  );
  const template = templateSourcesOf(content, facts);
  const inspected = await sources.templates.inspect(template);
  const pathOf = (layer: BlobLayer) => sources.blobs.path(layer.digest);
  return {
    name: entry.name,
    manifestDigest: entry.manifestDigest,
    modelPath: pathOf(weights),
    adapterPaths: adapters.map(pathOf),
    projectorPath: projectors[0] && pathOf(projectors[0]),
    weightsBytes: bytesOf([weights, ...adapters, ...projectors]),
    projectorBytes: bytesOf(projectors),
    template: { ...template, inspected },
    system: content.system,
    parameters: optionsOf(content.parameters),
    messages: content.messages,
    config,
    facts,
    details: detailsOf(config, facts, weights.from),
    capabilities: capabilitiesOf({
      weights: facts,
      projectors: projectorFacts,
      template: inspected.traits.capabilities,
    }),
  };
}

/** For how long files that were found are taken to be there still: others may remove them. Milliseconds. */
const FOUND_MS = 1_000;
/** Definitions kept. */
const DEFINITIONS_MAX = 64;

/** {@link loadModelDefinition}, but that requests which follow each other soon don't all ask the disk the same. */
export class RecentDefinitions {
  readonly #sources: DefinitionSources;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #found = new BoundedMap<string, { definition: ModelDefinition; atMs: number }>(
    DEFINITIONS_MAX,
  );

  constructor(sources: DefinitionSources, clock: Pick<Clock, "monotonicMs">) {
    this.#sources = sources;
    this.#clock = clock;
  }

  /** @throws as {@link loadModelDefinition}. */
  async get(entry: CatalogEntry): Promise<ModelDefinition> {
    const key = `${entry.manifestDigest} ${displayModelName(entry.name)}`;
    const atMs = this.#clock.monotonicMs();
    const found = this.#found.use(key);
    if (found !== undefined && atMs - found.atMs < FOUND_MS) return found.definition;
    this.#found.delete(key);
    const definition = await loadModelDefinition(entry, this.#sources);
    this.#found.set(key, { definition, atMs });
    return definition;
  }
}

/**
 * A definition as another node tells it, made true: whatever the manifest names by digest is read from `layers`, which must
 * have those digests. What is left of its word are facts of the weights' header, and the template there: only the whole
 * file could prove them. What a template can do is found out anew.
 *
 * @throws PeerError `malformed_frame` when a layer is missing or another one.
 */
export async function verifyDefinition(
  told: ModelDefinition,
  entry: CatalogEntry,
  layers: readonly Uint8Array[],
): Promise<ModelDefinition> {
  const byDigest = new Map(layers.map((bytes) => [`sha256:${sha256Hex(bytes)}`, bytes]));
  const content = await readContent(entry.manifest, ({ digest }) => {
    const bytes = byDigest.get(digest);
    if (bytes !== undefined) return Promise.resolve(bytes);
    const reason =
      `Model "${entry.name.model}" was described without what its manifest names: ${digest}`;
    return Promise.reject(new PeerError("malformed_frame", reason));
  });
  const { config, system, messages } = content;
  const [weights] = layersOf(entry.manifest, "model");
  const loaded = layersOf(entry.manifest, "model", "adapter", "projector");
  return {
    ...told,
    weightsBytes: bytesOf(loaded),
    projectorBytes: bytesOf(layersOf(entry.manifest, "projector")),
    template: templateSourcesOf(content, told.facts),
    system,
    parameters: optionsOf(content.parameters),
    messages,
    config,
    details: detailsOf(config, told.facts, weights?.from),
  };
}

/** The templates that a manifest and its weights bring along. */
export function templateSourcesOf(
  content: Pick<ModelContent, "goTemplate" | "config">,
  weights: GgufFacts,
): StoredTemplates {
  const { goTemplate, config: { renderer, parser } } = content;
  const { architecture } = weights;
  const jinjaTemplate = weights.chatTemplate;
  return {
    ...(goTemplate !== undefined && { goTemplate }),
    ...(jinjaTemplate !== undefined && { jinjaTemplate }),
    ...(renderer !== undefined && { renderer }),
    ...(parser !== undefined && { parser }),
    architecture,
  };
}

/**
 * What a template is known to express. Neither list nor show waits for a template to run: what is not known yet is found out
 * behind their back, and left out until then.
 */
export function knownCapabilities(
  template: StoredTemplates,
  { templates }: DefinitionSources,
): TemplateCapabilities {
  const known = templates.find(template);
  if (known !== undefined) return known.traits.capabilities;
  // Whoever uses the model is told what went wrong.
  templates.inspect(template).catch(() => {});
  return { tools: false, thinking: false, insert: false };
}

/** A blob that shrank on disk would only be noticed by llama.cpp, mid-load and with a worse text. */
async function requireWhole(
  layer: BlobLayer,
  entry: CatalogEntry,
  blobs: BlobStore,
): Promise<void> {
  const found = await blobs.find(layer.digest);
  if (found === undefined) throw missingBlob(entry, layer.digest);
  if (found.blobBytes === layer.size) return;
  throw loadFailed(
    entry,
    `blob ${layer.digest} has ${found.blobBytes} bytes, its manifest says ${layer.size}`,
  );
}

/** Facts of a layer. @throws UnavailableError `load_failed` with the reason. */
export async function readFacts(
  layer: BlobLayer,
  entry: CatalogEntry,
  facts: FactsCache,
): Promise<GgufFacts> {
  try {
    return await facts.get(layer.digest);
  } catch (cause) {
    throw loadFailed(entry, errorMessage(cause), cause);
  }
}

function bytesOf(layers: readonly BlobLayer[]): number {
  return layers.reduce((sum, { size }) => sum + size, 0);
}
