/**
 * The manifest and the small blobs that a definition would have been read from.
 *
 * @module
 */
import { type Digest, sha256Hex } from "../../src/base/mod.ts";
import type { ModelDefinition } from "../../src/models/mod.ts";
import { encodeModelConfig } from "../../src/models/stored/model_config.ts";
import type { BlobLayer, Manifest } from "../../src/protocol/mod.ts";

/** What a model consists of besides its weights. */
export interface PackedModel {
  readonly manifest: Manifest;
  /** The configuration first, then template, system text, parameters and messages. */
  readonly layers: readonly Uint8Array[];
}

/** Takes a definition apart. */
export function packModel(definition: ModelDefinition): PackedModel {
  const params = Object.fromEntries(
    Object.entries(definition.parameters).map(([field, value]) => [storedName(field), value]),
  );
  const texts = {
    template: bytesOf(definition.template.goTemplate ?? ""),
    system: bytesOf(definition.system),
    params: bytesOf(JSON.stringify(params)),
    messages: bytesOf(JSON.stringify(definition.messages)),
  };
  const config = encodeModelConfig(definition.config);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.docker.distribution.manifest.v2+json",
    config: layerOf("config", config),
    layers: [
      { ...layerOf("model", bytesOf("weights")), size: definition.weightsBytes },
      ...Object.entries(texts).map(([kind, bytes]) => layerOf(kind, bytes)),
    ],
  };
  return { manifest, layers: [config, ...Object.values(texts)] };
}

/** `numCtx` is stored as `num_ctx`. */
function storedName(field: string): string {
  return field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function layerOf(kind: string, bytes: Uint8Array): BlobLayer {
  const mediaType = `application/vnd.ollama.image.${kind}`;
  return { mediaType, digest: `sha256:${sha256Hex(bytes)}` as Digest, size: bytes.length };
}
