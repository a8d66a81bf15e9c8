import { assert, type NodeId } from "../../base/mod.ts";
import type { Contact } from "./events.ts";
import type { Member } from "./roster.ts";
import type { Shared } from "./shared.ts";
import type { Timer, TimerFact } from "./timers.ts";
import { HEALTH_MAX, PROBES_MAX, RELAYS_MAX } from "./timing.ts";
import type { Voice } from "./voice.ts";

interface Probe {
  readonly targetId: NodeId;
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

/**
 * Direct and indirect probes (SWIM section 3.1) with local health (Lifeguard): a node whose probes fail for reasons of its
 * own slows down before it accuses others.
 */
export class Prober {
  readonly #shared: Shared;
  readonly #voice: Voice;
  readonly #onFailed: (target: Member) => void;
  readonly #probes = new Map<number, Probe>();
  readonly #relays = new Map<number, Relay>();
  #sequence = 0;
  // 0 = well, HEALTH_MAX = assume that any silence is our own fault.
  #health = 0;

  constructor(shared: Shared, voice: Voice, onFailed: (target: Member) => void) {
    this.#shared = shared;
    this.#voice = voice;
    this.#onFailed = onFailed;
  }

  /** Local health: 0 is well, {@link HEALTH_MAX} the worst. */
  get health(): number {
    return this.#health;
  }

  /** Moves local health; positive is worse. */
  adjustHealth(by: number): void {
    this.#health = Math.min(HEALTH_MAX, Math.max(0, this.#health + by));
  }

  /** Probes whoever's turn it is and orders the next turn. */
  onTurn(): void {
    const { timers, timing, coreMs, roster } = this.#shared;
    // Local health stretches patience, not the pace: probing seldom would only find the dead later.
    timers.at(coreMs + timing.probeIntervalMs, { kind: "probe_turn" });
    if (this.#shared.self.leaving) return;
    const target = roster.nextProbeTarget();
    if (target !== undefined) this.probe(target);
  }

  /** Probes a member now; nothing happens while it is being probed already. */
  probe(target: Member): void {
    if (target.address === "" || this.#probes.size >= PROBES_MAX) return;
    for (const probe of this.#probes.values()) if (probe.targetId === target.nodeId) return;
    const { timers, timing, coreMs } = this.#shared;
    const sequence = ++this.#sequence;
    const { probeTimeoutMs, probeDeadlineMs } = timing;
    const silentMs = coreMs + probeTimeoutMs * this.#stretch;
    const overMs = coreMs + probeDeadlineMs * this.#stretch;
    this.#probes.set(sequence, {
      targetId: target.nodeId,
      askedIds: new Set(),
      nackedIds: new Set(),
      silent: timers.at(silentMs, { kind: "probe_silent", sequence }),
      over: timers.at(overMs, { kind: "probe_over", sequence }),
    });
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
    this.#relays.set(own, { requester, requesterSequence: sequence, targetId, over });
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

  get #stretch(): number {
    return 1 + this.#health;
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
