import {
  assert,
  assertNever,
  BoundedMap,
  type Incarnation,
  keepMap,
  type NodeId,
  type Random,
  type StateKeeper,
} from "../../base/mod.ts";
import {
  decodeDatagram,
  decodeSync,
  type LifeStamp,
  type MembershipDatagram,
} from "../../protocol/mod.ts";
import type { Contact, MembershipEffect, MembershipEvent, MemberView } from "./events.ts";
import { Firsthand } from "./firsthand.ts";
import { Judge } from "./judge.ts";
import { Heartbeats, Prober } from "./prober.ts";
import { type Member, Roster, viewMember } from "./roster.ts";
import { claimOfSelf, type Self, type Shared } from "./shared.ts";
import { Sync } from "./sync.ts";
import { type TimerFact, Timers } from "./timers.ts";
import {
  announceIntervalMs,
  EPOCH_AHEAD_MS_MAX,
  LEAVE_ROUNDS,
  LEAVE_TARGETS_MAX,
  type MembershipTiming,
  SEEDS_MAX,
  STALL_GRACE_MS,
  STALL_MS,
  STAMP_MAX,
  syncIntervalMs,
} from "./timing.ts";
import { MemberValues } from "./values.ts";
import { Voice } from "./voice.ts";

/** Who this node is and how patient it is. */
export interface MembershipOptions {
  readonly nodeId: NodeId;
  /** Where others reach this node; at most ADDRESS_BYTES_MAX printable ASCII characters. */
  readonly address: string;
  /** Must be higher than at any earlier start of this node: persisted, then raised, before this object is made. */
  readonly bootEpoch: number;
  /** The last one persisted by `persist_identity`; 0 for a first start. */
  readonly incarnation: Incarnation;
  readonly timing: MembershipTiming;
}

/** How this node sees its cluster. */
export interface MembershipView {
  readonly self: MemberView;
  /** Others, by id; members that are down or left as long as they are remembered. */
  readonly members: readonly MemberView[];
  /** 0 = well; higher = this node suspects itself of being slow. */
  readonly health: number;
  readonly rumorCount: number;
}

/** Expelled ids remembered; the oldest is dropped. */
const EXPELLED_MAX = 1_024;

/**
 * One node's view of who is alive: SWIM with Lifeguard. Synchronous and deterministic; performs no I/O and keeps no
 * clock. Hand in `started` first.
 */
export class Membership {
  readonly #shared: Shared;
  readonly #voice: Voice;
  readonly #heartbeats: Heartbeats;
  readonly #prober: Prober;
  readonly #judge: Judge;
  readonly #firsthand: Firsthand;
  readonly #sync: Sync;
  #seeds: readonly Contact[] = [];
  readonly #expelled = new BoundedMap<NodeId, true>(EXPELLED_MAX);
  #nowMs = -Infinity;
  /** Wall time minus {@link #nowMs}; undefined until the clock was read. */
  #wallOffsetMs: number | undefined;
  // Invariant: coreMs = nowMs - #stalledMs; it never goes back.
  #stalledMs = 0;
  #stallForgiven = false;
  #gossipArmed = false;
  #valuesArmed = false;
  #joinArmed = false;
  #urgent = false;
  #lastHealMs = -Infinity;
  #wakeToken = 0;
  #wakeAtMs = -Infinity;

  constructor(options: MembershipOptions, random: Random) {
    const { nodeId, address, bootEpoch, incarnation, timing } = options;
    const values = new MemberValues();
    const self: Self = { nodeId, address, bootEpoch, incarnation, leaving: false, values };
    this.#shared = {
      self,
      timing,
      random,
      roster: new Roster(random.fork()),
      timers: new Timers<TimerFact>(),
      coreMs: 0,
      epochMax: STAMP_MAX,
      effects: [],
    };
    this.#voice = new Voice(this.#shared);
    this.#heartbeats = new Heartbeats(this.#shared);
    this.#prober = new Prober(this.#shared, this.#voice, {
      heartbeats: this.#heartbeats,
      onFailed: (target) => this.#onProbeFailed(target),
    });
    this.#firsthand = new Firsthand(this.#shared, this.#voice);
    this.#judge = new Judge(this.#shared, this.#voice, this.#prober, {
      onReturned: (member) => this.#onReturned(member),
      onUrgent: () => this.#urgent = true,
      onLive: (member) => this.#firsthand.onLive(member),
      onReborn: () => this.#onReborn(),
    });
    this.#sync = new Sync(this.#shared, this.#voice, {
      judge: this.#judge,
      firsthand: this.#firsthand,
    });
  }

  /** Takes one fact and returns what the caller must now do, in this order. */
  step(event: MembershipEvent): readonly MembershipEffect[] {
    this.#shared.effects = [];
    this.#urgent = false;
    this.#observe(event.nowMs);
    this.#handle(event);
    this.#fireDue();
    if (this.#urgent) this.#gossip();
    this.#armTurns();
    this.#armWake();
    return this.#shared.effects;
  }

  /** A snapshot for routing, status pages and tests; never live state. */
  view(): MembershipView {
    const { self, roster } = this.#shared;
    const { nodeId, address, bootEpoch, incarnation } = self;
    const standing = self.leaving ? "left" : "alive";
    return {
      self: { nodeId, address, bootEpoch, incarnation, standing },
      members: roster.sorted().map(viewMember),
      health: this.#prober.health,
      rumorCount: this.#voice.rumorCount,
    };
  }

  /** One other member, or undefined. */
  find(nodeId: NodeId): MemberView | undefined {
    const member = this.#shared.roster.find(nodeId);
    return member === undefined ? undefined : viewMember(member);
  }

  /** Live members, this one included. */
  get clusterSize(): number {
    return this.#shared.roster.clusterSize;
  }

  /** The application values of a member (this one included), in key order; empty when it is unknown. */
  values(nodeId: NodeId): ReadonlyMap<string, Uint8Array> {
    const { self, roster } = this.#shared;
    const held = nodeId === self.nodeId ? self : roster.find(nodeId);
    return held?.values.present() ?? new Map<string, Uint8Array>();
  }

  /** All of its state but the timing. */
  keep(keeper: StateKeeper): void {
    const shared = this.#shared;
    const { values, ...self } = shared.self;
    Object.assign(shared.self, keeper.keep(self));
    values.keep(keeper);
    shared.random.keep(keeper);
    shared.timers.keep(keeper);
    shared.coreMs = keeper.keep(shared.coreMs);
    shared.epochMax = keeper.keep(shared.epochMax);
    const { roster } = shared;
    const parts = [roster, this.#voice, this.#heartbeats, this.#prober, this.#judge];
    for (const part of [...parts, this.#firsthand, this.#sync]) part.keep(keeper);
    this.#keepOwn(keeper);
  }

  #keepOwn(keeper: StateKeeper): void {
    this.#seeds = keeper.keep(this.#seeds);
    keepMap(keeper, this.#expelled);
    this.#nowMs = keeper.keep(this.#nowMs);
    this.#wallOffsetMs = keeper.keep(this.#wallOffsetMs);
    this.#stalledMs = keeper.keep(this.#stalledMs);
    this.#stallForgiven = keeper.keep(this.#stallForgiven);
    this.#gossipArmed = keeper.keep(this.#gossipArmed);
    this.#valuesArmed = keeper.keep(this.#valuesArmed);
    this.#joinArmed = keeper.keep(this.#joinArmed);
    this.#lastHealMs = keeper.keep(this.#lastHealMs);
    this.#wakeToken = keeper.keep(this.#wakeToken);
    this.#wakeAtMs = keeper.keep(this.#wakeAtMs);
  }

  /**
   * Moves core time. An event long after a deadline means that this process did not run: neither did its ears, so the
   * span must not count against anyone. Time goes on at the deadline, after a grace in which queued messages come in.
   * One stall in a row is forgiven, so that a node that is always late still acts.
   */
  #observe(nowMs: number): void {
    const shared = this.#shared;
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    if (this.#wallOffsetMs !== undefined) {
      shared.epochMax = Math.min(STAMP_MAX, this.#wallOffsetMs + this.#nowMs + EPOCH_AHEAD_MS_MAX);
    }
    const core = this.#nowMs - this.#stalledMs;
    const dueMs = shared.timers.nextDueMs();
    assert(core >= shared.coreMs, "Core time never goes back", { core, was: shared.coreMs });
    if (dueMs === undefined || core - dueMs <= STALL_MS || this.#stallForgiven) {
      shared.coreMs = core;
      return;
    }
    shared.coreMs = Math.max(shared.coreMs, dueMs - STALL_GRACE_MS);
    this.#stalledMs = this.#nowMs - shared.coreMs;
    this.#stallForgiven = true;
    this.#prober.adjustHealth(1);
    const values = { lateMs: core - dueMs };
    shared.effects.push({ kind: "note", event: "stalled", values });
  }

  #handle(event: MembershipEvent): void {
    switch (event.kind) {
      case "started":
        return this.#onStarted();
      case "woke":
        if (event.token === this.#wakeToken) this.#wakeAtMs = -Infinity;
        return;
      case "datagram_received":
        return this.#onDatagram(event.from, event.bytes);
      case "stream_received":
        return this.#onStream(event.from, event.bytes);
      case "send_failed":
        this.#doubtTold(event.to);
        return this.#prober.onSendFailed(event.to);
      case "connection_lost":
        return this.#onConnectionLost(event.to);
      case "heartbeat":
        return this.#onHeartbeat(event);
      case "heartbeats_watched":
        return this.#heartbeats.onWatch(event.watch);
      case "join_requested":
        return this.#onJoin(event.seeds);
      case "leave_requested":
        return this.#onLeave();
      case "member_expelled":
        return this.#onExpelled(event.nodeId);
      case "member_admitted":
        this.#expelled.delete(event.nodeId);
        return;
      case "clock_read":
        this.#wallOffsetMs = event.wallMs - event.nowMs;
        return this.#judge.onClockRead(event.wallMs);
      case "address_changed":
        return this.#onAddressChanged(event.address);
      case "value_published":
        return this.#onValuePublished(event.key, event.value);
      default:
        return assertNever(event);
    }
  }

  #onStarted(): void {
    const { timers, timing, random, coreMs } = this.#shared;
    this.#judge.announceSelf();
    // At random, as the prober's first turn.
    timers.at(coreMs + random.below(timing.syncIntervalMs), { kind: "sync_turn" });
    timers.at(coreMs + random.below(timing.announceIntervalMs), { kind: "announce_turn" });
  }

  #onDatagram(from: NodeId, bytes: Uint8Array): void {
    if (!this.#accepts(from)) return;
    const decoded = decodeDatagram(bytes);
    if (decoded.kind === "malformed") return this.#noteMalformed(from, decoded.reason);
    const { source, body, piggyback } = decoded.value;
    this.#judge.onSpoke(from, source);
    for (const claim of piggyback.claims) {
      if (!this.#expelled.has(claim.nodeId)) this.#judge.hear(claim, { from });
    }
    const { roster } = this.#shared;
    const sender: Contact = roster.find(from) ?? { nodeId: from, address: "" };
    for (const rumor of piggyback.values) this.#firsthand.hearRumor(sender, rumor);
    if (piggyback.accusation !== undefined) this.#judge.hearAccusation(piggyback.accusation, from);
    const accused = piggyback.accusation !== undefined;
    const introduced = piggyback.claims.some((claim) => claim.nodeId === from);
    this.#answer(sender, body, { accused, introduced, source });
  }

  #answer(
    sender: Contact,
    body: MembershipDatagram["body"],
    said: {
      readonly accused: boolean;
      readonly introduced: boolean;
      readonly source: LifeStamp;
    },
  ): void {
    // A sender that just introduced itself is not asked again: what was not taken then won't be taken now.
    const heardAs = said.introduced ? undefined : said.source;
    if (body.kind === "ping") {
      const { sequence } = body;
      const options = { introduce: said.accused, heardAs };
      return this.#voice.send(sender, { kind: "ack", sequence }, options);
    }
    if (body.kind === "ack") this.#prober.onAck(sender.nodeId, body.sequence);
    if (body.kind === "nack") this.#prober.onNack(sender.nodeId, body.sequence);
    if (body.kind === "ping_request") {
      this.#prober.onRequest(sender, body.sequence, body.target);
    }
    const owed = this.#owesAccusation(sender.nodeId, heardAs);
    if (!said.accused && !owed) return;
    this.#voice.send(sender, { kind: "gossip" }, { introduce: said.accused, heardAs });
  }

  /** Whether a sender must be told what is held against it outside of an ack; limited per member. */
  #owesAccusation(nodeId: NodeId, heardAs: LifeStamp | undefined): boolean {
    const { roster, coreMs, timing, self } = this.#shared;
    const accusation = this.#voice.accusationAgainst(nodeId, heardAs);
    if (accusation === undefined || self.leaving) return false;
    const member = roster.find(nodeId);
    if (member === undefined) return true;
    if (coreMs - member.accusedMs < timing.gossipIntervalMs) return false;
    member.accusedMs = coreMs;
    return true;
  }

  #onStream(from: NodeId, bytes: Uint8Array): void {
    if (!this.#accepts(from)) return;
    const decoded = decodeSync(bytes);
    if (decoded.kind === "malformed") return this.#noteMalformed(from, decoded.reason);
    const sender: Contact = this.#shared.roster.find(from) ?? { nodeId: from, address: "" };
    this.#sync.receive(sender, decoded.value, (nodeId) => !this.#expelled.has(nodeId));
  }

  #accepts(from: NodeId): boolean {
    return from !== this.#shared.self.nodeId && !this.#expelled.has(from);
  }

  #onConnectionLost(to: NodeId): void {
    this.#doubtTold(to);
    const member = this.#shared.roster.find(to);
    if (member?.standing === "alive") this.#prober.probe(member);
  }

  #onHeartbeat(
    { peer, way, everyMs }: Extract<MembershipEvent, { readonly kind: "heartbeat" }>,
  ): void {
    if (way !== "sent") this.#prober.onHeartbeat(peer);
    const member = this.#shared.roster.find(peer);
    if (way === "answered" || member?.standing !== "alive") return;
    if (!this.#heartbeats.note(peer, everyMs)) return;
    this.#prober.expect(member, this.#shared.coreMs + (way === "sent" ? 0 : everyMs));
  }

  #onProbeFailed(target: Member): void {
    const { effects } = this.#shared;
    const values = { target: target.nodeId, health: this.#prober.health };
    effects.push({ kind: "note", event: "probe_failed", values });
    this.#judge.suspect(target);
    // The suspect is told at once: it may refute before anyone else hears of it.
    if (target.standing === "suspect") this.#voice.send(target, { kind: "gossip" });
  }

  /** What a member was told last may not have come to it. */
  #doubtTold(nodeId: NodeId): void {
    const member = this.#shared.roster.find(nodeId);
    if (member !== undefined) member.isUnsure = true;
  }

  #onReborn(): void {
    for (const member of this.#shared.roster.all()) member.toldVersion = 0;
    this.#firsthand.changed();
  }

  /** A member is back from the dead, so what it knows may differ from all we know. */
  #onReturned(member: Member): void {
    member.isUnsure = true;
    const { coreMs, timing } = this.#shared;
    if (coreMs - this.#lastHealMs < timing.joinRetryMs) return;
    this.#lastHealMs = coreMs;
    this.#sync.request(member, { joining: false });
  }

  #onJoin(seeds: readonly Contact[]): void {
    const { self } = this.#shared;
    const others = seeds.filter((seed) => seed.nodeId !== self.nodeId);
    this.#seeds = [...others, ...this.#seeds].slice(0, SEEDS_MAX);
    if (self.leaving) {
      self.leaving = false;
      self.incarnation = (self.incarnation + 1) as Incarnation;
      this.#judge.announceSelf();
    }
    for (const seed of others) this.#sync.request(seed, { joining: true });
  }

  #onLeave(): void {
    const { self } = this.#shared;
    if (self.leaving) return;
    self.leaving = true;
    this.#voice.spread(claimOfSelf(self));
    this.#sayGoodbye(1);
  }

  #sayGoodbye(round: number): void {
    const { roster, timers, timing, effects, coreMs } = this.#shared;
    if (!this.#shared.self.leaving) return;
    const told = roster.pickLive(LEAVE_TARGETS_MAX);
    for (const member of told) this.#voice.send(member, { kind: "gossip" }, { introduce: true });
    // Several rounds, since datagrams get lost; none where no one listens.
    if (round >= LEAVE_ROUNDS || told.length === 0) {
      effects.push({ kind: "leave_completed" });
      return;
    }
    timers.at(coreMs + timing.gossipIntervalMs, { kind: "leave_turn", round: round + 1 });
  }

  #onExpelled(nodeId: NodeId): void {
    this.#expelled.set(nodeId, true);
    const member = this.#shared.roster.find(nodeId);
    if (member !== undefined) this.#forget(member);
  }

  #onAddressChanged(address: string): void {
    const { self } = this.#shared;
    if (address === self.address) return;
    self.address = address;
    // The address belongs to the incarnation, so that the later one wins everywhere.
    self.incarnation = (self.incarnation + 1) as Incarnation;
    this.#judge.announceSelf();
  }

  #onValuePublished(key: string, value: Uint8Array | undefined): void {
    const { self, effects } = this.#shared;
    const entry = self.values.publish(key, value);
    if (typeof entry === "string") {
      effects.push({ kind: "value_refused", key, reason: entry });
      return;
    }
    this.#firsthand.changed();
  }

  #fireDue(): void {
    const shared = this.#shared;
    for (;;) {
      const fact = shared.timers.takeDue(shared.coreMs);
      if (fact === undefined) return;
      this.#stallForgiven = false;
      this.#onTimer(fact);
    }
  }

  #onTimer(fact: TimerFact): void {
    switch (fact.kind) {
      case "probe_turn":
        return this.#prober.onTurn();
      case "probe_silent":
        return this.#prober.onSilent(fact.sequence);
      case "probe_over":
        return this.#prober.onOver(fact.sequence);
      case "relay_over":
        return this.#prober.onRelayOver(fact.sequence);
      case "suspicion_due":
        return this.#judge.onSuspicionDue(fact.nodeId);
      case "gossip_turn":
        this.#gossipArmed = false;
        return this.#gossip();
      case "values_turn":
        this.#valuesArmed = false;
        return this.#firsthand.turn();
      case "sync_turn":
        return this.#onSyncTurn();
      case "announce_turn":
        return this.#onAnnounceTurn();
      case "join_turn":
        this.#joinArmed = false;
        return this.#onJoinTurn();
      case "leave_turn":
        return this.#sayGoodbye(fact.round);
      default:
        return assertNever(fact);
    }
  }

  #gossip(): void {
    const { roster, timing } = this.#shared;
    for (const member of roster.pickLive(timing.gossipFanout)) {
      if (!this.#voice.hasRumors) return;
      this.#voice.send(member, { kind: "gossip" });
    }
  }

  #onSyncTurn(): void {
    const { roster, timers, timing, coreMs } = this.#shared;
    timers.at(coreMs + syncIntervalMs(timing, roster.clusterSize), { kind: "sync_turn" });
    const [member] = roster.pickLive(1);
    if (member !== undefined) this.#sync.request(member, { joining: false });
  }

  #onAnnounceTurn(): void {
    const { roster, timers, timing, coreMs, self } = this.#shared;
    const againMs = coreMs + announceIntervalMs(timing, roster.clusterSize);
    timers.at(againMs, { kind: "announce_turn" });
    for (const member of roster.sorted()) {
      if (member.goneMs === undefined) continue;
      const keptMs = member.standing === "left" ? timing.leftKeptMs : timing.downKeptMs;
      if (coreMs - member.goneMs >= keptMs) this.#forget(member);
    }
    const member = self.leaving ? undefined : roster.pickDown();
    if (member !== undefined) this.#prober.call(member);
  }

  #onJoinTurn(): void {
    const { roster, random, self } = this.#shared;
    if (roster.clusterSize > 1 || self.leaving) return;
    const contact = roster.pickDown() ?? random.pick(this.#seeds);
    const seed = random.chance(1, 2) ? random.pick(this.#seeds) ?? contact : contact;
    if (seed !== undefined) this.#sync.request(seed, { joining: true });
  }

  #forget(member: Member): void {
    const { roster, timers, effects } = this.#shared;
    timers.cancel(member.suspicionTimer);
    roster.forget(member);
    const { nodeId, standing: previous } = member;
    effects.push({ kind: "member_changed", nodeId, previous, member: undefined });
  }

  /** Turns that are only taken while there is a reason: gossip while there are rumours, joining while alone. */
  #armTurns(): void {
    this.#prober.armTurn();
    const { roster, timers, timing, coreMs, self } = this.#shared;
    const alone = roster.clusterSize === 1;
    if (!this.#gossipArmed && !alone && this.#voice.hasRumors) {
      this.#gossipArmed = true;
      timers.at(coreMs + timing.gossipIntervalMs, { kind: "gossip_turn" });
    }
    if (!this.#valuesArmed && !alone && this.#firsthand.isDue) {
      this.#valuesArmed = true;
      timers.at(coreMs + timing.gossipIntervalMs, { kind: "values_turn" });
    }
    const joins = alone && !self.leaving && (this.#seeds.length > 0 || roster.size > 0);
    if (!this.#joinArmed && joins) {
      this.#joinArmed = true;
      timers.at(coreMs + timing.joinRetryMs, { kind: "join_turn" });
    }
  }

  #armWake(): void {
    const dueMs = this.#shared.timers.nextDueMs();
    if (dueMs === undefined) return;
    const atMs = dueMs + this.#stalledMs;
    if (atMs === this.#wakeAtMs) return;
    this.#wakeAtMs = atMs;
    this.#shared.effects.push({ kind: "wake_at", atMs, token: ++this.#wakeToken });
  }

  #noteMalformed(from: NodeId, reason: string): void {
    const values = { from, reason };
    this.#shared.effects.push({ kind: "note", event: "malformed_message", values });
  }
}
