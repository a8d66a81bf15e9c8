import type { Incarnation, NodeId } from "../../base/mod.ts";
import type { Accusation, MemberClaim } from "../../protocol/mod.ts";
import type { Prober } from "./prober.ts";
import { compareClaims, compareStamps, isLive, type Member, viewMember } from "./roster.ts";
import { claimOfSelf, type Shared } from "./shared.ts";
import { Suspicion } from "./suspicion.ts";
import { EPOCH_RAISES_MAX, suspicionMsMin } from "./timing.ts";
import type { Voice } from "./voice.ts";

/** How a claim came. */
export interface ClaimOrigin {
  readonly from: NodeId;
  /** Seconds since its subject was gone; undefined for a rumour, which is fresh. */
  readonly goneSeconds?: number;
}

/** Decides what claims are believed, times suspicions, and speaks up for this node. */
export class Judge {
  readonly #shared: Shared;
  readonly #voice: Voice;
  readonly #prober: Prober;
  #epochRaises = 0;
  /** Called when a member that was down is back: the other side of a partition may be back with it. */
  readonly #onReturned: (member: Member) => void;
  /** Called when rumours must go out before their turn. */
  readonly #onUrgent: () => void;

  constructor(
    shared: Shared,
    voice: Voice,
    prober: Prober,
    hooks: { onReturned: (member: Member) => void; onUrgent: () => void },
  ) {
    this.#shared = shared;
    this.#voice = voice;
    this.#prober = prober;
    this.#onReturned = hooks.onReturned;
    this.#onUrgent = hooks.onUrgent;
  }

  /** Takes a claim about any member. */
  hear(claim: MemberClaim, origin: ClaimOrigin): void {
    if (claim.nodeId === this.#shared.self.nodeId) return this.hearOfSelf(claim);
    const member = this.#shared.roster.find(claim.nodeId);
    if (member === undefined) return this.#meet(claim, origin);
    if (member.address === "" && compareStamps(claim, member) === 0) {
      member.address = claim.address;
    }
    const order = compareClaims(claim, member);
    if (order === 0 && claim.standing === "suspect") return this.#confirm(member, claim);
    if (order <= 0) return;
    // From a list, death is old news, perhaps from the other side of a partition: its subject gets the time to refute.
    if (claim.standing === "down" && origin.goneSeconds !== undefined && isLive(member)) {
      const doubt: MemberClaim = { ...claim, standing: "suspect", accuser: origin.from };
      if (compareClaims(doubt, member) > 0) this.#believe(member, doubt);
      else this.#confirm(member, doubt);
      return;
    }
    this.#believe(member, claim);
  }

  /** An own probe of the member has failed. */
  suspect(member: Member): void {
    const { nodeId, bootEpoch, incarnation, address } = member;
    if (!isLive(member)) return;
    const accuser = this.#shared.self.nodeId;
    this.hear(
      { nodeId, standing: "suspect", bootEpoch, incarnation, address, accuser },
      { from: accuser },
    );
  }

  /** What someone else says about this node. Refutes what is wrong, unless this node is leaving. */
  hearOfSelf(claim: Pick<MemberClaim, "standing" | "bootEpoch" | "incarnation">): void {
    const { self } = this.#shared;
    if (claim.bootEpoch > self.bootEpoch) return this.#outbidEpoch(claim.bootEpoch);
    const order = compareStamps(claim, self);
    const harmless = order === 0 && claim.standing === "alive";
    if (self.leaving || harmless) return;
    if (order < 0) {
      // The speaker is behind; what this node says by itself is newer already.
      if (claim.standing !== "alive") this.#voice.spread(claimOfSelf(self));
      return;
    }
    self.incarnation = (claim.incarnation + 1) as Incarnation;
    this.announceSelf();
    // A doubt may well be deserved: slow nodes collect them.
    if (claim.standing === "suspect" || claim.standing === "down") this.#prober.adjustHealth(1);
    this.#note("refuted", { standing: claim.standing, incarnation: self.incarnation });
    this.#onUrgent();
  }

  /** What the sender of a datagram holds against this node. */
  hearAccusation(accusation: Accusation): void {
    const { standing, bootEpoch, incarnation } = accusation;
    if (standing !== "unknown") return this.hearOfSelf({ standing, bootEpoch, incarnation });
    // The speaker's last word of this node; only outbid if it is later than the node's own.
    if (compareStamps(accusation, this.#shared.self) > 0) {
      this.hearOfSelf({ standing: "alive", bootEpoch, incarnation });
    }
  }

  /** Persists this node's stamp and spreads its claim. */
  announceSelf(): void {
    const { self, effects } = this.#shared;
    const { bootEpoch, incarnation } = self;
    effects.push({ kind: "persist_identity", bootEpoch, incarnation });
    this.#voice.spread(claimOfSelf(self));
  }

  /** The suspicion of a member may have run out. */
  onSuspicionDue(nodeId: NodeId): void {
    const { roster, timing, coreMs } = this.#shared;
    const member = roster.find(nodeId);
    const suspicion = member?.suspicion;
    if (member === undefined || suspicion === undefined) return;
    member.suspicionTimer = undefined;
    const deadlineMs = suspicion.deadlineMs();
    if (suspicion.lastCalls === LAST_CALLS && coreMs >= deadlineMs) {
      const { bootEpoch, incarnation } = member;
      const claim = { nodeId, standing: "down", bootEpoch, incarnation } as const;
      return this.#believe(member, { ...claim, address: "", accuser: undefined });
    }
    // Asked directly, a live member answers with its refutation even if all rumours of it were lost.
    if (coreMs >= deadlineMs - lastCallGapMs(timing) * (LAST_CALLS - suspicion.lastCalls)) {
      suspicion.lastCalls++;
      suspicion.lastCallMs = coreMs;
      this.#prober.call(member);
    }
    this.#armSuspicion(member, suspicion);
  }

  #meet(claim: MemberClaim, origin: ClaimOrigin): void {
    const { roster, timing, coreMs } = this.#shared;
    const goneMs = (origin.goneSeconds ?? 0) * 1000;
    const keptMs = claim.standing === "left" ? timing.leftKeptMs : timing.downKeptMs;
    // Without this check members that each node forgets at its own time would be handed round for ever.
    if (!isLive(claim) && goneMs >= keptMs) return;
    const member = roster.add(claim, coreMs - goneMs);
    if (member === undefined) return this.#note("stranger_refused", { member: claim.nodeId });
    this.#settle(member, claim, undefined);
  }

  #believe(member: Member, claim: MemberClaim): void {
    const previous = member.standing;
    this.#shared.roster.update(member, claim, this.#shared.coreMs);
    this.#settle(member, claim, previous);
    if (previous === "down" && isLive(member)) this.#onReturned(member);
  }

  /** Starts or ends the suspicion that goes with a new claim, passes it on and tells the driver. */
  #settle(member: Member, claim: MemberClaim, previous: Member["standing"] | undefined): void {
    const { timers, effects } = this.#shared;
    timers.cancel(member.suspicionTimer);
    member.suspicionTimer = undefined;
    member.suspicion = undefined;
    if (claim.standing === "suspect") this.#startSuspicion(member, claim);
    // Only life needs an address: doubt and death are said of members one has met.
    this.#voice.spread({ ...claim, address: claim.standing === "alive" ? member.address : "" });
    const { nodeId } = member;
    effects.push({ kind: "member_changed", nodeId, previous, member: viewMember(member) });
  }

  #startSuspicion(member: Member, claim: MemberClaim): void {
    const { roster, timing, coreMs } = this.#shared;
    const msMin = suspicionMsMin(timing, roster.clusterSize);
    member.suspicion = new Suspicion(claim.accuser ?? claim.nodeId, {
      startedMs: coreMs,
      msMin,
      msMax: msMin * timing.suspicionStretch,
      accusersPossible: roster.clusterSize - 1,
    });
    this.#armSuspicion(member, member.suspicion);
  }

  #confirm(member: Member, claim: MemberClaim): void {
    const { suspicion } = member;
    if (suspicion === undefined || !suspicion.confirm(claim.accuser ?? claim.nodeId)) return;
    // Passed on so that the others' suspicions shorten too; bounded by the confirmations that still count.
    this.#voice.spread({ ...claim, address: "" });
    this.#shared.timers.cancel(member.suspicionTimer);
    this.#armSuspicion(member, suspicion);
  }

  #armSuspicion(member: Member, suspicion: Suspicion): void {
    const { timers, timing } = this.#shared;
    const gapMs = lastCallGapMs(timing);
    // Confirmations can move the deadline into the past; the last calls get their time all the same.
    const dueMs = Math.max(
      suspicion.deadlineMs() - gapMs * (LAST_CALLS - suspicion.lastCalls),
      suspicion.lastCallMs + gapMs,
    );
    member.suspicionTimer = timers.at(dueMs, { kind: "suspicion_due", nodeId: member.nodeId });
  }

  /** Someone knows a later life of this node: a disk was set back, or a copy of it runs elsewhere. */
  #outbidEpoch(bootEpoch: number): void {
    const { self, effects } = this.#shared;
    if (++this.#epochRaises > EPOCH_RAISES_MAX) {
      effects.push({ kind: "identity_conflicted", bootEpoch });
      return;
    }
    self.bootEpoch = bootEpoch + 1;
    this.announceSelf();
    this.#onUrgent();
  }

  #note(event: "refuted" | "stranger_refused", values: Record<string, string | number>): void {
    this.#shared.effects.push({ kind: "note", event, values });
  }
}

/** How often a suspect is asked directly before it counts as down. */
const LAST_CALLS = 2;

/** Time for a last call to be answered, twice the usual patience. */
function lastCallGapMs(timing: { readonly probeTimeoutMs: number }): number {
  return 2 * timing.probeTimeoutMs;
}
