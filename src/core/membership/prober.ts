import { assert, keepMap, type NodeId, type StateKeeper } from "../../base/mod.ts";
import type { Contact, HeartbeatWatch } from "./events.ts";
import { isLive, type Member } from "./roster.ts";
import type { Shared } from "./shared.ts";
import type { Timer, TimerFact } from "./timers.ts";
import { HEALTH_MAX, PROBES_MAX, RELAYS_MAX } from "./timing.ts";
import type { Voice } from "./voice.ts";

interface Probe {
  readonly targetId: NodeId;
  /** False while only a heartbeat is waited for. */
  isPinged: boolean;
  /** Members asked to probe for us. */
  readonly askedIds: Set<NodeId>;
  /** Of those, who said that they got no answer either: they prove that our own network works. */
  readonly nackedIds: Set<NodeId>;
  silent: Timer<TimerFact> | undefined;
  over: Timer<TimerFact>;
}

interface Relay {
  readonly requester: Contact;
  readonly requesterSequence: number;
  readonly targetId: NodeId;
  readonly over: Timer<TimerFact>;
}

/** Members up to which this node looks, with each event, whether any of them needs a probe: above, some nearly always does. */
const QUIET_MEMBERS_MAX = 32;
/** Members besides it and the leader that are left to probe a learner, where the leader does not. */
const WATCHERS_MIN = 4;

/**
 * Heartbeats of the log's group stand in for probes: a leader and a voter hear each other often enough to notice a death as soon as
 * probes would, and tell the others. Nobody need ask the same again.
 */
export class Heartbeats {
  readonly #shared: Shared;
  /** Until when, in core time, this node's own heartbeats with a member are current. */
  readonly #currentUntilMs = new Map<NodeId, number>();
  #leader: NodeId | undefined;
  #watched: ReadonlySet<NodeId> = new Set();

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  /** Replaces what was known; undefined = nobody leads. */
  onWatch(watch: HeartbeatWatch | undefined): void {
    this.#leader = watch?.leader;
    this.#watched = new Set(watch?.voters);
    this.#currentUntilMs.clear();
  }

  /** This node and a member exchange one now, and the next after `everyMs`; false where that is too seldom to find a death in time. */
  note(peer: NodeId, everyMs: number): boolean {
    const { coreMs, timing, self } = this.#shared;
    // Learners hear one now and then.
    if (!this.#watched.has(peer) || !this.#watched.has(self.nodeId)) return false;
    if (everyMs > 2 * timing.probeIntervalMs) return false;
    this.#currentUntilMs.set(peer, coreMs + everyMs + timing.probeIntervalMs);
    return true;
  }

  /** Whether a member needs no probe of this node. */
  standInFor(member: Member): boolean {
    return this.#standInUntilMs(member) > this.#shared.coreMs;
  }

  keep(keeper: StateKeeper): void {
    keepMap(keeper, this.#currentUntilMs);
    this.#leader = keeper.keep(this.#leader);
    this.#watched = keeper.keep(this.#watched);
  }

  /** Until when, in core time, nobody needs a probe of this node unless something happens; -Infinity = somebody does. */
  get quietUntilMs(): number {
    const { roster } = this.#shared;
    if (roster.size > QUIET_MEMBERS_MAX) return -Infinity;
    let untilMs = Infinity;
    for (const member of roster.all()) {
      if (isLive(member)) untilMs = Math.min(untilMs, this.#standInUntilMs(member));
    }
    return untilMs;
  }

  /** Doubts are looked into by all: each has a say. */
  #standInUntilMs({ nodeId, standing }: Member): number {
    if (standing !== "alive") return -Infinity;
    return this.#isLeftToOthers(nodeId) ? Infinity : this.#currentUntilMs.get(nodeId) ?? -Infinity;
  }

  #isLeftToOthers(nodeId: NodeId): boolean {
    const { self, roster } = this.#shared;
    if (this.#leader === undefined) return false;
    // It says most of all; the others find a dead learner as well without it.
    if (this.#leader === self.nodeId) return roster.clusterSize - 2 >= WATCHERS_MIN;
    // The leader is asked by whoever hears too little of it: else a node cut off from all would not find out.
    if (!this.#watched.has(nodeId) || nodeId === this.#leader) return false;
    return roster.find(this.#leader)?.standing === "alive";
  }
}

/** What probing depends on. */
export interface ProberParts {
  readonly heartbeats: Heartbeats;
  readonly onFailed: (target: Member) => void;
}

/**
 * Direct and indirect probes (SWIM section 3.1) with local health (Lifeguard): a node whose probes fail for reasons of its
 * own slows down before it accuses others.
 */
export class Prober {
  readonly #shared: Shared;
  readonly #voice: Voice;
  readonly #heartbeats: Heartbeats;
  readonly #onFailed: (target: Member) => void;
  readonly #probes = new Map<number, Probe>();
  readonly #relays = new Map<number, Relay>();
  #sequence = 0;
  /** When the next turn would be, and the one that is taken: later where heartbeats stand in for all until then. */
  #turnMs: number;
  #turn: Timer<TimerFact> | undefined;
  // 0 = well, HEALTH_MAX = assume that any silence is our own fault.
  #health = 0;

  constructor(shared: Shared, voice: Voice, parts: ProberParts) {
    this.#shared = shared;
    this.#voice = voice;
    this.#heartbeats = parts.heartbeats;
    this.#onFailed = parts.onFailed;
    // At random: nodes started by one command must not probe in step for ever.
    this.#turnMs = shared.coreMs + shared.random.below(shared.timing.probeIntervalMs);
  }

  /** Local health: 0 is well, {@link HEALTH_MAX} the worst. */
  get health(): number {
    return this.#health;
  }

  /** Moves local health; positive is worse. */
  adjustHealth(by: number): void {
    this.#health = Math.min(HEALTH_MAX, Math.max(0, this.#health + by));
  }

  /** Orders the next turn that is needed. Turns keep to their rhythm. */
  armTurn(): void {
    const { timers, timing, coreMs } = this.#shared;
    const fromMs = Math.max(coreMs, this.#heartbeats.quietUntilMs);
    const pastMs = Math.max(0, fromMs - this.#turnMs);
    // Local health stretches patience, not the pace: probing seldom would only find the dead later.
    const intervals = Math.ceil(pastMs / timing.probeIntervalMs);
    const dueMs = this.#turnMs + intervals * timing.probeIntervalMs;
    if (this.#turn?.dueMs === dueMs) return;
    timers.cancel(this.#turn);
    this.#turn = dueMs === Infinity ? undefined : timers.at(dueMs, { kind: "probe_turn" });
  }

  /** Probes whoever's turn it is. */
  onTurn(): void {
    const { timing, coreMs, roster } = this.#shared;
    this.#turn = undefined;
    this.#turnMs = coreMs + timing.probeIntervalMs;
    if (this.#shared.self.leaving) return;
    const target = roster.nextProbeTarget();
    if (target !== undefined && !this.#heartbeats.standInFor(target)) this.probe(target);
  }

  /** A heartbeat is on its way to a member, or due from it at `dueMs`: from then on its silence counts as for a ping. */
  expect(target: Member, dueMs: number): void {
    if (this.#probes.size >= PROBES_MAX || this.#find(target.nodeId) !== undefined) return;
    this.#open(target, dueMs, false);
  }

  /** A heartbeat of a member, or the answer to one, is as good as an ack. */
  onHeartbeat(from: NodeId): void {
    const found = this.#find(from);
    if (found === undefined) return;
    this.#forgetProbe(...found);
    this.adjustHealth(-1);
  }

  /** Probes a member now; nothing happens while it is being probed already. */
  probe(target: Member): void {
    const found = this.#find(target.nodeId);
    if (found?.[1].isPinged === true) return;
    if (found !== undefined) this.#forgetProbe(...found);
    if (target.address === "" || this.#probes.size >= PROBES_MAX) return;
    const sequence = this.#open(target, this.#shared.coreMs, true);
    this.#voice.send(target, { kind: "ping", sequence });
  }

  /** A ping outside of any probe, for its accusation and whatever comes back with the ack. */
  call(target: Contact): void {
    this.#voice.send(target, { kind: "ping", sequence: ++this.#sequence });
  }

  /** No direct answer: ask others, and once more ourselves, since one lost datagram is the likeliest reason. */
  onSilent(sequence: number): void {
    const probe = this.#probes.get(sequence);
    const target = probe && this.#shared.roster.find(probe.targetId);
    if (probe === undefined || target === undefined) return;
    probe.silent = undefined;
    probe.isPinged = true;
    this.#voice.send(target, { kind: "ping", sequence });
    const { timing, roster } = this.#shared;
    const relays = roster.pickLive(
      timing.indirectProbes,
      (member) => member.standing === "alive" && member.nodeId !== probe.targetId,
    );
    for (const relay of relays) {
      probe.askedIds.add(relay.nodeId);
      this.#voice.send(relay, { kind: "ping_request", sequence, target: probe.targetId });
    }
  }

  /** No answer by any way. */
  onOver(sequence: number): void {
    const probe = this.#probes.get(sequence);
    if (probe === undefined) return;
    this.#forgetProbe(sequence, probe);
    // Relays that stay silent too put the blame on this node; relays that answer "nack" clear it.
    const missing = probe.askedIds.size - probe.nackedIds.size;
    assert(missing >= 0, "Only who was asked says that it heard nothing", { missing });
    this.adjustHealth(probe.askedIds.size === 0 ? 1 : missing);
    const target = this.#shared.roster.find(probe.targetId);
    if (target !== undefined) this.#onFailed(target);
  }

  onAck(from: NodeId, sequence: number): void {
    const probe = this.#probes.get(sequence);
    if (probe !== undefined) {
      if (from !== probe.targetId && !probe.askedIds.has(from)) return;
      this.#forgetProbe(sequence, probe);
      this.adjustHealth(-1);
      return;
    }
    const relay = this.#relays.get(sequence);
    if (relay === undefined || relay.targetId !== from) return;
    this.#forgetRelay(sequence, relay);
    this.#voice.send(relay.requester, { kind: "ack", sequence: relay.requesterSequence });
  }

  onNack(from: NodeId, sequence: number): void {
    const probe = this.#probes.get(sequence);
    if (probe?.askedIds.has(from) === true) probe.nackedIds.add(from);
  }

  /** Probes `targetId` for someone else. */
  onRequest(requester: Contact, sequence: number, targetId: NodeId): void {
    const { self, roster, timers, timing, coreMs } = this.#shared;
    if (targetId === self.nodeId) return this.#voice.send(requester, { kind: "ack", sequence });
    const target = roster.find(targetId);
    if (target === undefined || target.address === "" || this.#relays.size >= RELAYS_MAX) {
      return this.#voice.send(requester, { kind: "nack", sequence });
    }
    const own = ++this.#sequence;
    const over = timers.at(coreMs + timing.probeTimeoutMs, { kind: "relay_over", sequence: own });
    const { nodeId, address } = requester;
    const relay = { requester: { nodeId, address }, requesterSequence: sequence, targetId, over };
    this.#relays.set(own, relay);
    this.#voice.send(target, { kind: "ping", sequence: own });
  }

  onRelayOver(sequence: number): void {
    const relay = this.#relays.get(sequence);
    if (relay === undefined) return;
    this.#relays.delete(sequence);
    this.#voice.send(relay.requester, { kind: "nack", sequence: relay.requesterSequence });
  }

  /** The message did not even leave: no use waiting for its answer. */
  onSendFailed(to: NodeId): void {
    for (const [sequence, probe] of [...this.#probes]) {
      if (probe.targetId !== to || probe.silent === undefined) continue;
      this.#shared.timers.cancel(probe.silent);
      this.onSilent(sequence);
    }
  }

  keep(keeper: StateKeeper): void {
    keepMap(keeper, this.#probes);
    keepMap(keeper, this.#relays);
    this.#sequence = keeper.keep(this.#sequence);
    this.#turnMs = keeper.keep(this.#turnMs);
    this.#turn = keeper.keep(this.#turn);
    this.#health = keeper.keep(this.#health);
  }

  get #stretch(): number {
    return 1 + this.#health;
  }

  #find(targetId: NodeId): [number, Probe] | undefined {
    for (const found of this.#probes) if (found[1].targetId === targetId) return found;
    return undefined;
  }

  #open(target: Member, startMs: number, isPinged: boolean): number {
    const { timers, timing } = this.#shared;
    const sequence = ++this.#sequence;
    const silentMs = startMs + timing.probeTimeoutMs * this.#stretch;
    const overMs = startMs + timing.probeDeadlineMs * this.#stretch;
    this.#probes.set(sequence, {
      targetId: target.nodeId,
      isPinged,
      askedIds: new Set(),
      nackedIds: new Set(),
      silent: timers.at(silentMs, { kind: "probe_silent", sequence }),
      over: timers.at(overMs, { kind: "probe_over", sequence }),
    });
    return sequence;
  }

  #forgetProbe(sequence: number, probe: Probe): void {
    this.#shared.timers.cancel(probe.silent);
    this.#shared.timers.cancel(probe.over);
    this.#probes.delete(sequence);
  }

  #forgetRelay(sequence: number, relay: Relay): void {
    this.#shared.timers.cancel(relay.over);
    this.#relays.delete(sequence);
  }
}
