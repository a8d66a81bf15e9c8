import type { BlobStore } from "../../ports/mod.ts";
import type { BlobLayer } from "../../protocol/mod.ts";
import type { GgufFacts, MergedGguf } from "../gguf/mod.ts";
import type { FactsCache } from "../stored/mod.ts";

/** A GGUF blob that a new model is made of. */
export interface GgufPart {
  readonly layer: BlobLayer;
  readonly facts: GgufFacts;
  /** There when the blob is yet to be put together from others: hands over the whole while its parts are open. */
  readonly merged?: <T>(use: (whole: MergedGguf) => Promise<T>) => Promise<T>;
}

/** What parts are read from. */
export interface PartSources {
  readonly blobs: BlobStore;
  readonly facts: FactsCache;
}
