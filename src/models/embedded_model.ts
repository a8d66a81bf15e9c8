import { createHash } from "node:crypto";
import { assert, type Digest, parseDigest, StorageError } from "../base/mod.ts";
import type { BlobStore, Log, ModelCatalog } from "../ports/mod.ts";
import { encodeManifest, MANIFEST_MEDIA_TYPE, parseModelName } from "../protocol/mod.ts";
import {
  CONFIG_MEDIA_TYPE,
  configOf,
  encodeModelConfig,
  FactsCache,
  layerMediaType,
} from "./stored/mod.ts";

/** Name of the model inside the binary. */
const EMBEDDED_NAME = "tiny";
/** What ends a turn in its template, and what would begin the next one; a model this small keeps to its facts only when greedy. */
const EMBEDDED_PARAMETERS = { stop: ["<|im_end|>", "<|im_start|>"], temperature: 0 };

/** What {@link ensureEmbeddedModel} works with. */
interface EmbeddedParts {
  readonly blobs: BlobStore;
  readonly catalog: ModelCatalog;
  /** The file in the source tree or the unpacked build. */
  readonly ggufPath: string;
  readonly log: Log;
}

/**
 * Makes `tiny:latest` exist, so a first run needs no network. Does nothing when the catalog has the name, whatever it
 * points at; a user's own `tiny` stays. A store that takes nothing is only logged: a models folder that this user may
 * read and not write still serves what it holds.
 *
 * @throws Deno's own error when `ggufPath` can't be read.
 */
export async function ensureEmbeddedModel(parts: EmbeddedParts): Promise<void> {
  try {
    await storeEmbeddedModel(parts);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    parts.log.log("warn", "embedded_model_not_stored", { reason: error.message });
  }
}

async function storeEmbeddedModel(parts: EmbeddedParts): Promise<void> {
  const { blobs, catalog, ggufPath, log } = parts;
  const name = parseModelName(EMBEDDED_NAME);
  assert(name !== undefined, "The embedded model has a valid name");
  if (await catalog.find(name) !== undefined) return;
  const digest = await hashFile(ggufPath);
  await blobs.write(digest, (await Deno.open(ggufPath)).readable);
  const facts = await new FactsCache(blobs).get(digest);
  const put = async (value: Uint8Array, mediaType: string) => ({
    mediaType,
    digest: (await blobs.put(value)).digest,
    size: value.length,
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST_MEDIA_TYPE,
    config: await put(encodeModelConfig(configOf(facts)), CONFIG_MEDIA_TYPE),
    layers: [
      { mediaType: layerMediaType("model"), digest, size: (await Deno.stat(ggufPath)).size },
      await put(
        new TextEncoder().encode(JSON.stringify(EMBEDDED_PARAMETERS)),
        layerMediaType("params"),
      ),
    ],
  };
  await catalog.put(name, encodeManifest(manifest));
  log.log("info", "embedded_model_stored", { model: `${EMBEDDED_NAME}:latest`, digest });
}

async function hashFile(path: string): Promise<Digest> {
  const hash = createHash("sha256");
  for await (const chunk of (await Deno.open(path)).readable) hash.update(chunk);
  const digest = parseDigest(`sha256:${hash.digest("hex")}`);
  assert(digest !== undefined, "A SHA-256 in hex is a digest");
  return digest;
}
