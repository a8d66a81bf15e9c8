import {
  assert,
  type Incarnation,
  keepMap,
  type NodeId,
  type StateKeeper,
} from "../../base/mod.ts";
import type { Accusation, LifeStamp, MemberClaim } from "../../protocol/mod.ts";
import type { Prober } from "./prober.ts";
import { compareClaims, compareStamps, isLive, type Member, viewMember } from "./roster.ts";
import { claimOfSelf, type Shared } from "./shared.ts";
import { Suspicion } from "./suspicion.ts";
import {
  EPOCH_AHEAD_MS_MAX,
  EPOCH_RAISES_MAX,
  EPOCH_RAISES_MS,
  INCARNATION_JUMP_MAX,
  OWN_EPOCH_AHEAD_MS_MAX,
  STAMP_MAX,
  suspicionMsMin,
  VOICES_NEEDED,
} from "./timing.ts";
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
  readonly #hearsay = new Hearsay();
  #epochRaises = 0;
  #epochRaisedMs = -Infinity;
  /** Called when a member that was down is back: the other side of a partition may be back with it. */
  readonly #onReturned: (member: Member) => void;
  /** Called when rumours must go out before their turn. */
  readonly #onUrgent: () => void;
  /** Called for each claim of life that is believed. */
  readonly #onLive: (member: Member) => void;
  /** Called when this node's own life is another, which others take for one without values. */
  readonly #onReborn: () => void;

  constructor(
    shared: Shared,
    voice: Voice,
    prober: Prober,
    hooks: {
      readonly onReturned: (member: Member) => void;
      readonly onUrgent: () => void;
      readonly onLive: (member: Member) => void;
      readonly onReborn: () => void;
    },
  ) {
    this.#shared = shared;
    this.#voice = voice;
    this.#prober = prober;
    this.#onReturned = hooks.onReturned;
    this.#onUrgent = hooks.onUrgent;
    this.#onLive = hooks.onLive;
    this.#onReborn = hooks.onReborn;
  }

  /** Takes a claim about any member. */
  hear(claim: MemberClaim, origin: ClaimOrigin): void {
    if (claim.nodeId === this.#shared.self.nodeId) return this.hearOfSelf(claim, origin.from);
    const member = this.#shared.roster.find(claim.nodeId);
    const isOwnWord = origin.from === claim.nodeId;
    const lie = this.#findLie(claim, isOwnWord ? undefined : member);
    if (lie !== undefined) return this.#noteLie(origin.from, claim.nodeId, lie);
    if (member === undefined) return this.#meet(claim, origin);
    if (isOwnWord && !member.isFirsthand) {
      member.isFirsthand = true;
      this.#hearsay.forget(claim.nodeId);
      if (compareStamps(claim, member) < 0) return this.#believe(member, claim);
    }
    if (!isOwnWord && !this.#isEstablished(claim, member, origin.from)) return;
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

  /** A member spoke under this stamp, which is as good as its claim. */
  onSpoke(nodeId: NodeId, stamp: LifeStamp): void {
    const member = this.#shared.roster.find(nodeId);
    if (member === undefined || compareStamps(stamp, member) !== 0) return;
    member.isFirsthand = true;
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
  hearOfSelf(
    claim: Pick<MemberClaim, "standing" | "bootEpoch" | "incarnation">,
    from: NodeId,
  ): void {
    const { self } = this.#shared;
    const lie = this.#findLie(claim, self);
    if (lie !== undefined) return this.#noteLie(from, self.nodeId, lie);
    if (claim.bootEpoch > self.bootEpoch) return this.#outbidEpoch(claim.bootEpoch, from);
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
  hearAccusation(accusation: Accusation, from: NodeId): void {
    const { standing, bootEpoch, incarnation } = accusation;
    if (standing !== "unknown") return this.hearOfSelf({ standing, bootEpoch, incarnation }, from);
    // The speaker's last word of this node; only outbid if it is later than the node's own.
    if (compareStamps(accusation, this.#shared.self) > 0) {
      this.hearOfSelf({ standing: "alive", bootEpoch, incarnation }, from);
    }
  }

  /**
   * This life was dated by a clock that was far ahead, and has been set right: nobody else believes such an epoch. Nobody has heard
   * of a later life either, or it would be as impossible.
   */
  onClockRead(wallMs: number): void {
    const { self } = this.#shared;
    if (self.bootEpoch <= wallMs + EPOCH_AHEAD_MS_MAX) return;
    self.bootEpoch = Math.floor(wallMs);
    this.#note("life_redated", { bootEpoch: self.bootEpoch });
    this.announceSelf();
    this.#onReborn();
    this.#onUrgent();
  }

  /** Persists this node's stamp and spreads its claim. */
  announceSelf(): void {
    const { self, effects } = this.#shared;
    const { bootEpoch, incarnation } = self;
    const isStamp = Number.isSafeInteger(bootEpoch) && Number.isSafeInteger(incarnation);
    assert(isStamp, "A stamp can be told and saved", { bootEpoch, incarnation });
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

  keep(keeper: StateKeeper): void {
    this.#hearsay.keep(keeper);
    this.#epochRaises = keeper.keep(this.#epochRaises);
    this.#epochRaisedMs = keeper.keep(this.#epochRaisedMs);
  }

  #meet(claim: MemberClaim, origin: ClaimOrigin): void {
    const { roster, timing, coreMs } = this.#shared;
    const goneMs = (origin.goneSeconds ?? 0) * 1000;
    const keptMs = claim.standing === "left" ? timing.leftKeptMs : timing.downKeptMs;
    // Without this check members that each node forgets at its own time would be handed round for ever.
    if (!isLive(claim) && goneMs >= keptMs) return;
    const member = roster.add(claim, coreMs - goneMs, origin.from === claim.nodeId);
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
    if (isLive(claim)) this.#onLive(member);
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

  /** What makes a claim impossible; `known`: whose life it is about, as far as that is beyond doubt. */
  #findLie(
    claim: Pick<MemberClaim, "bootEpoch" | "incarnation">,
    known: LifeStamp | undefined,
  ): string | undefined {
    const { bootEpoch, incarnation } = claim;
    const { epochMax } = this.#shared;
    if (bootEpoch > epochMax) return `boot epoch ${bootEpoch}, no later than ${epochMax} can be`;
    const base = known?.bootEpoch === bootEpoch ? known.incarnation : STAMP_MAX;
    const incarnationMax = Math.min(STAMP_MAX, base + INCARNATION_JUMP_MAX);
    if (incarnation <= incarnationMax) return undefined;
    return `incarnation ${incarnation}, no later than ${incarnationMax} can be`;
  }

  /**
   * True unless the claim tells of a later life of a member that has told of none itself, and nobody else does either. The
   * member is asked then: what it says itself is believed.
   */
  #isEstablished(claim: MemberClaim, member: Member, from: NodeId): boolean {
    if (!member.isFirsthand || claim.bootEpoch <= member.bootEpoch) return true;
    if (this.#hearsay.add(from, claim) >= VOICES_NEEDED) return true;
    const { nodeId } = claim;
    const address = claim.address || member.address;
    this.#voice.send({ nodeId, address }, { kind: "gossip" }, { heardAs: claim });
    return false;
  }

  /** Someone knows a later life of this node: a disk was set back, or a copy of it runs elsewhere. */
  #outbidEpoch(bootEpoch: number, from: NodeId): void {
    const { self, effects, roster, epochMax, coreMs } = this.#shared;
    if (bootEpoch > epochMax - (EPOCH_AHEAD_MS_MAX - OWN_EPOCH_AHEAD_MS_MAX)) {
      return this.#noteLie(from, self.nodeId, `boot epoch ${bootEpoch} of this node's future`);
    }
    const voices = this.#hearsay.add(from, { nodeId: self.nodeId, bootEpoch });
    if (voices < Math.min(VOICES_NEEDED, roster.clusterSize - 1)) return;
    // Two processes outbid each other at the speed of gossip.
    if (coreMs - this.#epochRaisedMs > EPOCH_RAISES_MS) this.#epochRaises = 0;
    if (this.#epochRaises >= EPOCH_RAISES_MAX) {
      // One alone could stop any node. Two that lie are beyond what a cluster stands.
      if (voices < VOICES_NEEDED) {
        return this.#noteLie(from, self.nodeId, `boot epoch ${bootEpoch}, raised too often`);
      }
      effects.push({ kind: "identity_conflicted", bootEpoch });
      return;
    }
    this.#epochRaises++;
    this.#epochRaisedMs = coreMs;
    self.bootEpoch = bootEpoch + 1;
    this.announceSelf();
    this.#onReborn();
    this.#onUrgent();
  }

  #noteLie(from: NodeId, about: NodeId, what: string): void {
    this.#note("lie_refused", { from, about, what });
  }

  #note(
    event: "refuted" | "stranger_refused" | "lie_refused" | "life_redated",
    values: Record<string, string | number>,
  ): void {
    this.#shared.effects.push({ kind: "note", event, values });
  }
}

/** How often a suspect is asked directly before it counts as down. */
const LAST_CALLS = 2;

/** Time for a last call to be answered, twice the usual patience. */
function lastCallGapMs(timing: { readonly probeTimeoutMs: number }): number {
  return 2 * timing.probeTimeoutMs;
}

/** Members whose word about one other is remembered. More than are ever needed. */
const VOICES_MAX = 8;

/**
 * Who told of a later life of a member. Lives begin rarely and their subject says so itself, but whoever passes the news
 * on could make it up: it would cut the member off from everybody who believes it.
 */
class Hearsay {
  /** By subject, then by who spoke: the latest boot it told of. */
  readonly #heard = new Map<NodeId, Map<NodeId, number>>();

  /** Notes what `from` says, and returns how many told of this life of the subject or of a later one. */
  add(from: NodeId, claim: { readonly nodeId: NodeId; readonly bootEpoch: number }): number {
    const voices = this.#heard.get(claim.nodeId) ?? new Map<NodeId, number>();
    this.#heard.set(claim.nodeId, voices);
    const [oldest] = voices.keys();
    if (voices.size >= VOICES_MAX && oldest !== undefined && !voices.has(from)) {
      voices.delete(oldest);
    }
    voices.set(from, Math.max(claim.bootEpoch, voices.get(from) ?? 0));
    return [...voices.values()].filter((bootEpoch) => bootEpoch >= claim.bootEpoch).length;
  }

  forget(nodeId: NodeId): void {
    this.#heard.delete(nodeId);
  }

  keep(keeper: StateKeeper): void {
    keepMap(keeper, this.#heard);
  }
}
