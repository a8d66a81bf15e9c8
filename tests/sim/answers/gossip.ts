import type { VirtualTime } from "../raft/virtual_time.ts";
import type { SimulatedNetwork } from "./network.ts";
import type { SimulatedNode } from "./node.ts";

/** How often nodes hear of each other. Milliseconds. */
const TICK_MS = 200;
/** A node that can't be heard is suspected after so long, and then declared dead. Milliseconds. */
const SUSPECT_MS = 1_200;
const DOWN_MS = 4_000;

/** What membership would tell: who holds the model, how busy it is, and who can't be heard for how long. */
export class SimulatedGossip {
  readonly #time: VirtualTime;
  readonly #network: SimulatedNetwork;
  readonly #nodes: () => readonly SimulatedNode[];
  readonly #unheardSinceMs = new Map<string, number>();
  /** Nodes that are suspected though they are well, until a time. */
  readonly #slandered = new Map<number, number>();

  constructor(
    time: VirtualTime,
    network: SimulatedNetwork,
    nodes: () => readonly SimulatedNode[],
  ) {
    this.#time = time;
    this.#network = network;
    this.#nodes = nodes;
    this.#tick();
  }

  /** Everybody suspects a node for a while. */
  slander(index: number): void {
    this.#slandered.set(index, this.#time.nowMs + 1_000);
  }

  #tick(): void {
    for (const observer of this.#nodes()) {
      if (!observer.process.isRunning) continue;
      for (const subject of this.#nodes()) {
        if (subject.index !== observer.index && subject.isHolder) this.#look(observer, subject);
      }
    }
    this.#time.after(TICK_MS, () => this.#tick());
  }

  #look(observer: SimulatedNode, subject: SimulatedNode): void {
    const { index } = subject;
    const isHeard = subject.process.isRunning && !this.#network.isCut(index, observer.index) &&
      !this.#network.isCut(observer.index, index);
    const known = observer.rumours.get(index);
    const health = this.#health(`${observer.index}>${index}`, isHeard, index);
    const { isDrained: drained, load } = subject;
    const rumour = isHeard || known === undefined
      ? { health, drained, load, atMs: this.#time.nowMs }
      : { ...known, health };
    observer.rumours.set(index, rumour);
    if (health === known?.health) return;
    if (health === "suspect") observer.onPeerDoubted(index);
    if (health === "down") observer.onPeerGone(index);
  }

  #health(pair: string, isHeard: boolean, index: number): "alive" | "suspect" | "down" {
    const nowMs = this.#time.nowMs;
    if (isHeard) {
      this.#unheardSinceMs.delete(pair);
      return (this.#slandered.get(index) ?? 0) > nowMs ? "suspect" : "alive";
    }
    const since = this.#unheardSinceMs.get(pair) ?? nowMs;
    this.#unheardSinceMs.set(pair, since);
    const silentMs = nowMs - since;
    return silentMs >= DOWN_MS ? "down" : silentMs >= SUSPECT_MS ? "suspect" : "alive";
  }
}
