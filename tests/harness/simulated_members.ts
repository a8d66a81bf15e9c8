/**
 * Nodes that do nothing but watch each other, over a simulated network and its virtual clock: the shipped driver, with
 * an identity that is kept over restarts.
 *
 * @module
 */
import { type Incarnation, type NodeId, Random } from "../../src/base/mod.ts";
import { MEMBERSHIP_PRESETS } from "../../src/core/membership/mod.ts";
import {
  type MembershipDriver,
  type MembershipFailure,
  openMembership,
  type SavedIdentity,
} from "../../src/members/membership_driver.ts";
import type { Clock, Log, Metrics, Transport, TransportHandlers } from "../../src/ports/mod.ts";
import { SimulatedNetwork } from "./simulated_transport.ts";

const SILENT_LOG: Log = { log: () => {} };

/** Metrics that only count increments, under the name and the values of the labels. */
function countInto(counts: Map<string, number>): Metrics {
  return {
    increment: (name, labels = {}, by = 1) => {
      const key = [name, ...Object.values(labels)].join(" ");
      counts.set(key, (counts.get(key) ?? 0) + by);
    },
    set: () => {},
    observe: () => {},
    render: () => Promise.resolve({ contentType: "text/plain", text: "" }),
  };
}

/** One node: what is kept over restarts, and its running life. */
export interface SimulatedMember {
  readonly nodeId: NodeId;
  readonly address: string;
  /** The last stamp that was saved. */
  identity: SavedIdentity;
  driver: MembershipDriver;
  transport: Transport;
  /** What the node was told to stop for. */
  failures: MembershipFailure[];
  /** Replaceable, to make saving slow or fail. */
  save: (identity: SavedIdentity) => Promise<void>;
  /** By name and values of the labels, over all lives. */
  readonly counts: Map<string, number>;
}

/** A cluster of them; nothing moves but by {@link SimulatedMembers.advance}. */
export class SimulatedMembers {
  readonly network: SimulatedNetwork;
  readonly members: SimulatedMember[] = [];
  readonly #random: Random;

  constructor(
    count: number,
    options: { readonly seed?: number; readonly save?: SimulatedMember["save"] } = {},
  ) {
    const { seed = 1, save = () => Promise.resolve() } = options;
    this.network = new SimulatedNetwork({ seed });
    this.#random = new Random(seed);
    for (let index = 0; index < count; index++) this.#add(index, save);
  }

  get(index: number): SimulatedMember {
    const member = this.members[index];
    if (member === undefined) throw new Error(`no node ${index}`);
    return member;
  }

  /** What one node thinks of another. */
  standing(observer: number, subject: number): string | undefined {
    return this.get(observer).driver.find(this.get(subject).nodeId)?.standing;
  }

  join(index: number, seed: number): void {
    const { nodeId, address } = this.get(seed);
    this.get(index).driver.join([{ nodeId, address }]);
  }

  advance(durationMs: number): Promise<void> {
    return this.network.advance(durationMs);
  }

  /** Advances until a condition holds; returns the milliseconds that took. */
  async until(limitMs: number, holds: () => boolean): Promise<number> {
    for (let spentMs = 0; spentMs <= limitMs; spentMs += 5) {
      if (holds()) return spentMs;
      await this.advance(5);
    }
    throw new Error(`does not hold after ${limitMs} ms`);
  }

  /** As kill -9. */
  crash(index: number): void {
    const { driver, nodeId } = this.get(index);
    driver.close();
    this.network.crash(nodeId);
  }

  /** Starts a crashed node again, with what it had saved. */
  restart(index: number): void {
    const member = this.get(index);
    const { bootEpoch, incarnation } = member.identity;
    member.identity = { bootEpoch: bootEpoch + 1, incarnation };
    this.#start(member);
  }

  close(): void {
    for (const { driver } of this.members) driver.close();
    this.network.close();
  }

  #add(index: number, save: SimulatedMember["save"]): void {
    const nodeId = (index + 1).toString(16).padStart(2, "0").repeat(8) as NodeId;
    const address = `10.0.0.${index + 1}:11435`;
    const member = {
      nodeId,
      address,
      identity: { bootEpoch: 1, incarnation: 0 as Incarnation },
      failures: [],
      save,
      counts: new Map<string, number>(),
    };
    this.members.push(this.#start(member));
  }

  #start(
    member: Omit<SimulatedMember, "driver" | "transport"> & Partial<SimulatedMember>,
  ): SimulatedMember {
    const { nodeId, address, identity } = member;
    const running = Object.assign(member, {
      transport: this.network.open(nodeId, address, handlersOf(() => running.driver)),
    }) as SimulatedMember;
    running.driver = openMembership({
      nodeId,
      address,
      ...identity,
      timing: MEMBERSHIP_PRESETS.lan,
      transport: running.transport,
      clock: this.network.clock satisfies Clock,
      random: this.#random.fork(),
      log: SILENT_LOG,
      metrics: countInto(running.counts),
      saveIdentity: async (wanted) => {
        await running.save(wanted);
        running.identity = wanted;
      },
      onFailed: (failure) => void running.failures.push(failure),
    });
    return running;
  }
}

/** What a node hands from its transport to its membership. */
function handlersOf(driver: () => MembershipDriver): TransportHandlers {
  return {
    onDatagram: (from, bytes) => driver().receiveDatagram(from, bytes),
    onFrame: (from, channel, bytes) => {
      if (channel === "membership") driver().receiveFrame(from, bytes);
    },
    onStream: (stream) => stream.reset(),
    onSendFailed: (to, what) => driver().sendFailed(to, what),
    onConnectionLost: (peer) => driver().connectionLost(peer),
  };
}
