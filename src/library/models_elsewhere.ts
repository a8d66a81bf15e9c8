import {
  BoundedMap,
  errorMessage,
  isEdgeError,
  PeerError,
  RequestError,
  UnavailableError,
} from "../base/mod.ts";
import type { AwayHolders, Described, ModelsElsewhere, ModelStore } from "../models/mod.ts";
import type {
  CatalogEntry,
  Clock,
  Log,
  PeerAddress,
  PeerStream,
  ShownModel,
  ShowRequest,
  Transport,
} from "../ports/mod.ts";
import { displayModelName, formatModelName, fromWireError, readShape } from "../protocol/mod.ts";
import {
  MessageStream,
  openPurpose,
  refuse,
  SHOW_PURPOSE,
  showAnswerShape,
  shownModelShape,
  showOpeningShape,
  type StreamHandler,
} from "../calls/mod.ts";
import { askedForManifest, type BlobMember } from "./members.ts";

/** How long a holder may take to answer. Milliseconds; it reads a header from disk. */
const ANSWER_WAIT_MS = 5_000;
/** Holders asked one after the other before a model counts as unreachable. */
const HOLDERS_ASKED_MAX = 3;
/** How long nobody is asked again about a model that nobody could describe. Milliseconds. */
const UNDESCRIBED_MS = 2_000;
/** Descriptions kept by manifest, under which they never change; the one unused longest goes. */
const DESCRIPTIONS_MAX = 1_024;
/** Questions of one peer at once. */
const QUESTIONS_PER_PEER_MAX = 16;

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
      return await this.#showAt({ peer, opening });
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

  async #showAt(
    to: { readonly peer: PeerAddress; readonly opening: { readonly purpose: string } },
  ): Promise<ShownModel> {
    const late = new AbortController();
    let stream: PeerStream | undefined;
    const timer = this.#parts.clock.after(ANSWER_WAIT_MS, () => {
      late.abort(new UnavailableError("peer_lost", `Node ${to.peer.nodeId} does not answer`));
      stream?.reset();
    });
    try {
      stream = await openPurpose(this.#parts.transport, to, late.signal);
      return readShown(await new MessageStream(stream).read());
    } finally {
      timer.cancel();
      stream?.reset();
    }
  }
}

/** Shows other nodes the models that this one holds. */
export class ShowServer implements StreamHandler {
  readonly streamsPerPeerMax = QUESTIONS_PER_PEER_MAX;
  readonly #models: Pick<ModelStore, "find" | "isWholeHere" | "show">;

  constructor(models: Pick<ModelStore, "find" | "isWholeHere" | "show">) {
    this.#models = models;
  }

  async serve(stream: PeerStream, opening: unknown): Promise<void> {
    const decoded = readShape(showOpeningShape, opening);
    if (decoded.kind === "malformed") throw nonsense(decoded.reason);
    let shown: ShownModel;
    try {
      shown = await this.#show(decoded.value);
    } catch (error) {
      return await refuse(stream, error);
    }
    const messages = new MessageStream(stream);
    await messages.write({ kind: "shown", json: JSON.stringify(shown) });
    await messages.end();
  }

  async #show(request: ShowRequest & { readonly manifestDigest: string }): Promise<ShownModel> {
    const entry = await this.#models.find(request.model, "show");
    // A node that does not hold it would ask the next one, and that one this.
    const isHere = entry?.manifestDigest === request.manifestDigest &&
      await this.#models.isWholeHere(entry.manifest);
    // Who asks could open no file of this node.
    if (isHere) return await this.#models.show({ ...request, namesFiles: false });
    throw new RequestError("model_not_found", `model "${request.model}" is not whole on this node`);
  }
}

function readShown(message: unknown): ShownModel {
  const decoded = readShape(showAnswerShape, message);
  if (decoded.kind === "malformed") throw nonsense(decoded.reason);
  const answer = decoded.value;
  if (answer.kind === "refused") throw fromWireError(answer.error);
  const shown = readShape(shownModelShape, parseJson(answer.json));
  if (shown.kind === "malformed") throw nonsense(shown.reason);
  return shown.value;
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new PeerError("malformed_frame", `A peer's answer: ${errorMessage(cause)}`, { cause });
  }
}

function nonsense(reason: string): PeerError {
  return new PeerError("malformed_frame", `A question about a model: ${reason}`);
}
