/**
 * A cluster of the shipped `Membership` under virtual time: lossy links, partitions, crashes, restarts and nodes whose
 * process stalls because something else has the CPU. One seed fixes a run.
 *
 * @module
 */
import { type Incarnation, type NodeId, Random } from "../../src/base/mod.ts";
import {
  Membership,
  type MembershipEffect,
  type MembershipEvent,
  type MembershipTiming,
} from "../../src/core/membership/mod.ts";
import {
  encodeSync,
  type LifeStamp,
  type MemberStanding,
  type SyncRow,
} from "../../src/protocol/mod.ts";
import { encodeDatagram } from "../harness/datagrams.ts";

/** Conditions of a run. */
export interface WorldOptions {
  readonly seed: number;
  readonly nodeCount: number;
  readonly timing: MembershipTiming;
  /** Datagrams lost, per cent. Streams are not: QUIC sends them again. */
  readonly lossPercent?: number;
  /** Nodes 0..starvedCount-1 share their CPU with something greedy. */
  readonly starvedCount?: number;
  /** One-way delay, uniform up to this many milliseconds. */
  readonly delayMsMax?: number;
  /** Nodes know each other from the start; otherwise they join through node 0. */
  readonly acquainted?: boolean;
}

/** A starved node runs for an exponential span of this mean, then stalls for one of the other, cut at the maximum. */
export const STARVATION = { runMsMean: 100, stallMsMean: 250, stallMsMax: 1_000 } as const;

/** One process. */
export interface WorldNode {
  readonly index: number;
  readonly nodeId: NodeId;
  membership: Membership;
  bootEpoch: number;
  /** What persist_identity wrote last. */
  persisted: { bootEpoch: number; incarnation: Incarnation };
  up: boolean;
  starved: boolean;
  stalled: boolean;
  inbox: MembershipEvent[];
  wakeToken: number;
  wakeMissed: boolean;
  left: boolean;
  conflicted: boolean;
}

/** A change of mind of one node about another. */
export interface Change {
  readonly atMs: number;
  readonly observer: number;
  readonly subject: NodeId;
  readonly standing: MemberStanding | undefined;
}

/** What a node says about itself and others, for its log. */
export type MembershipNote = Extract<MembershipEffect, { readonly kind: "note" }>;

interface Pending {
  readonly node: number;
  readonly life: number;
  readonly kind: "wake" | "deliver" | "stall" | "run";
  readonly event: MembershipEvent | undefined;
  readonly token: number;
}

/** Longest span anything is scheduled ahead. */
const HORIZON_MS = 1 << 19;
/** Messages that wait for a stalled process; more are lost, as in a socket's buffer. */
const INBOX_MAX = 2_048;

export class MembershipWorld {
  readonly nodes: WorldNode[] = [];
  readonly changes: Change[] = [];
  readonly timing: MembershipTiming;
  nowMs = 0;
  datagrams = 0;
  datagramBytes = 0;
  streams = 0;
  streamBytes = 0;
  events = 0;
  /** Rolling hash of every effect; equal for equal seeds. */
  traceHash = 0;
  /** Keeps memory flat in long runs; changes of other kinds are only counted. */
  onChange: (change: Change) => void = (change) => this.changes.push(change);
  /** Sees every message sent, for corpora. */
  onSent: (kind: "datagram" | "stream", bytes: Uint8Array) => void = () => {};
  /** Sees what a node notes, for its log. */
  onNote: (node: number, note: MembershipNote) => void = () => {};
  /** True where a message from one index to another is cut. */
  cut: (from: number, to: number) => boolean = () => false;
  readonly #options: WorldOptions;
  readonly #random: Random;
  readonly #byId = new Map<NodeId, WorldNode>();
  readonly #slots: (Pending[] | undefined)[] = new Array(HORIZON_MS);

  constructor(options: WorldOptions) {
    this.#options = options;
    this.timing = options.timing;
    this.#random = new Random(options.seed);
    for (let index = 0; index < options.nodeCount; index++) this.#addNode(index);
    if (options.acquainted !== false) this.#acquaint();
  }

  /** Lets virtual time pass. */
  advance(spanMs: number): void {
    const endMs = this.nowMs + spanMs;
    for (; this.nowMs < endMs; this.nowMs++) {
      const slot = this.nowMs % HORIZON_MS;
      const due = this.#slots[slot];
      if (due === undefined) continue;
      // Zero-delay messages land in the slot that is being read.
      for (let index = 0; index < due.length; index++) {
        const pending = due[index];
        if (pending !== undefined) this.#dispatch(pending);
      }
      this.#slots[slot] = undefined;
    }
  }

  /** Advances until a condition holds; false when it did not within the span. */
  until(spanMs: number, holds: () => boolean): boolean {
    const endMs = this.nowMs + spanMs;
    while (this.nowMs < endMs) {
      if (holds()) return true;
      this.advance(10);
    }
    return holds();
  }

  node(index: number): WorldNode {
    const node = this.nodes[index];
    if (node === undefined) throw new Error(`no node ${index}`);
    return node;
  }

  /** Hands a fact to a node now. */
  tell(index: number, event: Tellable): void {
    this.#step(this.node(index), { ...event, nowMs: this.nowMs });
  }

  join(index: number, seed: number): void {
    const { nodeId } = this.node(seed);
    this.tell(index, { kind: "join_requested", seeds: [{ nodeId, address: addressOf(seed) }] });
  }

  /** Hands a node a datagram of another with one claim of life in it, wherever that came from. */
  rumor(to: number, from: number, about: LifeStamp & { readonly nodeId: NodeId }): void {
    const { nodeId, bootEpoch, incarnation } = about;
    const address = addressOf(this.indexOf(nodeId));
    const claim = { nodeId, bootEpoch, incarnation, standing: "alive", address } as const;
    const bytes = encodeDatagram({
      source: this.node(from).persisted,
      body: { kind: "gossip" },
      piggyback: { accusation: undefined, claims: [{ ...claim, accuser: undefined }], values: [] },
    });
    this.tell(to, { kind: "datagram_received", from: this.node(from).nodeId, bytes });
  }

  crash(index: number): void {
    const node = this.node(index);
    node.up = false;
    node.inbox = [];
  }

  /** Starts the process again; `amnesia` = the persisted identity was lost or set back with its disk. */
  restart(index: number, options: { amnesia?: boolean } = {}): void {
    const node = this.node(index);
    node.bootEpoch = options.amnesia === true ? 1 : node.persisted.bootEpoch + 1;
    const incarnation = options.amnesia === true ? 0 as Incarnation : node.persisted.incarnation;
    node.up = true;
    node.stalled = false;
    node.left = false;
    node.membership = this.#makeMembership(node, incarnation);
    this.#step(node, { kind: "started", nowMs: this.nowMs });
  }

  /** Stops a process for a while, as SIGSTOP or a laptop lid would. */
  pause(index: number, spanMs: number): void {
    const node = this.node(index);
    node.stalled = true;
    this.#schedule(spanMs, node, "run", undefined, 0);
  }

  standing(observer: number, subject: number): MemberStanding | undefined {
    return this.node(observer).membership.find(this.node(subject).nodeId)?.standing;
  }

  /** All running nodes hold each other alive. */
  converged(): boolean {
    const up = this.nodes.filter((node) => node.up && !node.left);
    return up.every((observer) =>
      up.every((subject) =>
        observer === subject ||
        observer.membership.find(subject.nodeId)?.standing === "alive"
      )
    );
  }

  indexOf(nodeId: NodeId): number {
    return this.#byId.get(nodeId)?.index ?? -1;
  }

  #addNode(index: number): void {
    const nodeId = nodeIdOf(index);
    const incarnation = 0 as Incarnation;
    const { starvedCount = 0, timing } = this.#options;
    const bootEpoch = 1;
    const random = this.#random.fork();
    const options = { nodeId, address: addressOf(index), bootEpoch, incarnation, timing };
    const node: WorldNode = {
      index,
      nodeId,
      membership: new Membership(options, random),
      bootEpoch,
      persisted: { bootEpoch, incarnation },
      up: true,
      starved: index < starvedCount,
      stalled: false,
      inbox: [],
      wakeToken: -1,
      wakeMissed: false,
      left: false,
      conflicted: false,
    };
    this.nodes.push(node);
    this.#byId.set(nodeId, node);
    this.#step(node, { kind: "started", nowMs: this.nowMs });
    if (node.starved) this.#schedule(this.#exponential(STARVATION.runMsMean), node, "stall");
  }

  #makeMembership(node: WorldNode, incarnation: Incarnation): Membership {
    const { nodeId, bootEpoch } = node;
    const { timing } = this.#options;
    return new Membership(
      { nodeId, address: addressOf(node.index), bootEpoch, incarnation, timing },
      this.#random.fork(),
    );
  }

  /** One list for all, as if they had been running for long: joins of 1,000 are not what most runs are about. */
  #acquaint(): void {
    const rows: SyncRow[] = this.nodes.map((node) => ({
      claim: {
        nodeId: node.nodeId,
        standing: "alive",
        bootEpoch: 1,
        incarnation: 0 as Incarnation,
        address: addressOf(node.index),
        accuser: undefined,
      },
      goneSeconds: 0,
      valueVersion: 0,
      collectedVersion: 0,
    }));
    const source = { bootEpoch: 1, incarnation: 0 as Incarnation };
    const bytes = encodeSync({
      source,
      body: { kind: "sync_update", rows, deltas: [], wants: [] },
    });
    for (const node of this.nodes) {
      const from = this.node((node.index + 1) % this.nodes.length).nodeId;
      if (from !== node.nodeId) {
        this.#step(node, { kind: "stream_received", from, bytes, nowMs: 0 });
      }
    }
  }

  #dispatch(pending: Pending): void {
    const node = this.nodes[pending.node];
    if (node === undefined || !node.up || pending.life !== node.bootEpoch) return;
    switch (pending.kind) {
      case "stall":
        node.stalled = true;
        return this.#schedule(this.#stallMs(), node, "run");
      case "run":
        return this.#resume(node);
      case "wake":
        if (pending.token !== node.wakeToken) return;
        if (node.stalled) node.wakeMissed = true;
        else this.#step(node, { kind: "woke", token: pending.token, nowMs: this.nowMs });
        return;
      case "deliver":
        if (pending.event === undefined) return;
        if (!node.stalled) return this.#step(node, { ...pending.event, nowMs: this.nowMs });
        if (node.inbox.length < INBOX_MAX) node.inbox.push(pending.event);
    }
  }

  /** The process runs again. Timers come before sockets, as in an event loop: the order that hurts most. */
  #resume(node: WorldNode): void {
    node.stalled = false;
    if (node.wakeMissed) {
      node.wakeMissed = false;
      this.#step(node, { kind: "woke", token: node.wakeToken, nowMs: this.nowMs });
    }
    const inbox = node.inbox;
    node.inbox = [];
    for (const event of inbox) this.#step(node, { ...event, nowMs: this.nowMs });
    if (node.starved) this.#schedule(this.#exponential(STARVATION.runMsMean), node, "stall");
  }

  #stallMs(): number {
    return Math.min(STARVATION.stallMsMax, this.#exponential(STARVATION.stallMsMean));
  }

  #exponential(mean: number): number {
    const uniform = (this.#random.uint32() + 1) / 0x1_0000_0000;
    return Math.max(1, Math.round(-mean * Math.log(uniform)));
  }

  #step(node: WorldNode, event: MembershipEvent): void {
    this.events++;
    for (const effect of node.membership.step(event)) this.#carryOut(node, effect);
  }

  #carryOut(node: WorldNode, effect: MembershipEffect): void {
    switch (effect.kind) {
      case "wake_at":
        node.wakeToken = effect.token;
        return this.#schedule(
          Math.max(0, effect.atMs - this.nowMs),
          node,
          "wake",
          undefined,
          effect.token,
        );
      case "send_datagram":
        this.datagrams++;
        this.onSent("datagram", effect.bytes);
        this.datagramBytes += effect.bytes.length;
        this.#hash(effect.bytes.length * 31 + node.index);
        if (this.#random.below(100) < (this.#options.lossPercent ?? 0)) return;
        return this.#deliver(node, effect.nodeId, "datagram_received", effect.bytes);
      case "send_stream":
        this.streams++;
        this.streamBytes += effect.bytes.length;
        this.onSent("stream", effect.bytes);
        this.#hash(effect.bytes.length * 37 + node.index);
        return this.#deliver(node, effect.nodeId, "stream_received", effect.bytes);
      case "member_changed": {
        const { nodeId: subject, member } = effect;
        const change = { atMs: this.nowMs, observer: node.index, subject };
        this.#hash(this.nowMs + this.indexOf(subject) * 41);
        return this.onChange({ ...change, standing: member?.standing });
      }
      case "persist_identity":
        node.persisted = { bootEpoch: effect.bootEpoch, incarnation: effect.incarnation };
        return;
      case "note":
        return this.onNote(node.index, effect);
      case "leave_completed":
        node.left = true;
        return;
      case "identity_conflicted":
        node.conflicted = true;
        return;
      default:
        return;
    }
  }

  #deliver(
    from: WorldNode,
    toId: NodeId,
    kind: "datagram_received" | "stream_received",
    bytes: Uint8Array,
  ): void {
    const to = this.#byId.get(toId);
    if (to === undefined || !to.up || this.cut(from.index, to.index)) return;
    const delayMs = this.#random.below((this.#options.delayMsMax ?? 2) + 1);
    const event = { kind, from: from.nodeId, bytes, nowMs: 0 } as const;
    this.#schedule(delayMs, to, "deliver", event, 0);
  }

  #schedule(
    delayMs: number,
    node: WorldNode,
    kind: Pending["kind"],
    event?: MembershipEvent,
    token = 0,
  ): void {
    const delay = Math.min(Math.ceil(delayMs), HORIZON_MS - 1);
    const slot = (this.nowMs + delay) % HORIZON_MS;
    const pending = { node: node.index, life: node.bootEpoch, kind, event, token };
    const list = this.#slots[slot];
    if (list === undefined) this.#slots[slot] = [pending];
    else list.push(pending);
  }

  #hash(value: number): void {
    this.traceHash = Math.imul(this.traceHash ^ value, 0x01000193) >>> 0;
  }
}

type Tellable = MembershipEvent extends infer Event
  ? Event extends { readonly nowMs: number } ? Omit<Event, "nowMs"> : never
  : never;

/** Ids that differ in every digit, as hashes would. */
export function nodeIdOf(index: number): NodeId {
  const high = Math.imul(index + 1, 0x9e3779b1) >>> 0;
  return (high.toString(16).padStart(8, "0") + index.toString(16).padStart(8, "0")) as NodeId;
}

function addressOf(index: number): string {
  return `10.0.${index >> 8}.${index & 255}:11435`;
}
