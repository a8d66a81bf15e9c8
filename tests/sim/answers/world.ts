/**
 * Several nodes that answer requests under faults: the shipped machine of answers, search for slots, beliefs, scheduler and
 * liveness watches under virtual time; streams, runners and gossip are simulated. One seed fixes a run.
 *
 * @module
 */
import { Random } from "../../../src/base/mod.ts";
import { VirtualTime } from "../raft/virtual_time.ts";
import { AnswerRequest, type SimulatedRequest } from "./answer_request.ts";
import { Violation, Watch } from "./checkers/mod.ts";
import { EmbedRequest } from "./embed_request.ts";
import { drawFaults, type Fault, FAULT_KINDS, type FaultKind } from "./faults.ts";
import { SimulatedGossip } from "./gossip.ts";
import { SimulatedNetwork } from "./network.ts";
import { indexOf, SimulatedNode } from "./node.ts";
import { drawWish } from "./script.ts";

/** Faults come within so long. Milliseconds. */
const SPAN_MS = 12_000;
/** And this long after the last one everything must have come to rest: a hung runner is noticed after 20 s. */
const REST_MS = 150_000;
/** Steps that a usual run's machines make; faults are spread over so many. */
const STEPS = 160;

/** What a run found. */
export interface AnswersReport {
  readonly violation: string | undefined;
  /** How often each fault struck. */
  readonly struck: Readonly<Record<FaultKind, number>>;
  readonly requests: number;
  readonly steps: number;
  readonly events: number;
}

/** One run; its faults are drawn, or given. */
export function simulateAnswers(seed: number, faults?: readonly Fault[]): AnswersReport {
  return new AnswersWorld(seed, faults).run();
}

class AnswersWorld {
  readonly #random: Random;
  readonly #time = new VirtualTime();
  readonly #network: SimulatedNetwork;
  readonly #watch: Watch;
  readonly #nodes: SimulatedNode[] = [];
  readonly #gossip: SimulatedGossip;
  readonly #requests: SimulatedRequest[] = [];
  readonly #faults: readonly Fault[];
  readonly #struck = Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0])) as Record<
    FaultKind,
    number
  >;
  #steps = 0;
  #isQuiet = false;

  constructor(seed: number, faults?: readonly Fault[]) {
    this.#random = new Random(seed);
    this.#network = new SimulatedNetwork(this.#time, this.#random.fork());
    this.#network.delayMsMax = this.#random.pick([2, 5, 40, 150]) ?? 5;
    this.#watch = new Watch((promise, what) => {
      throw new Violation(`${promise}: ${what}`);
    });
    const count = this.#random.between(2, 5);
    for (let index = 0; index < count; index++) this.#nodes.push(this.#boot(index));
    this.#gossip = new SimulatedGossip(this.#time, this.#network, () => this.#nodes);
    const drawn = drawFaults(this.#random, { nodes: count, steps: STEPS, spanMs: SPAN_MS });
    this.#faults = faults ?? drawn;
  }

  run(): AnswersReport {
    let violation: string | undefined;
    try {
      this.#start();
      this.#time.runUntil(SPAN_MS);
      this.#repair();
      this.#time.runUntil(SPAN_MS + REST_MS);
      this.#checkRest();
    } catch (error) {
      const at = `${Math.round(this.#time.nowMs)} ms`;
      violation = error instanceof Violation
        ? `${error.message} at ${at}`
        : `${error instanceof Error ? error.stack : error} at ${at}`;
    }
    return {
      violation,
      struck: this.#struck,
      requests: this.#requests.length,
      steps: this.#steps,
      events: this.#time.events,
    };
  }

  #boot(index: number): SimulatedNode {
    const { time, network, watch } = {
      time: this.#time,
      network: this.#network,
      watch: this.#watch,
    };
    const options = {
      name: `node ${index}`,
      // Node 0 takes requests in and may hold nothing.
      isHolder: index > 0 || this.#random.chance(1, 2),
      slots: this.#random.between(1, 3),
      queueRequestsMax: this.#random.pick([1, 2, 8]) ?? 8,
      loadMs: this.#random.between(1, 300),
      batchMs: this.#random.between(5, 60),
    };
    return new SimulatedNode(index, options, {
      ...{ time, network, watch },
      node: (other) => this.#node(other),
    });
  }

  #node(index: number): SimulatedNode {
    const node = this.#nodes[index];
    if (node === undefined) throw new Error(`There is no node ${index}`);
    return node;
  }

  #start(): void {
    const random = this.#random;
    for (let count = random.between(2, 8); count > 0; count--) {
      const name = `r${count}`;
      const at = random.chance(2, 3) ? 0 : random.below(this.#nodes.length);
      const isEmbed = random.chance(1, 6);
      const wish = drawWish(random, name);
      this.#time.after(random.below(SPAN_MS / 3), () => {
        const node = this.#node(at);
        if (!node.process.isRunning) return;
        const parts = { watch: this.#watch, onStep: (it: SimulatedRequest) => this.#onStep(it) };
        const request = isEmbed
          ? new EmbedRequest(node, { name, input: count }, parts)
          : new AnswerRequest(node, { name, wish }, parts);
        this.#requests.push(request);
        // A fault may strike at its very first step.
        if (node.process.isStopped) this.#forget(node);
      });
    }
    for (const fault of this.#faults) {
      if (fault.at.kind === "time") {
        this.#time.after(fault.at.ms, () => this.#strike(fault, this.#random.pick(this.#requests)));
      }
    }
  }

  #onStep(request: SimulatedRequest): void {
    const count = this.#steps++;
    if (this.#isQuiet) return;
    for (const fault of this.#faults) {
      if (fault.at.kind === "step" && fault.at.count === count) this.#strike(fault, request);
    }
  }

  #strike(fault: Fault, request: SimulatedRequest | undefined): void {
    const serving = request?.servedBy ?? request?.node.nodeId;
    const index = fault.node ?? (serving === undefined ? 0 : indexOf(serving));
    const node = this.#node(index);
    if (this.#isQuiet || node.process.isStopped) return;
    this.#struck[fault.kind]++;
    const later = (repair: () => void) =>
      this.#time.after(fault.lastsMs, () => {
        if (!this.#isQuiet) repair();
      });
    switch (fault.kind) {
      case "kill_runner":
        // The step that it strikes goes on first, as it would in a process of its own.
        this.#time.after(0, () => this.#random.pick(node.slots.runners)?.kill());
        return;
      case "hang_runner":
        return this.#random.pick(node.slots.runners)?.hang();
      case "crash_node":
        this.#crash(node);
        return later(() => this.#restart(index));
      case "hang_node":
        node.process.hang();
        return later(() => this.#node(index).process.wake());
      case "cut_off":
        for (const { index: other } of this.#nodes) {
          if (other === index) continue;
          this.#network.cut(index, other);
          this.#network.cut(other, index);
        }
        return later(() => this.#network.heal());
      case "cut_one_way":
        this.#network.cut(index, (index + 1) % this.#nodes.length);
        return later(() => this.#network.heal());
      case "slander":
        return this.#gossip.slander(index);
      case "drain":
        node.isDrained = true;
        return later(() => this.#node(index).isDrained = false);
      case "stop_admitting":
        node.slots.stopAdmitting();
        return;
      case "fail_load":
        node.slots.failingLoads++;
        return;
      case "client_leaves": {
        const how = this.#random.pick(["aborts", "reads_no_more"] as const) ?? "aborts";
        this.#time.after(0, () => request?.node.process.whenAwake(() => request.leave(how)));
      }
    }
  }

  #crash(node: SimulatedNode): void {
    this.#forget(node);
    node.crash();
  }

  /** The clients of a node that is gone know it. */
  #forget(node: SimulatedNode): void {
    for (const request of this.#requests) {
      if (request.node !== node || request.isOver) continue;
      this.#watch.ends.gone(request.name);
      this.#watch.slots.gone(request.name);
    }
  }

  #restart(index: number): void {
    if (this.#node(index).process.isStopped) this.#nodes[index] = this.#boot(index);
  }

  /** The faults are over. */
  #repair(): void {
    this.#isQuiet = true;
    this.#network.heal();
    for (const { index, process } of this.#nodes) {
      process.wake();
      this.#restart(index);
    }
    for (const node of this.#nodes) {
      node.isDrained = false;
      node.slots.failingLoads = 0;
    }
  }

  #checkRest(): void {
    this.#watch.ends.atRest();
    for (const node of this.#nodes) {
      this.#watch.slots.atRest(`node ${node.index}`, node.slots.scheduler.view());
      if (node.openLeases > 0) {
        throw new Violation(`no_slot_double_booked: node ${node.index} keeps a lease for nobody`);
      }
    }
  }
}
