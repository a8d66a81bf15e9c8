import { assert, type NodeId, type StateKeeper } from "../../base/mod.ts";
import {
  type Accusation,
  DATAGRAM_BYTES_MAX,
  encodeClaimPart,
  encodeDatagramHead,
  encodeSync,
  encodeValuePart,
  type LifeStamp,
  type MemberClaim,
  type MembershipDatagram,
  type MembershipSync,
} from "../../protocol/mod.ts";
import type { Contact } from "./events.ts";
import { compareStamps } from "./roster.ts";
import { Rumors } from "./rumors.ts";
import { claimOfSelf, type Shared } from "./shared.ts";
import { RUMORS_MAX, transmissionsMax } from "./timing.ts";

/** Everything this node says: rumours ride on each datagram, and each datagram tells its receiver what is held against it. */
export class Voice {
  readonly #shared: Shared;
  readonly #claims = new Rumors({ rumorsMax: RUMORS_MAX });

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  get hasRumors(): boolean {
    return this.#claims.count > 0;
  }

  /** Rumours waiting, for status pages and tests. */
  get rumorCount(): number {
    return this.#claims.count;
  }

  /** Passes a claim on; it replaces what was being said about that member. */
  spread(claim: MemberClaim): void {
    this.#claims.add(claim.nodeId, encodeClaimPart(claim));
  }

  /**
   * Sends one datagram, filled up with rumours. `introduce` puts this node's own claim first. `heardAs` is the stamp
   * under which an unknown or newer life of the receiver has spoken: it is asked to introduce itself.
   */
  send(
    to: Contact,
    body: MembershipDatagram["body"],
    options: { readonly introduce?: boolean; readonly heardAs?: LifeStamp | undefined } = {},
  ): void {
    const { self, timing, roster, effects } = this.#shared;
    const accusation = this.accusationAgainst(to.nodeId, options.heardAs);
    const writer = encodeDatagramHead(self, body, accusation);
    if (options.introduce === true) writer.raw(encodeClaimPart(claimOfSelf(self)));
    const member = roster.find(to.nodeId);
    if (member?.isUnsure === true) {
      member.isUnsure = false;
      if (self.values.version > 0) writer.raw(this.#wordOfSelf());
    }
    if (this.#claims.count > 0) {
      const times = transmissionsMax(timing, roster.clusterSize);
      const parts = this.#claims.take(DATAGRAM_BYTES_MAX - writer.length, times);
      for (const part of parts) writer.raw(part);
    }
    const { nodeId, address } = to;
    const bytes = writer.finish();
    const size = bytes.length;
    assert(size <= DATAGRAM_BYTES_MAX, "A datagram fits its packet", { kind: body.kind, size });
    effects.push({ kind: "send_datagram", nodeId, address, bytes });
  }

  /** Sends a message on a stream. */
  sendSync(to: Contact, body: MembershipSync["body"]): void {
    const { nodeId, address } = to;
    const bytes = encodeSync({ source: this.#shared.self, body });
    this.#shared.effects.push({ kind: "send_stream", nodeId, address, bytes });
  }

  keep(keeper: StateKeeper): void {
    this.#claims.keep(keeper);
  }

  /** How far this node's values are, as a part of a datagram. */
  #wordOfSelf(): Uint8Array {
    const { nodeId, bootEpoch, values } = this.#shared.self;
    return encodeValuePart({ nodeId, bootEpoch, version: values.version, entry: undefined });
  }

  /**
   * What a member must hear about itself: that it is doubted (the buddy message of Lifeguard), or that it is not known
   * under the stamp it speaks with. Undefined when all is well.
   */
  accusationAgainst(nodeId: NodeId, heardAs?: LifeStamp): Accusation | undefined {
    const member = this.#shared.roster.find(nodeId);
    if (member === undefined) {
      return heardAs === undefined ? undefined : { ...stampOf(heardAs), standing: "unknown" };
    }
    const isKnownAs = heardAs !== undefined && compareStamps(heardAs, member) === 0;
    // Not its own word yet: it may be right, and what others told of it made up.
    if (!member.isFirsthand && !isKnownAs) {
      return heardAs === undefined ? undefined : { ...stampOf(heardAs), standing: "unknown" };
    }
    const { standing } = member;
    if (standing !== "alive") return { ...stampOf(member), standing };
    // Newer than we know: an introduction is due. Older: it has lost its own past and must outbid it.
    if (heardAs === undefined || isKnownAs) return undefined;
    return { ...stampOf(member), standing: "unknown" };
  }
}

function stampOf(stamp: LifeStamp): LifeStamp {
  return { bootEpoch: stamp.bootEpoch, incarnation: stamp.incarnation };
}
