import { type NodeId, Random } from "../../../src/base/mod.ts";
import type { GroupStep, RaftMessage } from "../../../src/protocol/mod.ts";
import { checkLinearizable } from "../checkers/linearizability.ts";
import { Client, REGISTER } from "./clients.ts";
import { type Fault, type FaultKind, planFaults } from "./faults.ts";
import { Invariants, Violation } from "./invariants.ts";
import { Network } from "./network.ts";
import { Replica, type ReplicaHooks } from "./replica.ts";
import { Trace } from "./trace.ts";
import { VirtualTime } from "./virtual_time.ts";

/** One run. */
export interface SimulationOptions {
  readonly seed: number;
  /** Voters at the start: 3, 5 or 7. */
  readonly nodeCount: number;
  /** Virtual milliseconds with faults, before the liveness phase. */
  readonly spanMs: number;
  /** Replaces the seed's own plan: a shrunk one. */
  readonly faults?: readonly Fault[];
  readonly keepsLines?: boolean;
}

/** What a run came to. */
export interface SimulationReport {
  readonly seed: number;
  readonly violation: string | undefined;
  readonly traceHash: string;
  readonly trace: readonly string[];
  readonly faults: readonly Fault[];
  readonly virtualMs: number;
  readonly events: number;
  readonly messages: number;
  readonly elections: number;
  readonly committed: number;
  readonly crashes: number;
  readonly membershipChanges: number;
  readonly snapshotsInstalled: number;
  readonly operations: number;
}

/** Nodes that can be let in besides the first ones. */
const SPARE_NODES = 2;
const CLIENTS = 3;
/** How long the group has to agree again once all faults are gone. */
const LIVENESS_MS = 40_000;
/** Bytes of an append and appends on the way: small ones, so that the limits are met. */
const SMALL_LIMITS = [{ messageBytesMax: 200, inflightMessagesMax: 2, inflightBytesMax: 400 }, {}];

/** What a seed runs when nobody says otherwise: 3, 5 or 7 voters, 60 virtual seconds of faults. */
export function optionsOfSeed(seed: number): SimulationOptions {
  return { seed, nodeCount: 3 + 2 * (seed % 3), spanMs: 60_000 };
}

/** Runs one seed to its end; a violation is a value, not an exception. */
export function simulate(options: SimulationOptions): SimulationReport {
  return new Simulation(options).run();
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #time = new VirtualTime();
  readonly #random: Random;
  readonly #network: Network;
  readonly #replicas: Replica[] = [];
  readonly #byId = new Map<NodeId, Replica>();
  readonly #clients: Client[] = [];
  readonly #invariants: Invariants;
  readonly #trace: Trace;
  readonly #faults: readonly Fault[];
  #membershipChanges = 0;
  #snapshotsInstalled = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    const seeds = new Random(options.seed);
    // A stream of its own for each part: one more draw here must not change what happens there.
    const planRandom = seeds.fork();
    this.#random = seeds.fork();
    const { nodeCount, spanMs } = options;
    this.#trace = new Trace({ keepsLines: options.keepsLines === true });
    const total = nodeCount + SPARE_NODES;
    this.#network = new Network({ time: this.#time, random: seeds.fork(), nodeCount: total });
    this.#invariants = new Invariants(this.#replicas);
    this.#addReplicas(seeds);
    this.#faults = options.faults ?? planFaults(planRandom, { spanMs, nodeCount });
    const world = { time: this.#time, replicas: this.#replicas };
    for (let id = 0; id < CLIENTS; id++) {
      this.#clients.push(new Client({ ...world, random: seeds.fork() }, id));
    }
  }

  run(): SimulationReport {
    let violation: string | undefined;
    try {
      for (const fault of this.#faults) this.#schedule(fault);
      this.#time.runUntil(this.#options.spanMs);
      this.#checkLiveness();
      this.#checkHistory();
    } catch (error) {
      // A broken assertion of the core is a finding like any other.
      violation = error instanceof Violation
        ? error.message
        : `${error instanceof Error ? error.stack : error}`;
    }
    return this.#report(violation);
  }

  #addReplicas(seeds: Random): void {
    const { nodeCount } = this.#options;
    const ids = Array.from(
      { length: nodeCount + SPARE_NODES },
      (_, index) => `n${index + 1}` as NodeId,
    );
    const configuration = {
      voters: ids.slice(0, nodeCount),
      votersOutgoing: [],
      learners: [],
      learnersNext: [],
      autoLeave: false,
    };
    const options = {
      asyncStorageWrites: this.#random.chance(7, 10),
      ...this.#random.pick(SMALL_LIMITS),
    };
    for (const [index, id] of ids.entries()) {
      const replica = new Replica({
        index,
        id,
        time: this.#time,
        random: seeds.fork(),
        hooks: this.#hooks(),
        options,
        configuration: index < nodeCount ? configuration : undefined,
      });
      this.#replicas.push(replica);
      this.#byId.set(id, replica);
    }
  }

  #hooks(): ReplicaHooks {
    return {
      send: (message: RaftMessage) => this.#send(message),
      stepped: (replica: Replica) => this.#invariants.checkStep(replica),
      applied: (...[replica, entry, outcome]: Parameters<ReplicaHooks["applied"]>) => {
        this.#invariants.checkApplied(replica, entry);
        this.#trace.add(
          [3, replica.index, entry.index, entry.term, replica.machine.hash],
          () => this.#line(replica, `applies ${entry.kind} ${entry.term}/${entry.index}`),
        );
        if (entry.kind === "group_change" && replica.machine.index === entry.index) {
          this.#membershipChanges++;
        }
        if (outcome !== undefined) {
          this.#clients[outcome.command.client]?.onApplied(outcome.command.serial, outcome.result);
        }
      },
      readable: (replica: Replica, context: string) => {
        this.#clients.find((client) => client.owns(context))?.onReadable(replica, context);
      },
      snapshotInstalled: (replica: Replica) => {
        this.#snapshotsInstalled++;
        this.#invariants.checkRestored(replica);
      },
    };
  }

  #send(message: RaftMessage): void {
    const from = this.#byId.get(message.from);
    const to = this.#byId.get(message.to);
    if (from === undefined || to === undefined) return;
    const term = "term" in message ? message.term : 0;
    this.#network.send({ from: from.index, to: to.index }, () => {
      this.#trace.add(
        [1, from.index, to.index, message.kind.length, term],
        () => this.#line(to, `receives ${message.kind} of ${from.id}: ${JSON.stringify(message)}`),
      );
      to.receive(message);
    });
    // Someone has to tell the leader what became of a snapshot; a real transport knows.
    if (message.kind !== "snapshot_request") return;
    this.#time.after(
      500,
      () => from.handle(() => from.raft.reportSnapshot(message.to, to.up ? "delivered" : "failed")),
    );
  }

  #schedule(fault: Fault): void {
    this.#time.after(fault.atMs, () => {
      this.#trace.add(
        [2, fault.node, fault.other, fault.amount],
        () => `${this.#time.nowMs} FAULT ${JSON.stringify(fault)}`,
      );
      const undo = this.#inject(fault);
      if (undo !== undefined) {
        this.#time.after(Math.min(fault.spanMs, this.#options.spanMs - fault.atMs), undo);
      }
    });
  }

  /** Starts a fault; returns what ends it. */
  #inject(fault: Fault): (() => void) | undefined {
    const replica = this.#replicas[fault.node];
    if (replica === undefined) return undefined;
    switch (fault.kind) {
      case "loss":
        return this.#disturbAll({ lossPerMille: fault.amount });
      case "duplicate":
        return this.#disturbAll({ duplicatePerMille: fault.amount });
      case "slow_link":
        return this.#disturbLink({ from: fault.node, to: fault.other }, { slowMs: fault.amount });
      case "one_way_cut":
        return this.#disturbLink({ from: fault.node, to: fault.other }, { cuts: 1 });
      case "partition":
        return this.#partition(fault.side);
      default:
        return this.#injectIntoNode(fault, replica);
    }
  }

  #injectIntoNode(fault: Fault, replica: Replica): (() => void) | undefined {
    switch (fault.kind) {
      case "crash":
        // At one of its next effects, wherever that is; at the latest when the fault ends, so that it ends.
        replica.effectsUntilCrash = Math.max(1, fault.amount);
        return () => {
          replica.crash();
          replica.restart();
        };
      case "pause":
        replica.pause();
        return () => replica.resume();
      case "clock_skew":
        return change(replica, "clockPercent", fault.amount - replica.clockPercent);
      case "slow_disk":
        return change(replica, "diskSlowMs", fault.amount);
      case "starved_cpu":
        return change(replica, "cpuSlowMs", fault.amount);
      case "membership":
        this.#changeMembership(fault);
        return undefined;
      case "transfer":
        this.#leader()?.handle(() => this.#leader()?.raft.transferLeadership(replica.id));
        return undefined;
      default:
        throw new Error(`unknown fault ${fault.kind satisfies FaultKind}`);
    }
  }

  #disturbAll(trouble: { lossPerMille?: number; duplicatePerMille?: number }): () => void {
    const undos = this.#links(() => true).map((link) => this.#disturbLink(link, trouble));
    return () => undos.forEach((undo) => undo());
  }

  #partition(side: number): () => void {
    const isInside = (index: number) => ((side >> index) & 1) === 1;
    const cut = this.#links(({ from, to }) => isInside(from) !== isInside(to));
    const undos = cut.map((link) => this.#disturbLink(link, { cuts: 1 }));
    return () => undos.forEach((undo) => undo());
  }

  #disturbLink(
    link: { readonly from: number; readonly to: number },
    trouble: { cuts?: number; lossPerMille?: number; duplicatePerMille?: number; slowMs?: number },
  ): () => void {
    if (link.from === link.to) return () => {};
    this.#network.disturb(link, trouble);
    const undo = Object.fromEntries(Object.entries(trouble).map(([key, value]) => [key, -value]));
    return () => this.#network.disturb(link, undo);
  }

  #links(matches: (link: { from: number; to: number }) => boolean): { from: number; to: number }[] {
    const indexes = this.#replicas.map(({ index }) => index);
    return indexes.flatMap((from) => indexes.map((to) => ({ from, to }))).filter(matches);
  }

  /** Asks the leader for a change that leaves at least three voters. */
  #changeMembership(fault: Fault): void {
    const leader = this.#leader();
    if (leader === undefined) return;
    const { voters, learners } = leader.raft.view().configuration;
    const random = new Random(fault.amount);
    const outside = this.#replicas.map(({ id }) => id).filter((id) => !voters.includes(id));
    const joining = random.pick(outside);
    const leaving = random.pick(voters);
    const steps: GroupStep[] = [];
    if (joining !== undefined && random.chance(3, 4)) {
      const action = learners.includes(joining) || random.chance(1, 2)
        ? "add_voter"
        : "add_learner";
      steps.push({ action, node: joining } as const);
    }
    if (leaving !== undefined && voters.length > 3 && random.chance(1, 2)) {
      steps.push({ action: "remove", node: leaving } as const);
    }
    if (steps.length === 0) return;
    leader.handle(() =>
      leader.raft.proposeChange({
        transition: "auto",
        steps,
        context: new Uint8Array(),
        form: "batch",
      })
    );
  }

  #leader(): Replica | undefined {
    const leaders = this.#replicas.filter((replica) =>
      replica.running && replica.raft.view().role === "leader"
    );
    return leaders.sort((a, b) => b.raft.view().term - a.raft.view().term)[0];
  }

  /** Without faults the group must elect, agree, and serve each client again. */
  #checkLiveness(): void {
    const before = this.#clients.map(({ finished }) => finished);
    const served = () =>
      this.#clients.every(({ finished }, index) => finished > (before[index] ?? 0) + 2);
    this.#time.runUntil(this.#time.nowMs + LIVENESS_MS, served);
    if (!served()) throw new Violation(`liveness: clients are not served: ${this.#describe()}`);
    for (const client of this.#clients) client.stop();
    const agreed = () => this.#isAgreed();
    this.#time.runUntil(this.#time.nowMs + LIVENESS_MS, agreed);
    if (!agreed()) throw new Violation(`liveness: members do not agree: ${this.#describe()}`);
  }

  /** Every member of the leader's configuration has applied the same history. */
  #isAgreed(): boolean {
    const leader = this.#leader();
    if (leader === undefined) return false;
    const { configuration, committed } = leader.raft.view();
    if (configuration.votersOutgoing.length > 0) return false;
    const members = [...configuration.voters, ...configuration.learners];
    return members.every((id) => {
      const machine = this.#byId.get(id)?.machine;
      return machine?.index === committed && machine.hash === leader.machine.hash;
    });
  }

  #checkHistory(): void {
    const history = this.#clients.flatMap((client) => client.history);
    const verdict = checkLinearizable(history, REGISTER);
    if (verdict.kind === "violation") {
      throw new Violation(
        `linearizability: no order explains the ${verdict.operations} operations on "${verdict.key}"`,
      );
    }
    if (verdict.kind === "undecided") {
      throw new Violation(`linearizability: undecided on "${verdict.key}"`);
    }
  }

  #describe(): string {
    return this.#replicas.map((replica) => {
      const { role, term, committed, lastIndex, configuration } = replica.raft.view();
      return `${replica.id} ${
        replica.running ? role : "down"
      } term ${term} commit ${committed} last ${lastIndex} ` +
        `voters ${configuration.voters.join(",")}`;
    }).join("; ");
  }

  #line(replica: Replica, what: string): string {
    return `${this.#time.nowMs} ${replica.id} ${what}`;
  }

  #report(violation: string | undefined): SimulationReport {
    return {
      seed: this.#options.seed,
      violation,
      traceHash: this.#trace.hash,
      trace: this.#trace.lines,
      faults: this.#faults,
      virtualMs: this.#time.nowMs,
      events: this.#time.events,
      messages: this.#network.sent,
      elections: this.#invariants.elections,
      committed: this.#invariants.committedMax,
      crashes: this.#replicas.reduce((sum, { crashes }) => sum + crashes, 0),
      membershipChanges: this.#membershipChanges,
      snapshotsInstalled: this.#snapshotsInstalled,
      operations: this.#clients.reduce((sum, { history }) => sum + history.length, 0),
    };
  }
}

/** Adds to a number for a while. */
function change(
  replica: Replica,
  field: "clockPercent" | "diskSlowMs" | "cpuSlowMs",
  by: number,
): () => void {
  replica[field] += by;
  return () => {
    replica[field] -= by;
  };
}
