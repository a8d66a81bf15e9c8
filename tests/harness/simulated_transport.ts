/**
 * A network inside one process, for tests of whatever speaks through the transport port: cuts in one direction, loss,
 * delay, dead nodes, all from one seed. It behaves like the real one where callers can tell: frames on a cut connection
 * wait and arrive after healing, until the connection is given up; a node that is gone without a goodbye is noticed late.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type NodeId, Random, UnavailableError } from "../../src/base/mod.ts";
import type {
  Clock,
  ConnectionView,
  PeerAddress,
  PeerStream,
  Transport,
  TransportHandlers,
} from "../../src/ports/mod.ts";
import {
  CHANNEL_FRAME_BYTES_MAX,
  DATAGRAM_BYTES_MAX,
  type FrameChannel,
  splitAddresses,
} from "../../src/protocol/mod.ts";
import { TRANSPORT_LIMITS, type TransportLimits } from "../../src/transport/mod.ts";
import { SimulatedLink } from "./simulated_link.ts";
import { PromptSchedule, type Schedule, VirtualSchedule } from "./simulated_schedule.ts";

/** What happens to packets in one direction. */
export interface LinkFaults {
  /** 0..100. Datagrams are lost; frames and streams come later, in order. */
  readonly lossPercent: number;
  /** One way. */
  readonly delayMs: number;
  /** Up to this much more, drawn per packet; datagrams overtake each other. */
  readonly jitterMs: number;
  /** Datagrams that arrive twice, 0..100. */
  readonly duplicatePercent: number;
}

/** Whom a node takes for a member; asked whenever a connection is made. */
export interface MemberGate {
  readonly dials: (peer: NodeId) => boolean;
  readonly admits: (peer: NodeId) => boolean;
}

/** How a {@link SimulatedNetwork} starts. */
export interface SimulatedNetworkOptions {
  /** Default 1. */
  readonly seed?: number;
  /**
   * `stepped` (default): nothing moves but by {@link SimulatedNetwork.advance}, every packet takes 1 ms, waits are those of
   * the real transport. `prompt`: everything is delivered at once in later turns of the event loop, and waits are short.
   */
  readonly mode?: "stepped" | "prompt";
  readonly limits?: Partial<TransportLimits>;
  /** As {@link VirtualSchedule} takes it. */
  readonly step?: () => Promise<boolean>;
}

const PROMPT_LIMITS: Partial<TransportLimits> = { dialTimeoutMs: 20, idleMs: 100 };

/** The wires between {@link SimulatedTransport}s. */
export class SimulatedNetwork {
  readonly limits: TransportLimits;
  readonly random: Random;
  readonly #schedule: Schedule;
  readonly #nodes = new Map<NodeId, SimulatedTransport>();
  readonly #links = new Map<string, SimulatedLink>();
  readonly #cuts = new Set<string>();
  readonly #faults = new Map<string, LinkFaults>();
  #defaultFaults: LinkFaults;

  constructor(options: SimulatedNetworkOptions = {}) {
    const prompt = options.mode === "prompt";
    this.random = new Random(options.seed ?? 1);
    this.#schedule = prompt ? new PromptSchedule() : new VirtualSchedule(options.step);
    this.limits = { ...TRANSPORT_LIMITS, ...(prompt ? PROMPT_LIMITS : {}), ...options.limits };
    this.#defaultFaults = {
      lossPercent: 0,
      delayMs: prompt ? 0 : 1,
      jitterMs: 0,
      duplicatePercent: 0,
    };
  }

  /** Virtual in `stepped` mode: give it to whatever is tested with this network. */
  get clock(): Clock {
    return this.#schedule.clock;
  }

  /** A node's transport. The same id may come back after it was closed or crashed. */
  open(
    nodeId: NodeId,
    address: string,
    handlers: TransportHandlers,
    gate?: MemberGate,
  ): SimulatedTransport {
    assert.ok(!this.#nodes.has(nodeId), `${nodeId} is open already`);
    const transport = new SimulatedTransport(this, { nodeId, address, handlers, gate });
    this.#nodes.set(nodeId, transport);
    for (const link of this.linksOf(nodeId)) link.noteHealed();
    return transport;
  }

  /** Ends a node without a goodbye: others notice after `idleMs` or by their own timers. */
  crash(nodeId: NodeId): void {
    this.#nodes.get(nodeId)?.stopAtOnce();
    for (const link of this.linksOf(nodeId)) link.noteCut();
  }

  /** Nothing gets from `from` to `to` any more; the other direction is left as it is. */
  cut(from: NodeId, to: NodeId): void {
    this.#cuts.add(`${from}>${to}`);
    this.#links.get(pairOf(from, to))?.noteCut();
  }

  /** Both directions between any of `left` and any of `right`. */
  partition(left: readonly NodeId[], right: readonly NodeId[]): void {
    for (const one of left) {
      for (const other of right) {
        this.cut(one, other);
        this.cut(other, one);
      }
    }
  }

  /** Takes back one cut, or all of them; what waited goes on. */
  heal(from?: NodeId, to?: NodeId): void {
    if (from !== undefined && to !== undefined) this.#cuts.delete(`${from}>${to}`);
    else this.#cuts.clear();
    for (const link of [...this.#links.values()]) link.noteHealed();
  }

  /** Faults of every direction that has none of its own, or of one direction. */
  shape(faults: Partial<LinkFaults>, direction?: { from: NodeId; to: NodeId }): void {
    if (direction === undefined) this.#defaultFaults = { ...this.#defaultFaults, ...faults };
    else {
      const key = `${direction.from}>${direction.to}`;
      this.#faults.set(key, { ...this.faultsOf(direction.from, direction.to), ...faults });
    }
  }

  /** Lets virtual time pass; everything due by then happens, in order. Awaiting code gets its turns in between. */
  advance(durationMs: number): Promise<void> {
    return this.#schedule.advance(durationMs);
  }

  /** Ends everything without a word; nothing is called afterwards. */
  close(): void {
    for (const node of [...this.#nodes.values()]) node.stopAtOnce();
    this.#schedule.stop();
  }

  // Below: for the transports and links of this network.

  after(delayMs: number, run: () => void): { cancel(): void } {
    return this.#schedule.after(delayMs, run);
  }

  isCut(from: NodeId, to: NodeId): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  faultsOf(from: NodeId, to: NodeId): LinkFaults {
    return this.#faults.get(`${from}>${to}`) ?? this.#defaultFaults;
  }

  /** Milliseconds one packet takes in this direction; draws its jitter. */
  delayOf(from: NodeId, to: NodeId): number {
    const { delayMs, jitterMs } = this.faultsOf(from, to);
    return delayMs + (jitterMs === 0 ? 0 : this.random.below(jitterMs + 1));
  }

  /** The node that listens at `address`, if it is the wanted one. */
  findAt(to: PeerAddress, hints: ReadonlySet<string>): SimulatedTransport | undefined {
    const node = this.#nodes.get(to.nodeId);
    if (node === undefined) return undefined;
    return splitAddresses(to.address).includes(node.address) || hints.has(node.address)
      ? node
      : undefined;
  }

  /** The connection of a pair, dialed where there is none; undefined where there is none and no address. */
  linkFor(from: SimulatedTransport, to: PeerAddress): SimulatedLink | undefined {
    const pair = pairOf(from.nodeId, to.nodeId);
    const existing = this.#links.get(pair);
    if (existing?.has(from)) return existing;
    if (to.nodeId === from.nodeId) return undefined;
    const isSomewhere = to.address !== "" || from.hints.size > 0;
    if (!isSomewhere || from.gate?.dials(to.nodeId) === false) return undefined;
    // A dead life of this node left a connection behind; its peer learns that it was replaced.
    existing?.close("replaced");
    const link = new SimulatedLink(this, from, to);
    this.#links.set(pair, link);
    link.dial();
    return link;
  }

  /** Forgets a connection that ended. */
  forget(link: SimulatedLink): void {
    for (const [pair, known] of this.#links) {
      if (known === link) this.#links.delete(pair);
    }
  }

  forgetNode(node: SimulatedTransport): void {
    if (this.#nodes.get(node.nodeId) === node) this.#nodes.delete(node.nodeId);
  }

  linksOf(nodeId: NodeId): readonly SimulatedLink[] {
    return [...this.#links.values()].filter((link) => link.joins(nodeId));
  }
}

/** One node's transport in a {@link SimulatedNetwork}. */
export class SimulatedTransport implements Transport {
  readonly nodeId: NodeId;
  readonly address: string;
  readonly handlers: TransportHandlers;
  /** Absent: everybody is a member. */
  readonly gate: MemberGate | undefined;
  /** Where any member may be besides. */
  readonly hints = new Set<string>();
  readonly #network: SimulatedNetwork;
  #closed = false;

  constructor(
    network: SimulatedNetwork,
    parts: Pick<SimulatedTransport, "nodeId" | "address" | "handlers" | "gate">,
  ) {
    this.#network = network;
    this.nodeId = parts.nodeId;
    this.address = parts.address;
    this.handlers = parts.handlers;
    this.gate = parts.gate;
  }

  get closed(): boolean {
    return this.#closed;
  }

  sendDatagram(to: PeerAddress, bytes: Uint8Array): void {
    assert.ok(bytes.length <= DATAGRAM_BYTES_MAX, "The datagram is too long");
    if (this.#closed) return;
    const link = this.#network.linkFor(this, to);
    if (link === undefined) return this.reportFailed(to.nodeId, "datagram");
    link.sendDatagram(this, bytes.slice());
  }

  sendFrame(to: PeerAddress, frame: { channel: FrameChannel; bytes: Uint8Array }): void {
    assert.ok(frame.bytes.length <= CHANNEL_FRAME_BYTES_MAX, "The frame is too long");
    if (this.#closed) return;
    const link = this.#network.linkFor(this, to);
    if (link === undefined) return this.reportFailed(to.nodeId, frame.channel);
    link.sendFrame(this, { channel: frame.channel, bytes: frame.bytes.slice() });
  }

  async openStream(to: PeerAddress, signal: AbortSignal): Promise<PeerStream> {
    signal.throwIfAborted();
    const link = this.#closed ? undefined : this.#network.linkFor(this, to);
    if (link === undefined) throw lostPeer(to.nodeId);
    return await link.openStream(this, signal);
  }

  disconnect(peer: NodeId): void {
    for (const link of this.#network.linksOf(this.nodeId)) {
      if (link.joins(peer) && link.has(this)) link.close("said");
    }
  }

  connections(): readonly ConnectionView[] {
    return this.#network.linksOf(this.nodeId)
      .filter((link) => link.has(this) && link.state === "open")
      .map((link) => link.viewOf(this))
      .sort((a, b) => a.peer < b.peer ? -1 : 1);
  }

  close(): Promise<void> {
    if (!this.#closed) {
      const links = this.#network.linksOf(this.nodeId).filter((link) => link.has(this));
      this.stopAtOnce();
      for (const link of links) link.sayGoodbye(this);
    }
    return Promise.resolve();
  }

  /** As a killed process: no goodbye, and nothing is called any more. */
  stopAtOnce(): void {
    this.#closed = true;
    this.#network.forgetNode(this);
  }

  reportFailed(to: NodeId, what: "datagram" | FrameChannel): void {
    this.later(() => this.handlers.onSendFailed(to, what));
  }

  /** In a turn of its own, unless the node has ended by then. */
  later(run: () => void): void {
    this.#network.after(0, () => {
      if (!this.#closed) run();
    });
  }
}

export function lostPeer(peer: NodeId): UnavailableError {
  return new UnavailableError("peer_lost", `Cannot reach node ${peer}: the connection is gone`);
}

function pairOf(one: NodeId, other: NodeId): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`;
}
