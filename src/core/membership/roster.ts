import { assert, type NodeId, type Random, type StateKeeper } from "../../base/mod.ts";
import type { LifeStamp, MemberClaim, MemberStanding } from "../../protocol/mod.ts";
import type { MemberView } from "./events.ts";
import { Suspicion } from "./suspicion.ts";
import type { Timer, TimerFact } from "./timers.ts";
import { MEMBERS_MAX } from "./timing.ts";
import { MemberValues } from "./values.ts";

/** Another member as this node holds it. */
export interface Member extends LifeStamp {
  readonly nodeId: NodeId;
  /** "" until someone tells it; such a member is not probed. */
  address: string;
  standing: MemberStanding;
  bootEpoch: number;
  incarnation: MemberClaim["incarnation"];
  /** It has introduced itself. Until then its life is what others say, and its own word counts whatever they said. */
  isFirsthand: boolean;
  /** When it went down or left, in core time; undefined while it did neither. */
  goneMs: number | undefined;
  /** Present exactly while `standing` is suspect. */
  suspicion: Suspicion | undefined;
  suspicionTimer: Timer<TimerFact> | undefined;
  /** Of the life `bootEpoch`; replaced with it. */
  values: MemberValues;
  /** How far this node has told it its own values. */
  toldVersion: number;
  /** What it was told may have been lost: the next datagram to it says how far this node's values are. */
  isUnsure: boolean;
  /** When it was last told out of turn what is held against it. */
  accusedMs: number;
}

const RANK: Readonly<Record<MemberStanding, number>> = { alive: 0, suspect: 1, down: 2, left: 3 };

/** Later boot first, then later incarnation; > 0 when `a` is newer. */
export function compareStamps(a: LifeStamp, b: LifeStamp): number {
  return a.bootEpoch - b.bootEpoch || a.incarnation - b.incarnation;
}

/**
 * A total order in which the greater claim wins, whatever the order of arrival: that is why all members agree in the end.
 * A doubt outranks its subject's same-incarnation life; only the subject can outbid it, by a higher incarnation.
 */
export function compareClaims(
  a: LifeStamp & { readonly standing: MemberStanding },
  b: LifeStamp & { readonly standing: MemberStanding },
): number {
  return compareStamps(a, b) || RANK[a.standing] - RANK[b.standing];
}

/** Members that count for quorums of doubt, probes and rumours. */
export function isLive(member: { readonly standing: MemberStanding }): boolean {
  return member.standing === "alive" || member.standing === "suspect";
}

/** The other members, and whose turn it is to be probed. */
export class Roster {
  readonly #random: Random;
  readonly #members = new Map<NodeId, Member>();
  // Live members, in no order that matters: picked at random positions.
  #live: Member[] = [];
  #liveOutdated = false;
  // SWIM section 4.3: a shuffled round in which everyone has one turn, so that detection time is bounded.
  #round: NodeId[] = [];
  // Invariant: the number of live members, this node not counted.
  #liveCount = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Live members including this node. */
  get clusterSize(): number {
    return this.#liveCount + 1;
  }

  get size(): number {
    return this.#members.size;
  }

  find(nodeId: NodeId): Member | undefined {
    return this.#members.get(nodeId);
  }

  /** In order of arrival. */
  all(): IterableIterator<Member> {
    return this.#members.values();
  }

  /** By id. */
  sorted(): Member[] {
    return [...this.#members.values()].sort((a, b) => a.nodeId < b.nodeId ? -1 : 1);
  }

  /** Adds a stranger; undefined when there is no room for it. */
  add(claim: MemberClaim, coreMs: number, isFirsthand: boolean): Member | undefined {
    if (this.#members.size >= MEMBERS_MAX && !this.#dropLongestGone()) return undefined;
    const member: Member = {
      nodeId: claim.nodeId,
      address: claim.address,
      standing: claim.standing,
      bootEpoch: claim.bootEpoch,
      incarnation: claim.incarnation,
      isFirsthand,
      goneMs: isLive(claim) ? undefined : coreMs,
      suspicion: undefined,
      suspicionTimer: undefined,
      values: new MemberValues(),
      toldVersion: 0,
      isUnsure: false,
      accusedMs: -Infinity,
    };
    this.#members.set(member.nodeId, member);
    this.#liveOutdated = true;
    if (isLive(member)) {
      this.#liveCount++;
      // Anywhere in the running round, so that a new member waits half a round on average, not always a whole one.
      this.#round.splice(this.#random.below(this.#round.length + 1), 0, member.nodeId);
    }
    this.#check();
    return member;
  }

  /** Gives a member a greater claim's stamp and standing; the caller has compared them. */
  update(member: Member, claim: MemberClaim, coreMs: number): void {
    const wasLive = isLive(member);
    if (claim.bootEpoch !== member.bootEpoch) {
      member.values = new MemberValues();
      member.toldVersion = 0;
    }
    member.bootEpoch = claim.bootEpoch;
    member.incarnation = claim.incarnation;
    member.standing = claim.standing;
    if (claim.address !== "") member.address = claim.address;
    member.goneMs = isLive(claim) ? undefined : member.goneMs ?? coreMs;
    if (isLive(claim) === wasLive) return;
    this.#liveCount += wasLive ? -1 : 1;
    this.#liveOutdated = true;
    this.#check();
  }

  forget(member: Member): void {
    if (!this.#members.delete(member.nodeId)) return;
    if (isLive(member)) this.#liveCount--;
    this.#liveOutdated = true;
    this.#check();
  }

  /** Whose turn it is: a live member with an address, each once per round; undefined when there is none. */
  nextProbeTarget(): Member | undefined {
    for (let rounds = 0; rounds < 2; rounds++) {
      for (let id = this.#round.pop(); id !== undefined; id = this.#round.pop()) {
        const member = this.#members.get(id);
        if (member !== undefined && isLive(member) && member.address !== "") return member;
      }
      this.#round = this.#random.shuffle(this.#liveMembers().map((member) => member.nodeId));
    }
    return undefined;
  }

  /** Up to `count` different live members with an address that `accept` takes, at random. */
  pickLive(count: number, accept: (member: Member) => boolean = () => true): Member[] {
    const live = this.#liveMembers();
    const picked: Member[] = [];
    // A partial Fisher-Yates in place: each pick is uniform over those not looked at yet.
    for (let index = 0; index < live.length && picked.length < count; index++) {
      const other = index + this.#random.below(live.length - index);
      const [here, there] = [live[index], live[other]];
      if (here === undefined || there === undefined) break;
      live[index] = there;
      live[other] = here;
      if (there.address !== "" && accept(there)) picked.push(there);
    }
    return picked;
  }

  /** A random member that is down and can be called. */
  pickDown(): Member | undefined {
    return this.#random.pick(
      this.sorted().filter((member) => member.standing === "down" && member.address !== ""),
    );
  }

  /** All of its state. */
  keep(keeper: StateKeeper): void {
    this.#random.keep(keeper);
    const members = keeper.keep(
      [...this.#members.values()].map(({ values: _values, suspicion: _suspicion, ...plain }) =>
        plain
      ),
    );
    for (const plain of keeper.restores ? members : []) {
      const member = { ...plain, values: new MemberValues(), suspicion: undefined };
      this.#members.set(plain.nodeId, member);
    }
    for (const member of this.#members.values()) {
      member.values.keep(keeper);
      member.suspicion = Suspicion.keep(keeper, member.suspicion);
    }
    this.#liveOutdated = keeper.keep(this.#liveOutdated);
    const live = keeper.keep(this.#liveOutdated ? [] : this.#live.map(({ nodeId }) => nodeId));
    if (keeper.restores) this.#live = live.flatMap((nodeId) => this.find(nodeId) ?? []);
    this.#round = [...keeper.keep(this.#round)];
    this.#liveCount = keeper.keep(this.#liveCount);
  }

  #check(): void {
    const [live, known] = [this.#liveCount, this.#members.size];
    assert(live >= 0 && live <= known, "The living are among the known", { live, known });
  }

  #liveMembers(): Member[] {
    if (this.#liveOutdated) {
      this.#live = this.sorted().filter(isLive);
      this.#liveOutdated = false;
      const [found, counted] = [this.#live.length, this.#liveCount];
      assert(found === counted, "Every living member is counted once", { found, counted });
    }
    return this.#live;
  }

  #dropLongestGone(): boolean {
    let longest: Member | undefined;
    for (const member of this.#members.values()) {
      if (member.goneMs === undefined) continue;
      if (longest?.goneMs === undefined || member.goneMs < longest.goneMs) longest = member;
    }
    if (longest !== undefined) this.forget(longest);
    return longest !== undefined;
  }
}

/** What others may know of a member. */
export function viewMember(member: Member): MemberView {
  const { nodeId, address, standing, bootEpoch, incarnation } = member;
  return { nodeId, address, standing, bootEpoch, incarnation };
}
