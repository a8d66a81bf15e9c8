import {
  BoundedMap,
  errorMessage,
  isEdgeError,
  type NodeId,
  pause,
  PeerError,
  UnavailableError,
} from "../base/mod.ts";
import {
  type Asker,
  type AwayHolders,
  holdersLost,
  type ModelDefinition,
  type ModelStore,
} from "../models/mod.ts";
import type { CatalogEntry, Log } from "../ports/mod.ts";
import { displayModelName } from "../protocol/mod.ts";
import { describeModel, type FindDefinition } from "./describe.ts";
import type { Holder } from "./holders.ts";
import type { QuestionParts } from "../calls/mod.ts";

/** Definitions of models that other nodes hold; the one unused for longest goes. */
const DESCRIBED_MAX = 64;
/** Holders that are asked for one definition before the request fails. */
const HOLDERS_ASKED_MAX = 3;
/** A name that changed so recently is known from the catalogue before gossip tells who has its blobs. Milliseconds. */
const FRESH_MS = 60_000;
/** How long a request for a fresh model waits for gossip, which needs about a second to reach everyone. */
const HOLDERS_WAIT_MS = 5_000;
const HOLDERS_LOOK_MS = 50;
/** For how long a model that others hold is taken not to be here, before its files are looked for again. Milliseconds. */
const MISSING_MS = 1_000;

/** What describing the models of a cluster takes. */
export interface ClusterDefinitionsParts extends QuestionParts {
  /** The store over the catalogue: its names are the cluster's, its blobs this node's. */
  readonly models: Pick<ModelStore, "find" | "getDefinition" | "isWholeHere">;
  /** Other members that hold a manifest's blobs. */
  readonly holders: (manifestDigest: string) => readonly Holder[];
  /**
   * Resolves once this node's catalogue holds all that was acknowledged before the call; `never` = it has none yet and a
   * quorum does not answer, `stale` = it can't be brought up to date now.
   */
  readonly catchUp: () => Promise<"current" | "stale" | "never">;
  /** Members that can't be reached, and which of them said that they hold a manifest; default none. */
  readonly away?: (manifestDigest: string) => AwayHolders;
  /** Wakes holders that sleep; absent = nobody does. */
  readonly waking?: { wake(nodeId: NodeId): Promise<number> };
  readonly log: Log;
}

/** What inference needs to know of any model of the cluster, wherever its blobs are. */
export class ClusterDefinitions {
  readonly #parts: ClusterDefinitionsParts;
  /** By manifest, in order of use. Failed ones leave at once. */
  readonly #described = new BoundedMap<string, Promise<ModelDefinition>>(DESCRIBED_MAX);

  /** By manifest, when it was last found not to be whole here. Milliseconds. */
  readonly #missing = new BoundedMap<string, number>(DESCRIBED_MAX);

  constructor(parts: ClusterDefinitionsParts) {
    this.#parts = parts;
  }

  /**
   * This node's own definition, or where it can't have one (a blob is not here, or damaged) another holder's, which has
   * no paths and so is only good for leases elsewhere.
   *
   * @throws as {@link ModelStore.getDefinition}.
   */
  async getDefinition(model: string, asker: Asker): Promise<ModelDefinition> {
    const { models, clock } = this.#parts;
    const known = await this.#knownElsewhere(model, asker);
    if (known !== undefined) return known;
    const atMs = clock.monotonicMs();
    try {
      return await this.#findHere(model, asker);
    } catch (error) {
      if (!isEdgeError(error) || error.code !== "load_failed") throw error;
      const entry = await models.find(model, asker);
      const holders = entry === undefined ? [] : await this.#awaitHolders(entry);
      if (entry === undefined) throw error;
      if (holders.length === 0) throw await this.#whyNotHeld(entry, error);
      const described = await this.#describe(entry, holders);
      this.#missing.set(entry.manifestDigest, atMs);
      return { ...described, name: entry.name };
    }
  }

  /** What was looked for here a moment ago in vain, and is known from another node that holds it. */
  async #knownElsewhere(model: string, asker: Asker): Promise<ModelDefinition | undefined> {
    if (this.#missing.size === 0) return undefined;
    const { models, clock } = this.#parts;
    const entry = await models.find(model, asker);
    if (entry === undefined) return undefined;
    const missingMs = this.#missing.get(entry.manifestDigest) ?? -Infinity;
    if (clock.monotonicMs() - missingMs >= MISSING_MS) return undefined;
    const described = this.#described.get(entry.manifestDigest);
    if (described === undefined || this.#holdersOf(entry).length === 0) return undefined;
    return { ...await described, name: entry.name };
  }

  /** A name that this node does not know may be known to the others: it is asked for once more when that is sure. */
  async #findHere(model: string, asker: Asker): Promise<ModelDefinition> {
    const { models, catchUp } = this.#parts;
    try {
      return await models.getDefinition(model, asker);
    } catch (error) {
      if (!isEdgeError(error) || error.code !== "model_not_found") throw error;
      const standing = await catchUp();
      if (standing === "stale") throw error;
      if (standing === "current") return await models.getDefinition(model, asker);
      const message = "this node has not received its cluster's catalogue yet";
      throw new UnavailableError("no_quorum", message, { cause: error, retryAfterMs: 1_000 });
    }
  }

  /** What is only missing here comes back with who holds it: another pull would not be the remedy. */
  async #whyNotHeld(entry: CatalogEntry, error: unknown): Promise<unknown> {
    const { models, away } = this.#parts;
    const absent = away?.(entry.manifestDigest);
    const isAnyAway = absent !== undefined && absent.holders.length + absent.others.length > 0;
    if (!isAnyAway || await models.isWholeHere(entry.manifest)) return error;
    return holdersLost(entry, absent);
  }

  async #awaitHolders(entry: CatalogEntry): Promise<readonly Holder[]> {
    const { clock } = this.#parts;
    const isFresh = Math.abs(clock.nowMs() - entry.modifiedAtMs) < FRESH_MS;
    const deadlineMs = clock.monotonicMs() + (isFresh ? HOLDERS_WAIT_MS : 0);
    for (;;) {
      const holders = this.#holdersOf(entry);
      if (holders.length > 0 || clock.monotonicMs() >= deadlineMs) return holders;
      await pause(clock, HOLDERS_LOOK_MS);
    }
  }

  #holdersOf(entry: CatalogEntry): readonly Holder[] {
    const ranks = ["alive", "suspect", "asleep"];
    return this.#parts.holders(entry.manifestDigest)
      .filter(({ health, wakeMs }) =>
        health === "asleep" ? wakeMs !== undefined : health !== "down"
      )
      .toSorted((a, b) => ranks.indexOf(a.health) - ranks.indexOf(b.health))
      .slice(0, HOLDERS_ASKED_MAX);
  }

  /** A holder that sleeps is woken: what its model is, nobody else may know. */
  async #awake(holder: Holder, { manifestDigest }: CatalogEntry): Promise<Holder> {
    const { waking, holders } = this.#parts;
    if (holder.health !== "asleep" || waking === undefined) return holder;
    await waking.wake(holder.nodeId);
    return holders(manifestDigest).find(({ nodeId }) => nodeId === holder.nodeId) ?? holder;
  }

  #describe(entry: CatalogEntry, holders: readonly Holder[]): Promise<ModelDefinition> {
    const { manifestDigest } = entry;
    const known = this.#described.get(manifestDigest) ?? this.#ask(entry, holders);
    this.#described.set(manifestDigest, known);
    known.catch(() => this.#described.delete(manifestDigest));
    return known;
  }

  async #ask(entry: CatalogEntry, holders: readonly Holder[]): Promise<ModelDefinition> {
    const shownName = displayModelName(entry.name);
    const reasons: string[] = [];
    for (const holder of holders) {
      try {
        return await describeModel(this.#parts, await this.#awake(holder, entry), entry);
      } catch (error) {
        const reason = errorMessage(error);
        // A peer that lies is named; one that is gone or has it no more is nothing new.
        const level = error instanceof PeerError ? "warn" : "debug";
        this.#parts.log.log(level, "describe_failed", { node: holder.nodeId, reason });
        reasons.push(`${holder.name || holder.nodeId}: ${reason}`);
      }
    }
    throw new UnavailableError(
      "node_unreachable",
      `no node that holds the model "${shownName}" can be asked for it (${reasons.join("; ")})`,
      { retryAfterMs: 5_000 },
    );
  }
}

/** This node's own definition of a model that a peer names; undefined unless all of it is here under that name. */
export function findOwnDefinition(models: Pick<ModelStore, "getDefinition">): FindDefinition {
  return async ({ name, manifestDigest }) => {
    try {
      const definition = await models.getDefinition(name, "generate");
      return definition.manifestDigest === manifestDigest ? definition : undefined;
    } catch (error) {
      // Whatever is wrong with it here, the peer is to ask another node.
      if (isEdgeError(error)) return undefined;
      throw error;
    }
  };
}
