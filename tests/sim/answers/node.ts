import type { NodeId } from "../../../src/base/mod.ts";
import { type KnownHolder, PeerBeliefs } from "../../../src/core/answers/mod.ts";
import type { RouteCandidate } from "../../../src/core/scheduler/mod.ts";
import { loadFromView } from "../../../src/slots/cluster_leases.ts";
import type { VirtualTime } from "../raft/virtual_time.ts";
import type { Watch } from "./checkers/mod.ts";
import { LeaseClient } from "./lease_client.ts";
import { LeaseServer } from "./lease_server.ts";
import type { SimulatedNetwork } from "./network.ts";
import { ProcessClock } from "./process_clock.ts";
import { MODEL_KEY, SimulatedSlots, type SlotAnswer, type SlotsOptions } from "./slots.ts";

const FIGURES = {
  ...{ availableBytes: 10, decodeTokensPerMinute: 0, prefillTokensPerMinute: 0 },
  speedOf: () => ({ decodeTokensPerMinute: 0, prefillTokensPerMinute: 0, loadMs: 0 }),
};

/** What a node is told about another one by gossip. */
export interface Rumour {
  health: KnownHolder["health"];
  drained: boolean;
  load: KnownHolder["load"];
  /** When it came. */
  atMs: number;
}

/** What all nodes of a run share. */
export interface NodeParts {
  readonly time: VirtualTime;
  readonly network: SimulatedNetwork;
  readonly watch: Watch;
  readonly node: (index: number) => SimulatedNode;
}

/** One life of one node: the shipped scheduler and beliefs, with the streams between nodes simulated. */
export class SimulatedNode {
  readonly index: number;
  readonly nodeId: NodeId;
  readonly process: ProcessClock;
  readonly slots: SimulatedSlots;
  readonly beliefs = new PeerBeliefs();
  readonly rumours = new Map<number, Rumour>();
  isDrained = false;
  /** Whether the model's blobs are here. */
  readonly isHolder: boolean;
  readonly #parts: NodeParts;
  readonly #clients = new Set<LeaseClient>();
  #servers = new Set<LeaseServer>();
  #served = 0;

  constructor(
    index: number,
    options: SlotsOptions & { readonly isHolder: boolean },
    parts: NodeParts,
  ) {
    this.index = index;
    this.nodeId = nodeIdOf(index);
    this.isHolder = options.isHolder;
    this.#parts = parts;
    this.process = new ProcessClock(parts.time);
    this.slots = new SimulatedSlots(options, { ...parts, clock: this.process });
  }

  /** Streams to and from other nodes that are not over. */
  get openLeases(): number {
    return this.#clients.size + [...this.#servers].filter(({ isFree }) => !isFree).length;
  }

  /** How busy the node is, as it would tell others. */
  get load(): RouteCandidate["load"] {
    return loadFromView(this.slots.scheduler.view(), MODEL_KEY, FIGURES);
  }

  /** Who holds the model, as this node knows. */
  candidates(): readonly RouteCandidate[] {
    const nowMs = this.process.monotonicMs();
    const own: RouteCandidate[] = this.isHolder
      ? [{
        nodeId: this.nodeId,
        name: "",
        isSelf: true,
        health: "alive",
        drained: this.isDrained,
        load: this.load,
        sentSinceReport: 0,
        residentTokens: 0,
      }]
      : [];
    const others = [...this.rumours].map(([index, rumour]) =>
      this.beliefs.candidate({
        nodeId: nodeIdOf(index),
        name: "",
        health: rumour.health,
        drained: rumour.drained,
        load: rumour.load && { ...rumour.load, ageMs: nowMs - rumour.atMs },
      }, nowMs)
    );
    return [...own, ...others];
  }

  /** Asks a node for a slot; call what is returned when nobody wants it any more. */
  acquireAt(
    index: number,
    asked: {
      readonly requestId: string;
      readonly standing: "fresh" | "resumed";
      readonly isReplaceable: boolean;
    },
    done: (answer: SlotAnswer) => void,
  ): () => void {
    if (index === this.index) return this.slots.acquire(asked, done);
    const { network, node, time } = this.#parts;
    const peer = node(index);
    const [near, far] = network.open(this, peer);
    const nodeId = nodeIdOf(index);
    const forget = this.beliefs.noteSent(nodeId, time.nowMs);
    const client: LeaseClient = new LeaseClient(near, {
      peer: index,
      isReplaceable: asked.isReplaceable,
      done: (answer) => {
        if (answer.kind === "granted") this.beliefs.trust(nodeId);
        done(answer);
      },
      onOver: (isExpected) => {
        forget();
        this.#clients.delete(client);
        if (!isExpected) this.beliefs.doubt(nodeId, time.nowMs);
      },
    });
    this.#clients.add(client);
    // The first message opens the stream there.
    far.onMessage = () => peer.#serve(far, { ...asked, asker: this.index });
    near.send({ kind: "beat" });
    return () => client.close();
  }

  /** Gossip suspects a peer. */
  onPeerDoubted(index: number): void {
    for (const client of [...this.#clients]) if (client.peer === index) client.doubt();
  }

  /** Gossip has declared a peer dead. */
  onPeerGone(index: number): void {
    for (const client of [...this.#clients]) if (client.peer === index) client.giveUp();
    for (const server of [...this.#servers]) if (server.asker === index) server.abandon();
  }

  /** The machine loses its power. */
  crash(): void {
    this.process.stop();
    this.slots.destroy();
  }

  #serve(
    end: ConstructorParameters<typeof LeaseServer>[0],
    asked: {
      readonly requestId: string;
      readonly standing: "fresh" | "resumed";
      readonly asker: number;
    },
  ): void {
    this.#servers = new Set([...this.#servers].filter(({ isFree }) => !isFree));
    const requestId = `${asked.asker}/${asked.requestId}/${++this.#served}`;
    this.#servers.add(new LeaseServer(end, { ...asked, requestId, slots: this.slots }));
  }
}

/** A node's id in these runs: by it ties are broken. */
export function nodeIdOf(index: number): NodeId {
  return String(index).padStart(16, "0") as NodeId;
}

export function indexOf(nodeId: NodeId): number {
  return Number(nodeId);
}
