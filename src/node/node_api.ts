import type { Digest } from "../base/mod.ts";
import type { ChangesStanding } from "../core/voting/mod.ts";
import type { ModelStore } from "../models/mod.ts";
import type {
  Answer,
  BlobStore,
  ChatRequest,
  Clock,
  CreateRequest,
  DetokenizeAnswer,
  DetokenizeRequest,
  EmbedAnswer,
  EmbedRequest,
  GenerateRequest,
  ListedModel,
  LoadedModelRow,
  ModelApi,
  Readiness,
  ReadOptions,
  ShownModel,
  ShowRequest,
  TokenizeAnswer,
  TokenizeRequest,
  TransferProgress,
  TransferRequest,
} from "../ports/mod.ts";
import type { LoadedCopy } from "../protocol/mod.ts";
import { changesView } from "../operators/mod.ts";
import type { Inference, Vocabularies } from "../answers/mod.ts";
import type { SchedulerDriver } from "../slots/mod.ts";

/** What the other nodes of a cluster have loaded, as they last told. */
export interface LoadedElsewhere {
  /** Name of the node. */
  readonly node: string;
  readonly copies: readonly LoadedCopy[];
}

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

/** What a node answers with: inference, models, and what is loaded, here and on other nodes. */
export class NodeApi implements ModelApi {
  readonly #parts: NodeApiParts;
  #stopping = false;

  constructor(parts: NodeApiParts) {
    this.#parts = parts;
  }

  /** From now on {@link readiness} says that the node stops. */
  stopAdmitting(): void {
    this.#stopping = true;
  }

  generate(request: GenerateRequest, signal: AbortSignal): Promise<Answer> {
    return this.#parts.inference.generate(request, signal);
  }

  chat(request: ChatRequest, signal: AbortSignal): Promise<Answer> {
    return this.#parts.inference.chat(request, signal);
  }

  embed(request: EmbedRequest, signal: AbortSignal): Promise<EmbedAnswer> {
    return this.#parts.inference.embed(request, signal);
  }

  countTokens(request: ChatRequest, signal: AbortSignal): Promise<number> {
    return this.#parts.inference.countTokens(request, signal);
  }

  tokenize(request: TokenizeRequest, signal: AbortSignal): Promise<TokenizeAnswer> {
    return this.#parts.vocabularies.tokenize(request, signal);
  }

  detokenize(request: DetokenizeRequest, signal: AbortSignal): Promise<DetokenizeAnswer> {
    return this.#parts.vocabularies.detokenize(request, signal);
  }

  listModels(options?: ReadOptions): Promise<readonly ListedModel[]> {
    return this.#parts.models.list(options);
  }

  async listLoaded(): Promise<readonly LoadedModelRow[]> {
    const { driver, models, others } = this.#parts;
    const elsewhere = others?.loaded() ?? [];
    const isIdle = elsewhere.every(({ copies }) => copies.length === 0);
    if (driver.view().instances.length === 0 && isIdle) return [];
    const listed = new Map((await models.list()).map((model) => [model.name, model]));
    const node = others === undefined || elsewhere.length === 0 ? {} : { node: others.ownName };
    const rows = this.#loadedHere(listed).map((row) => ({ ...row, ...node }));
    rows.push(...elsewhere.flatMap((told) => loadedThere(told, listed)));
    return rows.sort((a, b) => (a.expiresAtMs < b.expiresAtMs ? 1 : -1));
  }

  #loadedHere(listed: ReadonlyMap<string, ListedModel>): readonly LoadedModelRow[] {
    const { driver, clock } = this.#parts;
    return driver.view().instances.flatMap((instance): LoadedModelRow[] => {
      const model = listed.get(instance.displayName);
      // Deleted while loaded: it runs on until it expires, but there is nothing left to show of it.
      if (model === undefined) return [];
      const facts = driver.findModel(instance.instanceId)?.facts;
      const idleMs = (instance.expiresAtMs ?? clock.monotonicMs() + instance.keepAliveMs) -
        clock.monotonicMs();
      return [{
        name: model.name,
        size: instance.memoryBytes,
        sizeVram: facts?.deviceMemoryBytes ?? 0,
        digest: model.digest,
        details: model.details,
        expiresAtMs: clock.nowMs() + idleMs,
        contextLength: instance.contextTokens,
      }];
    });
  }

  showModel(request: ShowRequest, options?: ReadOptions): Promise<ShownModel> {
    return this.#parts.models.show(request, options);
  }

  createModel(request: CreateRequest, signal: AbortSignal): AsyncIterable<TransferProgress> {
    return this.#parts.models.create(request, signal);
  }

  copyModel(names: { readonly source: string; readonly destination: string }): Promise<void> {
    return this.#parts.models.copy(names);
  }

  deleteModel(request: { readonly model: string }): Promise<void> {
    return this.#parts.models.delete(request);
  }

  pullModel(request: TransferRequest, signal: AbortSignal): AsyncIterable<TransferProgress> {
    return this.#parts.models.pull(request, signal);
  }

  pushModel(request: TransferRequest, signal: AbortSignal): AsyncIterable<TransferProgress> {
    return this.#parts.models.push(request, signal);
  }

  findBlob(digest: Digest): Promise<{ readonly blobBytes: number } | undefined> {
    return this.#parts.blobs.find(digest);
  }

  writeBlob(digest: Digest, bytes: ReadableStream<Uint8Array>): Promise<"created" | "exists"> {
    return this.#parts.uploads.write(digest, bytes);
  }

  readiness(): Readiness {
    const standing = this.#parts.changes?.();
    const changes = standing && { changes: changesView(standing) };
    return this.#stopping
      ? { ready: false, reasons: ["stopping"], ...changes }
      : { ready: true, reasons: [], ...changes };
  }
}

/** Rows of models that the catalogue still has; the others run on until they expire, with nothing left to show of them. */
function loadedThere(
  told: LoadedElsewhere,
  listed: ReadonlyMap<string, ListedModel>,
): readonly LoadedModelRow[] {
  return told.copies.flatMap((copy): LoadedModelRow[] => {
    const model = listed.get(copy.name);
    if (model === undefined) return [];
    return [{
      name: model.name,
      size: copy.sizeBytes,
      sizeVram: copy.vramBytes,
      digest: model.digest,
      details: model.details,
      expiresAtMs: copy.expiresAtMs === 0 ? Infinity : copy.expiresAtMs,
      contextLength: copy.contextLength,
      node: told.node,
    }];
  });
}
