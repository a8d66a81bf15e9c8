import { BoundedMap, errorMessage, isEdgeError, PeerError, RequestError } from "../base/mod.ts";
import type { AwayHolders, Described, ModelsElsewhere, ModelStore } from "../models/mod.ts";
import type {
  CatalogEntry,
  Clock,
  Log,
  PeerAddress,
  ShownModel,
  ShowRequest,
  Transport,
} from "../ports/mod.ts";
import { displayModelName, formatModelName } from "../protocol/mod.ts";
import {
  answering,
  askPeer,
  readAnswer,
  required,
  SHOW_PURPOSE,
  showAnswerShape,
  shownModelShape,
  showOpeningShape,
  type StreamHandler,
} from "../calls/mod.ts";
import { askedForManifest, type BlobMember } from "./members.ts";

/** Holders asked one after the other before a model counts as unreachable. */
const HOLDERS_ASKED_MAX = 3;
/** How long nobody is asked again about a model that nobody could describe. Milliseconds. */
const UNDESCRIBED_MS = 2_000;
/** Descriptions kept by manifest, under which they never change; the one unused longest goes. */
const DESCRIPTIONS_MAX = 1_024;

/** What {@link HeldElsewhere} works with. */
export interface HeldElsewhereParts {
  readonly transport: Pick<Transport, "openStream">;
  readonly clock: Clock;
  readonly log: Log;
  /** All admitted members but this one. */
  readonly members: () => readonly BlobMember[];
  /** Members that can't be reached, and which of them said that they hold a manifest; default none. */
  readonly away?: (manifestDigest: string) => AwayHolders;
  /** Asks one holder what a model is (`describe.ts`). */
  readonly describeAt: (peer: PeerAddress, entry: CatalogEntry) => Promise<Described>;
}

/** Models whose blobs are on other nodes only, as those describe them. */
export class HeldElsewhere implements ModelsElsewhere {
  readonly #parts: HeldElsewhereParts;
  /** In order of use. */
  readonly #described = new BoundedMap<string, Described>(DESCRIPTIONS_MAX);
  /** By manifest: until when nobody is asked, so that a list of lost models stays quick. */
  readonly #undescribedUntilMs = new BoundedMap<string, number>(DESCRIPTIONS_MAX);

  constructor(parts: HeldElsewhereParts) {
    this.#parts = parts;
  }

  async describe(entry: CatalogEntry): Promise<Described | undefined> {
    const { manifestDigest } = entry;
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs < (this.#undescribedUntilMs.get(manifestDigest) ?? nowMs)) return undefined;
    const described = this.#described.get(manifestDigest) ??
      await this.#ask(entry, async (peer) => {
        const { details, capabilities } = await this.#parts.describeAt(peer, entry);
        return { details, capabilities };
      });
    if (described !== undefined) this.#described.set(manifestDigest, described);
    else this.#undescribedUntilMs.set(manifestDigest, nowMs + UNDESCRIBED_MS);
    return described;
  }

  async show(entry: CatalogEntry, request: ShowRequest): Promise<ShownModel | undefined> {
    const { manifestDigest } = entry;
    const model = formatModelName(entry.name);
    return await this.#ask(entry, async (peer) => {
      const opening = { ...request, purpose: SHOW_PURPOSE, model, manifestDigest };
      return await askPeer(this.#parts, { peer, opening }, readShown);
    });
  }

  away({ manifestDigest }: CatalogEntry): AwayHolders {
    return this.#parts.away?.(manifestDigest) ?? { holders: [], others: [] };
  }

  async #ask<T>(
    entry: CatalogEntry,
    question: (peer: PeerAddress) => Promise<T>,
  ): Promise<T | undefined> {
    const { asked, areKnown } = askedForManifest(entry.manifestDigest, this.#parts.members());
    const ask = (peer: PeerAddress) => this.#askOne(peer, entry, question);
    if (!areKnown) {
      // Most of them only say no: together that takes no longer than one.
      const answers = await Promise.all(asked.map(ask));
      return answers.find((answer) => answer !== undefined);
    }
    for (const peer of asked.slice(0, HOLDERS_ASKED_MAX)) {
      const answer = await ask(peer);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  async #askOne<T>(
    peer: PeerAddress,
    entry: CatalogEntry,
    question: (peer: PeerAddress) => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await question(peer);
    } catch (error) {
      if (!isEdgeError(error)) throw error;
      const values = { model: displayModelName(entry.name), peer: peer.nodeId };
      const reason = errorMessage(error);
      this.#parts.log.log("debug", "model_not_described", { ...values, reason });
      return undefined;
    }
  }
}

/** Shows other nodes the models that this one holds. */
export function showServer(
  models: Pick<ModelStore, "find" | "isWholeHere" | "show">,
): StreamHandler {
  return answering(showOpeningShape, async (asked) => {
    const entry = await models.find(asked.model, "show");
    // A node that does not hold it would ask the next one, and that one this.
    const isHere = entry?.manifestDigest === asked.manifestDigest &&
      await models.isWholeHere(entry.manifest);
    if (!isHere) {
      throw new RequestError("model_not_found", `model "${asked.model}" is not whole on this node`);
    }
    // Who asks could open no file of this node.
    const shown = await models.show({ ...asked, namesFiles: false });
    return { kind: "shown", json: JSON.stringify(shown) };
  });
}

function readShown(message: unknown): ShownModel {
  return required(shownModelShape, parseJson(readAnswer(showAnswerShape, "shown", message).json));
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new PeerError("malformed_frame", `A peer's answer: ${errorMessage(cause)}`, { cause });
  }
}
