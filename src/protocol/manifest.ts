import { type Digest, parseDigest } from "../base/mod.ts";

/** A manifest's entry (contract 2.3). */
export interface BlobLayer {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes of the blob. */
  readonly size: number;
  readonly from?: string;
  readonly name?: string;
}

/** What a tag points at (contract 2.3). */
export interface Manifest {
  readonly schemaVersion: number;
  readonly mediaType: string;
  readonly config: BlobLayer;
  readonly layers: readonly BlobLayer[];
}

/** Bytes of one manifest at most: larger ones are not read, from disk or network. */
export const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;
/** Layers of one manifest at most; models of single tensors have thousands. */
const LAYERS_MAX = 20_000;

/** Media type of a manifest, in its own field and in registry headers. */
export const MANIFEST_MEDIA_TYPE = "application/vnd.docker.distribution.manifest.v2+json";

/** Parses stored or received bytes; undefined when they are no manifest. Unknown fields are ignored. */
export function parseManifest(bytes: Uint8Array): Manifest | undefined {
  if (bytes.length > MANIFEST_BYTES_MAX) return undefined;
  const value = parseJsonObject(bytes);
  if (value === undefined) return undefined;
  const config = parseLayer(value["config"]);
  const rawLayers = value["layers"] ?? [];
  if (config === undefined || !Array.isArray(rawLayers) || rawLayers.length > LAYERS_MAX) {
    return undefined;
  }
  const layers: BlobLayer[] = [];
  for (const raw of rawLayers) {
    const layer = parseLayer(raw);
    if (layer === undefined) return undefined;
    layers.push(layer);
  }
  const { schemaVersion, mediaType } = value;
  return {
    schemaVersion: typeof schemaVersion === "number" ? schemaVersion : 2,
    mediaType: typeof mediaType === "string" ? mediaType : MANIFEST_MEDIA_TYPE,
    config,
    layers,
  };
}

/** The bytes of a manifest made here, fields in the order registries write them. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const { schemaVersion, mediaType, config, layers } = manifest;
  const shaped = {
    schemaVersion,
    mediaType,
    config: shapeLayer(config),
    layers: layers.map(shapeLayer),
  };
  return new TextEncoder().encode(JSON.stringify(shaped));
}

function shapeLayer(layer: BlobLayer): Record<string, unknown> {
  const { mediaType, digest, size, from, name } = layer;
  return { mediaType, digest, size, ...(from && { from }), ...(name && { name }) };
}

function parseLayer(raw: unknown): BlobLayer | undefined {
  if (!isObject(raw)) return undefined;
  const { mediaType, digest: digestText, size, from, name } = raw;
  const digest = typeof digestText === "string" ? parseDigest(digestText) : undefined;
  if (digest === undefined || typeof mediaType !== "string") return undefined;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) return undefined;
  return {
    mediaType,
    digest,
    size,
    ...(typeof from === "string" && from !== "" && { from }),
    ...(typeof name === "string" && name !== "" && { name }),
  };
}

function parseJsonObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // Neither UTF-8 nor JSON: no manifest, which is the answer asked for.
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
