import type { ChangesStanding } from "../core/voting/mod.ts";
import type { ModelStore } from "../models/mod.ts";
import type { BlobStore, ModelApi } from "../ports/mod.ts";
import { changesView, listLoaded, type LoadedRowsParts } from "../operators/mod.ts";
import type { Inference, Vocabularies } from "../answers/mod.ts";

/** What the client of one node puts together. */
export interface NodeApiParts extends LoadedRowsParts {
  readonly inference: Pick<Inference, "generate" | "chat" | "embed" | "countTokens">;
  readonly vocabularies: Pick<Vocabularies, "tokenize" | "detokenize">;
  readonly models: Omit<ModelStore, "find" | "getDefinition" | "fetch">;
  readonly blobs: BlobStore;
  /** Takes what clients upload. */
  readonly uploads: Pick<BlobStore, "write">;
  /** Whether the cluster takes changes; absent on a node that is in none. */
  readonly changes?: () => ChangesStanding;
}

/** What a node answers with, until it is told to say that it stops. */
export interface NodeApi extends ModelApi {
  /** From now on {@link readiness} says that the node stops. */
  stopAdmitting(): void;
}

/** Inference, models, and what is loaded, here and on other nodes. */
export function createNodeApi(parts: NodeApiParts): NodeApi {
  const { inference, vocabularies, models, blobs, uploads } = parts;
  let isStopping = false;
  return {
    stopAdmitting: () => void (isStopping = true),
    generate: (...asked) => inference.generate(...asked),
    chat: (...asked) => inference.chat(...asked),
    embed: (...asked) => inference.embed(...asked),
    countTokens: (...asked) => inference.countTokens(...asked),
    tokenize: (...asked) => vocabularies.tokenize(...asked),
    detokenize: (...asked) => vocabularies.detokenize(...asked),
    listModels: (options) => models.list(options),
    listLoaded: (options) => listLoaded(parts, options),
    showModel: (...asked) => models.show(...asked),
    createModel: (...asked) => models.create(...asked),
    copyModel: (names) => models.copy(names),
    deleteModel: (request) => models.delete(request),
    pullModel: (...asked) => models.pull(...asked),
    pushModel: (...asked) => models.push(...asked),
    arrivingModels: () => models.arriving(),
    findBlob: (digest) => blobs.find(digest),
    writeBlob: (digest, bytes) => uploads.write(digest, bytes),
    readiness() {
      const standing = parts.changes?.();
      const changes = standing && { changes: changesView(standing) };
      return { ready: !isStopping, reasons: isStopping ? ["stopping"] : [], ...changes };
    },
  };
}
