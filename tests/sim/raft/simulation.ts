import { type NodeId, Random } from "../../../src/base/mod.ts";
import type { RaftView } from "../../../src/core/raft/mod.ts";
import type { RaftMessage, Snapshot } from "../../../src/protocol/mod.ts";
import { checkLinearizable } from "../checkers/linearizability.ts";
import { Client, REGISTER } from "./clients.ts";
import { Coverage } from "./coverage.ts";
import { type Fault, planFaults } from "./faults.ts";
import { Injector } from "./injector.ts";
import { Invariants, Violation } from "./invariants.ts";
import { Liveness } from "./liveness.ts";
import { Network } from "./network.ts";
import { DiskLog, type ReplicaDisk } from "./disk_log.ts";
import { bootstrap, Replica, type ReplicaHooks } from "./replica.ts";
import { Trace } from "./trace.ts";
import { VirtualTime } from "./virtual_time.ts";
import type { World } from "./world.ts";

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
  /** What replicas keep, instead of a model of a log. */
  readonly storage?: SimulatedStorage;
}

/** Disks of replicas that are more than a model, and what befalls them. */
export interface SimulatedStorage {
  /** Disks that hold these snapshots, in their order. */
  open(
    time: VirtualTime,
    founders: readonly { readonly id: NodeId; readonly snapshot: Snapshot }[],
  ): Promise<readonly ReplicaDisk[]>;
  /** Plans what befalls them; all of it is over at `spanMs`. */
  befall(world: World, injector: Injector): void;
  /** Fewest voters that a change may leave. */
  readonly votersMin: number;
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
  readonly coverage: Coverage;
}

/** Nodes that can be let in besides the first ones. */
const SPARE_NODES = 2;
const CLIENTS = 4;
const WRITERS = 3;
/** Bytes of an append and appends on the way: small ones, so that the limits are met. */
const SMALL_LIMITS = [{ messageBytesMax: 200, inflightMessagesMax: 2, inflightBytesMax: 400 }, {}];

/** What a seed runs when nobody says otherwise: 3, 5 or 7 voters, 60 virtual seconds of faults. */
export function optionsOfSeed(seed: number): SimulationOptions {
  return { seed, nodeCount: 3 + 2 * (seed % 3), spanMs: 60_000 };
}

/** Runs one seed to its end; a violation is a value, not an exception. */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const { nodeCount, storage } = options;
  const time = new VirtualTime();
  const ids = Array.from(
    { length: nodeCount + SPARE_NODES },
    (_, index) => idOf(index + 1, storage !== undefined),
  );
  const configuration = {
    voters: ids.slice(0, nodeCount),
    votersOutgoing: [],
    learners: [],
    learnersNext: [],
    autoLeave: false,
  };
  const founders = ids.map((id, index) => ({
    id,
    snapshot: bootstrap(index < nodeCount ? configuration : undefined),
  }));
  const disks = await storage?.open(time, founders) ??
    founders.map(({ snapshot }) => new DiskLog(snapshot));
  return await new Simulation(options, { time, ids, disks }).run();
}

/** The id of node `number`; those in real logs have sixteen hex digits. */
function idOf(number: number, isReal: boolean): NodeId {
  return (isReal ? number.toString(16).padStart(16, "0") : `n${number}`) as NodeId;
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #network: Network;
  readonly #replicas: Replica[] = [];
  readonly #byId = new Map<NodeId, Replica>();
  readonly #clients: Client[] = [];
  readonly #invariants: Invariants;
  readonly #trace: Trace;
  readonly #faults: readonly Fault[];
  readonly #injector: Injector;
  readonly #world: World;
  readonly #endMs: number;
  readonly #liveness: Liveness;
  readonly #coverage = new Coverage();
  /** As of the last step, because making one is dear. */
  readonly #views = new Map<NodeId, RaftView>();
  #membershipChanges = 0;
  #snapshotsInstalled = 0;

  constructor(
    options: SimulationOptions,
    of: {
      readonly time: VirtualTime;
      readonly ids: readonly NodeId[];
      readonly disks: readonly ReplicaDisk[];
    },
  ) {
    this.#options = options;
    this.#time = of.time;
    const seeds = new Random(options.seed);
    // A stream of its own for each part: one more draw here must not change what happens there.
    const planRandom = seeds.fork();
    this.#random = seeds.fork();
    const { nodeCount, spanMs } = options;
    this.#trace = new Trace({ keepsLines: options.keepsLines === true });
    const total = nodeCount + SPARE_NODES;
    this.#network = new Network({ time: this.#time, random: seeds.fork(), nodeCount: total });
    this.#invariants = new Invariants(this.#replicas);
    this.#addReplicas(seeds, of);
    this.#faults = options.faults ?? planFaults(planRandom, { spanMs, nodeCount });
    const world = { time: this.#time, replicas: this.#replicas, network: this.#network, nodeCount };
    this.#endMs = this.#time.nowMs + spanMs;
    this.#injector = new Injector(world, this.#endMs, options.storage?.votersMin);
    this.#world = world;
    const appliedMax = () => this.#invariants.appliedMax;
    for (let id = 0; id < CLIENTS; id++) {
      const habit = id < WRITERS ? "writer" : "reader";
      this.#clients.push(new Client({ ...world, appliedMax, random: seeds.fork() }, id, habit));
    }
    this.#liveness = new Liveness(world, this.#clients, seeds.fork());
  }

  async run(): Promise<SimulationReport> {
    let violation: string | undefined;
    try {
      for (const fault of this.#faults) this.#schedule(fault);
      this.#options.storage?.befall(this.#world, this.#injector);
      await this.#time.runSettled(this.#endMs);
      await this.#liveness.check();
      this.#invariants.checkDisks();
      this.#checkHistory();
    } catch (error) {
      // A broken assertion of the core is a finding like any other.
      violation = error instanceof Violation
        ? error.message
        : `${error instanceof Error ? error.stack : error}`;
    }
    return this.#report(violation);
  }

  #addReplicas(
    seeds: Random,
    { ids, disks }: { readonly ids: readonly NodeId[]; readonly disks: readonly ReplicaDisk[] },
  ): void {
    const options = {
      ...this.#random.pick(SMALL_LIMITS),
      ...this.#random.pick([{ uncommittedBytesMax: 300 }, {}]),
      ...this.#random.pick([{ applyingBytesMax: 150 }, {}]),
    };
    const snapshots = {
      every: this.#random.pick([40, 12, 3]) ?? 40,
      trailing: this.#random.pick([10, 3, 0]) ?? 10,
    };
    for (const [index, id] of ids.entries()) {
      const disk = disks[index];
      if (disk === undefined) throw new Error(`no disk for ${id}`);
      const replica = new Replica({
        index,
        id,
        time: this.#time,
        random: seeds.fork(),
        hooks: this.#hooks(),
        options,
        snapshots,
        disk,
      });
      this.#replicas.push(replica);
      this.#byId.set(id, replica);
    }
  }

  #hooks(): ReplicaHooks {
    return {
      send: (message: RaftMessage) => this.#send(message),
      happens: (replica, event) =>
        this.#coverage.add(this.#viewOf(replica), event, this.#injector.active),
      writes: (replica, order) => this.#invariants.checkWrite(replica, order),
      strikes: (replica, moment) => this.#injector.strikes(replica, moment),
      stepped: (replica: Replica) => {
        const view = replica.raft.view();
        this.#views.set(replica.id, view);
        this.#invariants.checkStep(replica, view);
      },
      applied: (...[replica, entry, outcome]: Parameters<ReplicaHooks["applied"]>) => {
        this.#invariants.checkApplied(replica, entry);
        this.#trace.add(
          [3, replica.index, entry.index, entry.term, replica.machine.hash],
          () => this.#line(replica, `applies ${entry.kind} ${entry.term}/${entry.index}`),
        );
        if (entry.kind === "group_change") this.#membershipChanges++;
        if (outcome !== undefined) {
          this.#clients[outcome.command.client]?.onApplied(outcome.command.serial, outcome.result);
        }
      },
      readable: (replica: Replica, context: string) => {
        this.#liveness.onReadable(context);
        this.#clients.find((client) => client.owns(context))?.onReadable(replica, context);
      },
      restored: (replica, how) => {
        if (how === "snapshot") this.#snapshotsInstalled++;
        this.#invariants.checkRestored(replica);
      },
    };
  }

  #viewOf(replica: Replica): RaftView {
    return this.#views.get(replica.id) ?? replica.raft.view();
  }

  #send(message: RaftMessage): void {
    const from = this.#byId.get(message.from);
    const to = this.#byId.get(message.to);
    if (from === undefined || to === undefined) return;
    this.#invariants.checkPromise(from, message);
    const term = "term" in message ? message.term : 0;
    const isSent = !this.#injector.mutes(message) &&
      this.#network.send({ from: from.index, to: to.index }, () => {
        this.#trace.add(
          [1, from.index, to.index, message.kind.length, term],
          () =>
            this.#line(to, `receives ${message.kind} of ${from.id}: ${JSON.stringify(message)}`),
        );
        to.receive(message);
      });
    this.#reportSending(from, to, message.kind === "snapshot_request", isSent);
  }

  /** What a real transport tells the sender: some losses, and always what became of a snapshot. */
  #reportSending(
    ...[from, to, isSnapshot, isSent]: [Replica, Replica, boolean, boolean]
  ): void {
    const later = (delayMs: number, action: () => void) => this.#time.after(delayMs, action);
    if (!isSent && this.#random.chance(1, 8)) {
      later(20, () => from.request("unreachable_report", () => from.raft.reportUnreachable(to.id)));
    }
    if (!isSnapshot) return;
    // Wrong now and then: what was delivered may still be lost in a crash.
    later(500, () =>
      from.request(
        "snapshot_report",
        () => from.raft.reportSnapshot(to.id, to.up ? "delivered" : "failed"),
      ));
  }

  #schedule(fault: Fault): void {
    this.#time.after(fault.atMs, () => {
      this.#trace.add(
        [2, fault.node, fault.other, fault.amount],
        () => `${this.#time.nowMs} FAULT ${JSON.stringify(fault)}`,
      );
      this.#injector.inject(fault);
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
      coverage: this.#coverage,
      operations: this.#clients.reduce((sum, { history }) => sum + history.length, 0),
    };
  }
}
