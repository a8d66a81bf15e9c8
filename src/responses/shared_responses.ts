import { BoundedMap, errorMessage, isEdgeError, type NodeId, PeerError } from "../base/mod.ts";
import {
  askPeer,
  type KeptResponse,
  type QuestionParts,
  readAnswer,
  RESPONSE_BYTES_MAX,
  RESPONSE_PURPOSE,
  responseAnswerShape,
} from "../calls/mod.ts";
import type {
  FoundResponse,
  KeptResponses,
  Log,
  PeerAddress,
  ResponseRecord,
} from "../ports/mod.ts";
import { isResponseId, type ResponseFolder } from "./response_folder.ts";

/** How long a response is kept. */
export const RESPONSE_LIFE_MS = 30 * 24 * 3600 * 1000;
/** Other nodes that are tried, until one has taken a response. */
const PEERS_TRIED_MAX = 3;
/** Other nodes that are asked for one. */
const PEERS_ASKED_MAX = 64;
/** Responses that are not final, whose second node is remembered. */
const PLACES_MAX = 1_024;
/** What this node itself had begun before it was started anew: by then it knows who may have gone on with it. Milliseconds. */
const FIRST_LOOK_MS = 5_000;
/** For what the envelope of a record takes. */
const ENVELOPE_BYTES = 1_024;

/** Another member, as far as responses are concerned. */
export interface ResponseMember {
  readonly address: PeerAddress;
  readonly name: string;
  readonly standing: "alive" | "suspect" | "down" | "left" | "unknown";
  readonly drained: boolean;
}

/** What keeping takes. */
export interface SharedResponsesParts extends QuestionParts {
  readonly self: { readonly nodeId: NodeId; readonly name: string };
  /** Drawn anew by each process. */
  readonly run: string;
  readonly folder: ResponseFolder;
  readonly members: () => readonly ResponseMember[];
  readonly log: Log;
  /** Unsigned 32-bit. */
  readonly drawSeed: () => number;
}

/** A copy, and what run its holder is in. */
interface Copy {
  readonly holder: NodeId;
  readonly holderRun: string;
  readonly response: KeptResponse;
}

/** Responses on this node and one other. */
export class SharedResponses implements KeptResponses {
  readonly recordBytesMax = RESPONSE_BYTES_MAX - ENVELOPE_BYTES;
  readonly #parts: SharedResponsesParts;
  /** Who has the copy of what is not final yet: its last word belongs there. */
  readonly #places = new BoundedMap<string, NodeId>(PLACES_MAX);

  #onOrphan: (id: string) => void = () => {};

  constructor(parts: SharedResponsesParts) {
    this.#parts = parts;
  }

  async keep(
    id: string,
    record: ResponseRecord,
    { isFinal }: { readonly isFinal: boolean },
  ): Promise<number> {
    const { self, run, folder, clock } = this.#parts;
    const response: KeptResponse = {
      json: new TextEncoder().encode(JSON.stringify(record)),
      maker: self.nodeId,
      makerRun: run,
      isFinal,
    };
    const expiresAtMs = clock.nowMs() + RESPONSE_LIFE_MS;
    const [, isElsewhere] = await Promise.all([
      folder.keep(id, response, expiresAtMs),
      this.#keepElsewhere(id, response, expiresAtMs),
    ]);
    return isElsewhere ? 2 : 1;
  }

  async find(id: string): Promise<FoundResponse | undefined> {
    if (!isResponseId(id)) return undefined;
    const { self, run, folder } = this.#parts;
    const here = await folder.find(id);
    if (here?.isFinal === true) return { record: recordOf(here) };
    const own = here && { holder: self.nodeId, holderRun: run, response: here };
    const isMadeHere = here?.maker === self.nodeId && here.makerRun === run;
    if (own !== undefined && isMadeHere) return this.#pending(own, [own]);
    const copies = [...await this.#copiesElsewhere(id), ...own === undefined ? [] : [own]];
    const final = copies.find(({ response }) => response.isFinal);
    if (final !== undefined) return { record: recordOf(final.response) };
    // Somebody may have gone on with it, and what the one before him said of it lies here still.
    const pending = copies.map((copy) => this.#pending(copy, copies));
    return pending.find(({ maker }) => maker?.isGone === false) ?? pending[0];
  }

  attend(onOrphan: (id: string) => void): void {
    this.#onOrphan = onOrphan;
    this.#parts.clock.after(FIRST_LOOK_MS, () => this.membersChanged());
  }

  /** Who is there has changed: looks for what those have begun that are gone. */
  membersChanged(): void {
    for (const id of this.#parts.folder.pendingIds) void this.#look(id);
  }

  async #look(id: string): Promise<void> {
    const { folder, log } = this.#parts;
    try {
      const response = await folder.find(id);
      if (response?.isFinal === false && this.#isOrphan(response)) this.#onOrphan(id);
    } catch (error) {
      if (!isEdgeError(error)) throw error;
      log.log("warn", "response_not_looked_at", { response: id, reason: errorMessage(error) });
    }
  }

  /** Of another node's, only what is known to be gone: at a start nobody is known yet. */
  #isOrphan({ maker, makerRun }: KeptResponse): boolean {
    const { self, run, members } = this.#parts;
    if (maker === self.nodeId) return makerRun !== run;
    const member = members().find(({ address }) => address.nodeId === maker);
    return member?.standing === "down" || member?.standing === "left";
  }

  async remove(id: string): Promise<boolean> {
    if (!isResponseId(id)) return false;
    const opening = { purpose: RESPONSE_PURPOSE, act: "remove", id, expiresAtMs: undefined };
    const asked = this.#alive().slice(0, PEERS_ASKED_MAX).map(async ({ address }) => {
      try {
        return await askPeer(
          this.#parts,
          { peer: address, opening },
          (message) => readAnswer(responseAnswerShape, "removed", message).wasHere,
        );
      } catch (error) {
        this.#note("response_not_removed", address, error);
        return false;
      }
    });
    const removed = await Promise.all([this.#parts.folder.remove(id), ...asked]);
    return removed.includes(true);
  }

  /** What nobody has finished: does its maker still work on it? */
  #pending({ response }: Copy, copies: readonly Copy[]): FoundResponse {
    const { self } = this.#parts;
    const { maker, makerRun } = response;
    const member = this.#parts.members().find(({ address }) => address.nodeId === maker);
    const own = copies.find(({ holder }) => holder === maker);
    const isThere = maker === self.nodeId
      ? makerRun === this.#parts.run
      : member !== undefined && member.standing !== "down" && member.standing !== "left";
    const isGone = !isThere || (own !== undefined && own.holderRun !== makerRun);
    const isSelf = maker === self.nodeId;
    const node = isSelf ? self.name : member?.name || maker;
    const address = isSelf ? self : member?.address;
    const reached = address === undefined ? {} : { nodeId: address.nodeId };
    return { record: recordOf(response), maker: { node, ...reached, isGone, isSelf } };
  }

  async #copiesElsewhere(id: string): Promise<readonly Copy[]> {
    const opening = { purpose: RESPONSE_PURPOSE, act: "find", id, expiresAtMs: undefined };
    const asked = this.#alive().slice(0, PEERS_ASKED_MAX).map(async ({ address }) => {
      try {
        return await askPeer(this.#parts, { peer: address, opening }, (message): Copy[] => {
          const { response, makerRun } = readAnswer(responseAnswerShape, "found", message);
          if (response === undefined) return [];
          return [{ holder: address.nodeId, holderRun: makerRun, response }];
        });
      } catch (error) {
        this.#note("response_not_asked_for", address, error);
        return [];
      }
    });
    return (await Promise.all(asked)).flat();
  }

  async #keepElsewhere(
    id: string,
    response: KeptResponse,
    expiresAtMs: number,
  ): Promise<boolean> {
    const opening = { purpose: RESPONSE_PURPOSE, act: "keep", id, expiresAtMs };
    for (const { address } of this.#candidates(id).slice(0, PEERS_TRIED_MAX)) {
      try {
        await askPeer(
          this.#parts,
          { peer: address, opening, message: response },
          (message) => readAnswer(responseAnswerShape, "kept", message),
        );
        if (response.isFinal) this.#places.delete(id);
        else this.#places.set(id, address.nodeId);
        return true;
      } catch (error) {
        this.#note("response_not_kept_there", address, error);
      }
    }
    return false;
  }

  /** Who may take a copy, the one that has it already first. */
  #candidates(id: string): readonly ResponseMember[] {
    const place = this.#places.get(id);
    const members = this.#alive().filter(({ drained }) => !drained);
    const start = members.length === 0 ? 0 : this.#parts.drawSeed() % members.length;
    const turned = [...members.slice(start), ...members.slice(0, start)];
    const isPlace = ({ address }: ResponseMember) => address.nodeId === place;
    return [...turned.filter(isPlace), ...turned.filter((member) => !isPlace(member))];
  }

  #alive(): readonly ResponseMember[] {
    return this.#parts.members().filter(({ standing }) => standing === "alive");
  }

  #note(event: string, { nodeId }: PeerAddress, error: unknown): void {
    if (!isEdgeError(error)) throw error;
    this.#parts.log.log("warn", event, { peer: nodeId, reason: errorMessage(error) });
  }
}

/** @throws PeerError `malformed_frame` for what no node of ours keeps. */
function recordOf({ json }: KeptResponse): ResponseRecord {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(json));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  } catch (cause) {
    throw new PeerError("malformed_frame", "A kept response is no JSON", { cause });
  }
  throw new PeerError("malformed_frame", "A kept response is no JSON object");
}
