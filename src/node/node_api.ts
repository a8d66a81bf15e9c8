import type { ChangesStanding } from "../core/voting/mod.ts";
import type { ModelStore } from "../models/mod.ts";
import type {
  BlobStore,
  Clock,
  ListedModel,
  LoadedModelRow,
  ModelApi,
  ReadOptions,
} from "../ports/mod.ts";
import type { LoadedElsewhere } from "../members/mod.ts";
import { changesView } from "../operators/mod.ts";
import type { Inference, Vocabularies } from "../answers/mod.ts";
import type { SchedulerDriver } from "../slots/mod.ts";

/** What a list of loaded models says besides, in a cluster. */
export interface OtherNodes {
  /** Name of this node. */
  readonly ownName: string;
  /** One for each other node, loaded models or not; none = this node is alone, and rows name no node. */
  loaded(): readonly LoadedElsewhere[];
}

/** What the client of one node puts together. */
export interface NodeApiParts {
  readonly inference: Pick<Inference, "generate" | "chat" | "embed" | "countTokens">;
  readonly vocabularies: Pick<Vocabularies, "tokenize" | "detokenize">;
  readonly models: Omit<ModelStore, "find" | "getDefinition" | "fetch">;
  readonly blobs: BlobStore;
  /** Takes what clients upload. */
  readonly uploads: Pick<BlobStore, "write">;
  readonly driver: Pick<SchedulerDriver, "view" | "findModel">;
  readonly clock: Clock;
  /** Whether the cluster takes changes; absent on a node that is in none. */
  readonly changes?: () => ChangesStanding;
  /** Absent on a node that can't have others. */
  readonly others?: OtherNodes;
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
    findBlob: (digest) => blobs.find(digest),
    writeBlob: (digest, bytes) => uploads.write(digest, bytes),
    readiness() {
      const standing = parts.changes?.();
      const changes = standing && { changes: changesView(standing) };
      return { ready: !isStopping, reasons: isStopping ? ["stopping"] : [], ...changes };
    },
  };
}

async function listLoaded(
  parts: NodeApiParts,
  options?: ReadOptions,
): Promise<readonly LoadedModelRow[]> {
  const { models, others } = parts;
  const elsewhere = others?.loaded() ?? [];
  const listed = new Map((await models.list(options)).map((model) => [model.name, model]));
  const node = others === undefined || elsewhere.length === 0 ? {} : { node: others.ownName };
  const rows = loadedHere(parts, listed).map((row) => ({ ...row, ...node }));
  rows.push(...elsewhere.flatMap((told) => loadedThere(told, listed)));
  return rows.sort((a, b) => (a.expiresAtMs < b.expiresAtMs ? 1 : -1));
}

function loadedHere(
  { driver, clock }: NodeApiParts,
  listed: ReadonlyMap<string, ListedModel>,
): readonly LoadedModelRow[] {
  return driver.view().instances.flatMap((instance): LoadedModelRow[] => {
    const model = listed.get(instance.displayName);
    // Deleted while loaded: it runs on until it expires, but there is nothing left to show of it.
    if (model === undefined) return [];
    const loaded = driver.findModel(instance.instanceId);
    const idleMs = (instance.expiresAtMs ?? clock.monotonicMs() + instance.keepAliveMs) -
      clock.monotonicMs();
    return [{
      name: model.name,
      size: sizeOf(instance.memoryBytes, loaded?.split),
      sizeVram: loaded?.facts.deviceMemoryBytes ?? 0,
      digest: model.digest,
      details: model.details,
      expiresAtMs: clock.nowMs() + idleMs,
      contextLength: instance.contextTokens,
      ...loaded?.split && { shards: loaded.split.shards },
      ...(loaded?.facts.exactness === undefined ? {} : { exactness: loaded.facts.exactness }),
    }];
  });
}

/** On all nodes together. */
function sizeOf(
  ownBytes: number,
  split: { readonly shards: readonly { readonly memoryBytes: number }[] } | undefined,
): number {
  if (split === undefined) return ownBytes;
  return split.shards.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
}

/** Rows of models that the catalogue still has; the others run on until they expire, with nothing left to show of them. */
function loadedThere(
  told: LoadedElsewhere,
  listed: ReadonlyMap<string, ListedModel>,
): readonly LoadedModelRow[] {
  return told.copies.flatMap((copy): LoadedModelRow[] => {
    const model = listed.get(copy.name);
    if (model === undefined) return [];
    const split = told.split.find(({ manifest }) => manifest === copy.manifest);
    return [{
      name: model.name,
      size: sizeOf(copy.sizeBytes, split),
      sizeVram: copy.vramBytes,
      digest: model.digest,
      details: model.details,
      expiresAtMs: copy.expiresAtMs === 0 ? Infinity : copy.expiresAtMs,
      contextLength: copy.contextLength,
      node: told.node,
      ...split && { shards: split.shards },
    }];
  });
}
