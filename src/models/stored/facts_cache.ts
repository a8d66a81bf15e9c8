import { BoundedMap, type Digest } from "../../base/mod.ts";
import type { BlobStore } from "../../ports/mod.ts";
import { type Gguf, type GgufFacts, ggufFacts, isFactArray, readGguf } from "../gguf/mod.ts";

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
