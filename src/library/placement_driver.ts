import { errorMessage, isEdgeError, type NodeId } from "../base/mod.ts";
import {
  isRoomNews,
  type PlacedModel,
  type PlacementNode,
  type PlacementOptions,
  planFetches,
  type PlannedFetch,
  planShortages,
} from "../core/catalogue/mod.ts";
import { blobsOf, type ModelStore } from "../models/mod.ts";
import type { CatalogEntry, Clock, Log } from "../ports/mod.ts";
import { displayModelName } from "../protocol/mod.ts";
import type { CatalogueGroup } from "../group/mod.ts";
import type { LocalCopies } from "./local_copies.ts";
import { entryOf } from "./replicated_catalog.ts";
import type { BlobMember } from "./members.ts";

/** What {@link PlacementDriver} works with. */
export interface PlacementParts {
  readonly self: NodeId;
  readonly group: Pick<CatalogueGroup, "catalogue">;
  /** All admitted members but this one. */
  readonly members: () => readonly BlobMember[];
  /** Whether this node is drained. */
  readonly isDrained: () => boolean;
  readonly copies: Pick<LocalCopies, "held" | "settle">;
  readonly models: Pick<ModelStore, "fetch">;
  /** Where this node keeps blobs; undefined = can't be told. */
  readonly freeBytes: () => Promise<number | undefined>;
  /** Tells the other nodes how many bytes are free here. */
  readonly tellFreeBytes?: (freeBytes: number) => void;
  readonly options: PlacementOptions;
  readonly clock: Clock;
  readonly log: Log;
}

/** How often the placement is looked at. Milliseconds: nothing in it is in a hurry. */
const LOOK_MS = 5_000;
/** Pause before a fetch that failed is tried again, doubled each time up to the longest. Milliseconds. */
const RETRY_MS = { first: 5_000, max: 5 * 60_000 };

/** When a fetch that failed may be tried again. */
interface FetchFailure {
  readonly pauseMs: number;
  readonly untilMs: number;
}

/**
 * Gets this node the models that it should hold. One at a time: a node that fetches must still answer, and what is fetched
 * comes from all holders at once anyway.
 */
export class PlacementDriver {
  readonly #parts: PlacementParts;
  readonly #stop = new AbortController();
  /** When each manifest was first seen here, by the monotonic clock. */
  readonly #seenMs = new Map<string, number>();
  /** Since when each member has been of no use. */
  readonly #awaySinceMs = new Map<NodeId, number>();
  readonly #failures = new Map<string, FetchFailure>();
  /** Manifests that this node has no room for though a copy of them is missing, as of the last look. */
  #short: ReadonlySet<string> = new Set();
  #toldFreeBytes: number | undefined;
  #work: Promise<void> = Promise.resolve();
  #timer: { cancel(): void } = { cancel() {} };

  constructor(parts: PlacementParts) {
    this.#parts = parts;
  }

  /** Looks now, and from then on every few seconds until {@link close}. */
  start(): void {
    this.#work = this.look().finally(() => {
      if (this.#stop.signal.aborted) return;
      this.#timer = this.#parts.clock.after(LOOK_MS, () => this.start());
    });
  }

  /** Resolves when nothing is fetched any more; what came stays for the next time. */
  async close(): Promise<void> {
    this.#stop.abort(new Error("the node stops"));
    this.#timer.cancel();
    await this.#work;
  }

  /** One look, and the fetches that it leads to. */
  async look(): Promise<void> {
    const entries = this.#entries();
    for (const planned of await this.#plan(entries)) {
      const entry = entries.get(planned.manifestDigest)?.[0];
      if (this.#stop.signal.aborted) return;
      if (entry !== undefined) await this.#fetch(entry, planned);
    }
  }

  /** Names by the manifest they point at. */
  #entries(): ReadonlyMap<string, readonly CatalogEntry[]> {
    const entries = new Map<string, CatalogEntry[]>();
    for (const model of this.#parts.group.catalogue.models()) {
      const entry = entryOf(model);
      if (entry === undefined) continue;
      entries.set(entry.manifestDigest, [...entries.get(entry.manifestDigest) ?? [], entry]);
    }
    return entries;
  }

  async #plan(
    entries: ReadonlyMap<string, readonly CatalogEntry[]>,
  ): Promise<readonly PlannedFetch[]> {
    const { self, options, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const models = this.#models(entries, nowMs);
    const nodes = [await this.#ownNode(), ...this.#otherNodes(nowMs)];
    const due = (planned: PlannedFetch) =>
      nowMs >= (this.#failures.get(planned.manifestDigest)?.untilMs ?? nowMs);
    this.#noteShortages(planShortages(self, { models, nodes }, options), entries);
    return planFetches(self, { models, nodes }, options).filter(due);
  }

  /** Says once of each model that a copy of it is missing because there is no room for it here. */
  #noteShortages(
    short: readonly PlacedModel[],
    entries: ReadonlyMap<string, readonly CatalogEntry[]>,
  ): void {
    for (const { manifestDigest, blobBytes } of short) {
      const [entry] = entries.get(manifestDigest) ?? [];
      if (entry === undefined || this.#short.has(manifestDigest)) continue;
      this.#parts.log.log("warn", "model_copy_has_no_room", {
        model: displayModelName(entry.name),
        neededBytes: blobBytes,
        freeBytes: this.#toldFreeBytes,
      });
    }
    this.#short = new Set(short.map(({ manifestDigest }) => manifestDigest));
  }

  #models(
    entries: ReadonlyMap<string, readonly CatalogEntry[]>,
    nowMs: number,
  ): readonly PlacedModel[] {
    for (const known of [this.#seenMs, this.#failures]) {
      for (const digest of known.keys()) if (!entries.has(digest)) known.delete(digest);
    }
    return [...entries].flatMap(([manifestDigest, [entry, ...others]]) => {
      if (entry === undefined) return [];
      if (!this.#seenMs.has(manifestDigest)) this.#seenMs.set(manifestDigest, nowMs);
      const rows = [entry, ...others].flatMap(({ name }) =>
        this.#parts.group.catalogue.findModel(name) ?? []
      );
      return [{
        manifestDigest,
        blobBytes: blobsOf(entry.manifest).reduce((sum, layer) => sum + layer.size, 0),
        replicas: Math.max(...rows.map((row) => row.replicas)),
        pins: rows.flatMap((row) => row.pins),
        ageMs: nowMs - (this.#seenMs.get(manifestDigest) ?? nowMs),
      }];
    });
  }

  async #ownNode(): Promise<PlacementNode> {
    const { self, copies, isDrained, tellFreeBytes } = this.#parts;
    const freeBytes = await this.#parts.freeBytes();
    if (freeBytes !== undefined && isRoomNews(this.#toldFreeBytes, freeBytes)) {
      this.#toldFreeBytes = freeBytes;
      tellFreeBytes?.(freeBytes);
    }
    return {
      nodeId: self,
      awayMs: isDrained() ? 0 : undefined,
      reachable: true,
      // As the others know it: two answers to what this node has room for could leave a model to nobody.
      freeBytes: this.#toldFreeBytes,
      held: new Set(copies.held()),
    };
  }

  #otherNodes(nowMs: number): readonly PlacementNode[] {
    const members = this.#parts.members();
    const ids = new Set(members.map(({ address }) => address.nodeId));
    for (const nodeId of this.#awaySinceMs.keys()) {
      if (!ids.has(nodeId)) this.#awaySinceMs.delete(nodeId);
    }
    const digests = [...this.#seenMs.keys()];
    return members.map((member) => {
      const { nodeId } = member.address;
      const isOfUse = member.standing === "alive" && !member.drained;
      if (isOfUse || member.asleep) this.#awaySinceMs.delete(nodeId);
      else if (!this.#awaySinceMs.has(nodeId)) this.#awaySinceMs.set(nodeId, nowMs);
      return {
        nodeId,
        // One that sleeps gets nothing, and nothing is made elsewhere for it.
        awayMs: isOfUse ? undefined : nowMs - (this.#awaySinceMs.get(nodeId) ?? nowMs),
        reachable: member.standing === "alive",
        freeBytes: member.freeBytes,
        held: new Set(digests.filter((digest) => member.holds(digest))),
      };
    });
  }

  async #fetch(entry: CatalogEntry, planned: PlannedFetch): Promise<void> {
    const { models, log, clock } = this.#parts;
    const model = displayModelName(entry.name);
    const startedMs = clock.monotonicMs();
    log.log("info", "model_fetch_started", { model, because: planned.because });
    try {
      const settle = () => this.#settle(entry.manifestDigest);
      for await (const _ of models.fetch(entry, settle, this.#stop.signal)) {
        if (!this.#isWanted(entry.manifestDigest)) {
          return log.log("info", "model_fetch_dropped", { model });
        }
      }
      this.#failures.delete(entry.manifestDigest);
      const durationMs = Math.round(clock.monotonicMs() - startedMs);
      log.log("info", "model_fetched", { model, durationMs });
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      if (!isEdgeError(error)) throw error;
      const retryMs = this.#noteFailure(entry.manifestDigest);
      log.log("warn", "model_fetch_failed", { model, reason: errorMessage(error), retryMs });
    }
  }

  /** Writes down every name of what has come. */
  async #settle(manifestDigest: string): Promise<void> {
    const names = this.#parts.group.catalogue.models()
      .filter((model) => model.manifestDigest === manifestDigest)
      .map(({ name }) => name);
    await this.#parts.copies.settle(names);
  }

  /** Deleted or replaced meanwhile? */
  #isWanted(manifestDigest: string): boolean {
    const { catalogue } = this.#parts.group;
    return catalogue.models().some((model) => model.manifestDigest === manifestDigest);
  }

  #noteFailure(manifestDigest: string): number {
    const before = this.#failures.get(manifestDigest)?.pauseMs;
    const pauseMs = before === undefined ? RETRY_MS.first : Math.min(before * 2, RETRY_MS.max);
    const untilMs = this.#parts.clock.monotonicMs() + pauseMs;
    this.#failures.set(manifestDigest, { pauseMs, untilMs });
    return pauseMs;
  }
}
