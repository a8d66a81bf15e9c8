/**
 * Puts models into a store for tests.
 *
 * @module
 */
import type { ModelStoreOptions } from "../../src/models/mod.ts";
import type { BlobStore, Clock, ModelCatalog } from "../../src/ports/mod.ts";
import {
  type BlobLayer,
  encodeManifest,
  MANIFEST_MEDIA_TYPE,
  parseModelName,
} from "../../src/protocol/mod.ts";

import { localInspector } from "./local_templates.ts";

/** Blobs of a model by layer kind (`model`, `template`, `params`...); text and objects are encoded. */
export interface StoredModel {
  readonly name: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly layers: readonly (readonly [kind: string, content: Uint8Array | string | object])[];
}

/** Stores blobs and manifest as a pull would have. */
export async function storeModel(
  parts: { readonly blobs: BlobStore; readonly catalog: ModelCatalog },
  model: StoredModel,
): Promise<void> {
  const put = async (mediaType: string, content: Uint8Array | string | object) => {
    const bytes = bytesOf(content);
    const { digest } = await parts.blobs.put(bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const layers: BlobLayer[] = [];
  for (const [kind, content] of model.layers) {
    layers.push(await put(`application/vnd.ollama.image.${kind}`, content));
  }
  const config = await put(
    "application/vnd.docker.container.image.v1+json",
    model.config ?? { model_format: "gguf", model_family: "llama", model_families: ["llama"] },
  );
  const name = parseModelName(model.name);
  if (name === undefined) throw new Error(`bad name ${model.name}`);
  const manifest = { schemaVersion: 2, mediaType: MANIFEST_MEDIA_TYPE, config, layers };
  await parts.catalog.put(name, encodeManifest(manifest));
}

/** The machine's time; its timers keep a test alive, unlike a node's. */
export const REAL_CLOCK: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const id = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(id) };
  },
};

/** Options of a model store that logs nothing. */
export function modelStoreParts(
  parts: { readonly blobs: BlobStore; readonly catalog: ModelCatalog },
): ModelStoreOptions {
  const quantizer = { quantize: () => Promise.reject(new Error("no quantizer")) };
  return {
    ...parts,
    quantizer,
    clock: REAL_CLOCK,
    log: { log: () => {} },
    templates: localInspector(),
    userAgent: "odist-test",
  };
}

function bytesOf(content: Uint8Array | string | object): Uint8Array {
  if (content instanceof Uint8Array) return content;
  return new TextEncoder().encode(typeof content === "string" ? content : JSON.stringify(content));
}
