import { BoundedMap, type Digest, UnavailableError } from "../../base/mod.ts";
import type { BlobStore, CatalogEntry } from "../../ports/mod.ts";
import { type BlobLayer, displayModelName, type Manifest } from "../../protocol/mod.ts";
import { type ModelConfig, parseModelConfig } from "./model_config.ts";
import { parseParameters, type StoredParameters } from "../modelfile/mod.ts";
import { type Gguf, type GgufFacts, ggufFacts, isFactArray, readGguf } from "../gguf/mod.ts";

/** A stored turn that precedes every conversation. */
export interface StoredMessage {
  readonly role: string;
  readonly content: string;
}

/** What the small blobs of a manifest say. */
export interface ModelContent {
  readonly config: ModelConfig;
  /** Go template text; undefined when the manifest has none. */
  readonly goTemplate: string | undefined;
  readonly system: string;
  readonly parameters: StoredParameters;
  readonly messages: readonly StoredMessage[];
  readonly licenses: readonly string[];
}

/** Bytes of one text blob at most: a manifest that calls weights a template must not fill the memory. */
const TEXT_BYTES_MAX = 16 * 1024 * 1024;
/** Contents kept. Usually a few KB each, licenses included. */
const CONTENTS_MAX = 64;

/** Reads contents, and keeps them by the manifest's digest, under which they never change. */
export class ContentReader {
  readonly #blobs: BlobStore;
  readonly #contents = new BoundedMap<string, ModelContent>(CONTENTS_MAX);

  constructor(blobs: BlobStore) {
    this.#blobs = blobs;
  }

  /** @throws UnavailableError `load_failed` naming model and blob when one is absent or too large. */
  async read(entry: CatalogEntry): Promise<ModelContent> {
    const known = this.#contents.use(entry.manifestDigest);
    if (known) return known;
    const content = await this.#readContent(entry);
    this.#contents.set(entry.manifestDigest, content);
    return content;
  }

  async #readContent(entry: CatalogEntry): Promise<ModelContent> {
    const { manifest } = entry;
    const read = (layer: BlobLayer) => this.#read(layer, entry);
    const licenses = await Promise.all(layersOf(manifest, "license").map(read));
    return {
      ...await readContent(manifest, read),
      licenses: licenses.map((bytes) => new TextDecoder().decode(bytes)),
    };
  }

  /** The bytes that {@link readContent} reads, for another node. */
  async readLayers(entry: CatalogEntry): Promise<readonly Uint8Array[]> {
    const layers = contentLayers(entry.manifest);
    return await Promise.all(layers.map((layer) => this.#read(layer, entry)));
  }

  async #read(layer: BlobLayer, entry: CatalogEntry): Promise<Uint8Array> {
    const found = await this.#blobs.find(layer.digest);
    if (found === undefined) throw missingBlob(entry, layer.digest);
    if (found.blobBytes > TEXT_BYTES_MAX) {
      throw loadFailed(
        entry,
        `blob ${layer.digest} has ${found.blobBytes} bytes, at most ${TEXT_BYTES_MAX} are allowed`,
      );
    }
    return await this.#blobs.read(layer.digest);
  }
}

/** The blobs that say how a model is spoken to: all but weights and licenses. */
function contentLayers(manifest: Manifest): readonly BlobLayer[] {
  const kinds = ["template", "prompt", "system", "params", "messages"] as const;
  return [manifest.config, ...layersOf(manifest, ...kinds)];
}

/** Everything of a model's content but its licenses. `read` throws where a blob can't be had. */
export async function readContent(
  manifest: Manifest,
  read: (layer: BlobLayer) => Promise<Uint8Array>,
): Promise<Omit<ModelContent, "licenses">> {
  const readAll = async (...kinds: readonly LayerKind[]) =>
    await Promise.all(layersOf(manifest, ...kinds).map(read));
  const texts = async (...kinds: readonly LayerKind[]) =>
    (await readAll(...kinds)).map((bytes) => new TextDecoder().decode(bytes));
  const parameters = await readAll("params");
  return {
    config: parseModelConfig(await read(manifest.config)),
    goTemplate: (await texts("template", "prompt")).at(-1),
    system: (await texts("system")).at(-1) ?? "",
    parameters: Object.assign({}, ...parameters.map(parseParameters)),
    messages: (await readAll("messages")).flatMap(parseStoredMessages),
  };
}

/** A manifest names a blob that is not there. */
export function missingBlob(entry: CatalogEntry, digest: Digest): UnavailableError {
  return loadFailed(entry, `blob ${digest} is missing; pull or create the model again`);
}

/** The model is known but can't be used. */
export function loadFailed(
  entry: CatalogEntry,
  reason: string,
  cause?: unknown,
): UnavailableError {
  const name = displayModelName(entry.name);
  return new UnavailableError("load_failed", `Cannot load model "${name}": ${reason}`, {
    cause,
  });
}

function parseStoredMessages(bytes: Uint8Array): StoredMessage[] {
  try {
    const rows: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return Array.isArray(rows) ? rows.filter(isStoredMessage) : [];
  } catch {
    return []; // As with parameters: the model itself is not lost.
  }
}

function isStoredMessage(row: unknown): row is StoredMessage {
  return typeof row === "object" && row !== null && "role" in row && "content" in row &&
    typeof row.role === "string" && typeof row.content === "string";
}

const PREFIX = "application/vnd.ollama.image.";

/** What a layer holds (contract 2.3). `prompt` is the old name of `template`. */
export type LayerKind =
  | "model"
  | "projector"
  | "adapter"
  | "draft"
  | "template"
  | "prompt"
  | "system"
  | "params"
  | "messages"
  | "license";

/** Media type of a layer of this kind. */
export function layerMediaType(kind: LayerKind): string {
  return PREFIX + kind;
}

/** Whether the layer is of one of the kinds. */
export function isLayerOf(layer: BlobLayer, ...kinds: readonly LayerKind[]): boolean {
  return kinds.some((kind) => layer.mediaType === PREFIX + kind);
}

/** All layers of the kinds, in the manifest's order. */
export function layersOf(
  manifest: Pick<Manifest, "layers">,
  ...kinds: readonly LayerKind[]
): readonly BlobLayer[] {
  return manifest.layers.filter((layer) => isLayerOf(layer, ...kinds));
}

/** Facts kept; each takes a few KB, mostly its chat template. */
const FACTS_MAX = 256;

/** GGUF facts by digest. Bytes behind a digest never change, so facts are read once. */
export class FactsCache {
  readonly #blobs: BlobStore;
  readonly #facts = new BoundedMap<Digest, Promise<GgufFacts>>(FACTS_MAX);

  constructor(blobs: BlobStore) {
    this.#blobs = blobs;
  }

  /** @throws RequestError `invalid_gguf`, StorageError `corrupt_file` when the blob is absent. Failures are not kept. */
  get(digest: Digest): Promise<GgufFacts> {
    const known = this.#facts.use(digest);
    if (known) return known;
    const reading = this.readHeader(digest, "facts").then(ggufFacts);
    this.#facts.set(digest, reading);
    reading.catch(() => this.#facts.delete(digest));
    return reading;
  }

  /** The header itself, not kept. `all` arrays can take tens of MB. @throws as {@link get}. */
  async readHeader(digest: Digest, arrays: "facts" | "none" | "all"): Promise<Gguf> {
    const reader = await this.#blobs.open(digest);
    try {
      return await readGguf(reader, { arrays: arrays === "facts" ? isFactArray : arrays });
    } finally {
      reader.close();
    }
  }
}
