import type { NodeId } from "../../base/mod.ts";
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
  VALUE_RUMOR_BYTES_MAX,
  type ValueRumor,
} from "../../protocol/mod.ts";
import type { Contact } from "./events.ts";
import { compareStamps } from "./roster.ts";
import { Rumors } from "./rumors.ts";
import { claimOfSelf, type Shared } from "./shared.ts";
import { RUMORS_MAX, transmissionsMax } from "./timing.ts";

/** Everything this node says: rumours ride on each datagram, and each datagram tells its receiver what is held against it. */
export class Voice {
  readonly #shared: Shared;
  // Doubt and death before load: a packet is filled with claims first.
  readonly #claims = new Rumors({ rumorsMax: RUMORS_MAX });
  readonly #values = new Rumors({ rumorsMax: RUMORS_MAX });

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  get hasRumors(): boolean {
    return this.#claims.count + this.#values.count > 0;
  }

  /** Rumours waiting, for status pages and tests. */
  get rumorCount(): number {
    return this.#claims.count + this.#values.count;
  }

  /** Passes a claim on; it replaces what was being said about that member. */
  spread(claim: MemberClaim): void {
    this.#claims.add(claim.nodeId, encodeClaimPart(claim));
  }

  /** Passes a value on, or word of it when it is too long for a datagram. */
  spreadValue(rumor: ValueRumor): void {
    const long = (rumor.entry?.value?.length ?? 0) > VALUE_RUMOR_BYTES_MAX;
    const said = long ? { ...rumor, entry: undefined } : rumor;
    const subject = `${rumor.nodeId} ${said.entry?.key ?? ""}`;
    this.#values.add(subject, encodeValuePart(said));
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
    const times = transmissionsMax(timing, roster.clusterSize);
    for (const queue of [this.#claims, this.#values]) {
      if (queue.count === 0) continue;
      const parts = queue.take(DATAGRAM_BYTES_MAX - writer.length, times);
      for (const part of parts) writer.raw(part);
    }
    const { nodeId, address } = to;
    effects.push({ kind: "send_datagram", nodeId, address, bytes: writer.finish() });
  }

  /** Sends a message on a stream. */
  sendSync(to: Contact, body: MembershipSync["body"]): void {
    const { nodeId, address } = to;
    const bytes = encodeSync({ source: this.#shared.self, body });
    this.#shared.effects.push({ kind: "send_stream", nodeId, address, bytes });
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
