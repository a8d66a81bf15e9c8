import { type NodeId, Random } from "../../../src/base/mod.ts";
import type { GroupChange, RaftMessage } from "../../../src/protocol/mod.ts";
import { type Fault, type FaultKind, type Moment, MOMENTS, MUTED } from "./faults.ts";
import { drawChange, drawHandover } from "./group_changes.ts";
import { encodeCommand } from "./register_machine.ts";
import type { Replica } from "./replica.ts";
import { findLeader, findLeaders, type World } from "./world.ts";

/** Who writes in bursts: nobody waits for its answers. */
const BURST_CLIENT = 99;
/** How long a node stays away that a planned moment killed: short enough to come back in the same term. */
const STRUCK_MS = { low: 5, high: 1_500 } as const;

/** A crash that waits for its moment. */
interface Trap {
  readonly moment: Moment;
  readonly random: Random;
}

/** A change that everybody may hold, but of which only one leader may hear that it is committed. */
interface Hush {
  readonly leader: NodeId;
  /** The entry that completes the change; unknown until it is sent for the first time. */
  index: number;
}

/** Brings about faults and ends them. */
export class Injector {
  /** Kinds under way now. */
  readonly active = new Set<FaultKind>();
  readonly #world: World;
  readonly #traps = new Set<Trap>();
  readonly #activeCounts = new Map<FaultKind, number>();
  readonly #muted: string[] = [];
  readonly #hushes = new Set<Hush>();
  readonly #awaitingElection = new Set<(leader: Replica) => void>();
  readonly #endMs: number;
  readonly #votersMin: number | undefined;
  #burstSerial = 0;

  /** All faults end at `endMs`; `votersMin`: see `drawChange`. */
  constructor(world: World, endMs: number, votersMin?: number) {
    this.#votersMin = votersMin;
    this.#world = world;
    this.#endMs = endMs;
  }

  /** Starts a fault that ends by itself. */
  inject(fault: Fault): void {
    const undo = this.#start(fault);
    this.#count(fault.kind, 1);
    const { time } = this.#world;
    // What is over at once still counts for a while, because its consequences do.
    const spanMs = Math.min(Math.max(fault.spanMs, 300), this.#endMs - time.nowMs);
    time.after(spanMs, () => {
      this.#count(fault.kind, -1);
      undo?.();
    });
  }

  /** True when messages of this kind are lost now. */
  mutes(message: RaftMessage): boolean {
    for (const hush of this.#hushes) if (isSecret(message, hush)) return true;
    if (this.#muted.length === 0) return false;
    const { kind } = message;
    const label = kind === "vote_request" ? (message.preVote ? "pre_vote" : "vote") : kind;
    return this.#muted.includes(label);
  }

  /** True when a trap for this moment is set: the caller crashes now, and is restarted later. */
  strikes(replica: Replica, moment: Moment): boolean {
    if (moment === "elected") { for (const waiting of this.#awaitingElection) waiting(replica); }
    for (const trap of this.#traps) {
      if (trap.moment !== moment) continue;
      this.#traps.delete(trap);
      const { time } = this.#world;
      const awayMs = trap.random.between(STRUCK_MS.low, STRUCK_MS.high);
      time.after(Math.min(awayMs, this.#endMs - time.nowMs), () => replica.restart());
      return true;
    }
    return false;
  }

  #count(kind: FaultKind, by: number): void {
    const count = (this.#activeCounts.get(kind) ?? 0) + by;
    this.#activeCounts.set(kind, count);
    if (count > 0) this.active.add(kind);
    else this.active.delete(kind);
  }

  /** Starts a fault; returns what ends it. */
  #start(fault: Fault): (() => void) | undefined {
    switch (fault.kind) {
      case "loss":
        return this.#disturbAll({ lossPerMille: fault.amount });
      case "duplicate":
        return this.#disturbAll({ duplicatePerMille: fault.amount });
      case "slow_link":
        return this.#disturbLink({ from: fault.node, to: fault.other }, { slowMs: fault.amount });
      case "one_way_cut":
        return this.#disturbLink({ from: fault.node, to: fault.other }, { cuts: 1 });
      case "partition": {
        const isInside = (index: number) => ((fault.side >> index) & 1) === 1;
        return this.#cut(({ from, to }) => isInside(from) !== isInside(to));
      }
      case "isolate_leader":
        return this.#isolateLeader(fault);
      case "membership":
        return this.#changeGroup(fault);
      case "burst":
        return this.#burst(fault);
      case "crash_on":
        return this.#setTrap(fault);
      case "strand":
        return this.#strand(fault);
      case "relay":
        return this.#relay(fault);
      case "late_echo":
        return this.#delayEchoes(fault);
      case "usurp":
        return this.#usurp(fault);
      case "hush":
        return this.#hush(fault);
      case "mute":
        return this.#mute(MUTED[fault.amount % MUTED.length] ?? "vote");
      default:
        return this.#startInNode(fault);
    }
  }

  #startInNode(fault: Fault): (() => void) | undefined {
    const { replicas } = this.#world;
    const replica = replicas[fault.node];
    if (replica === undefined) return undefined;
    switch (fault.kind) {
      case "crash":
        // At one of its next effects, wherever that is; at the latest when the fault ends, so that it ends.
        replica.effectsUntilCrash = Math.max(1, fault.amount);
        return () => {
          replica.crash();
          replica.restart();
        };
      case "pause":
        return pause(replica);
      case "pause_leader":
        return pause(findLeader(replicas) ?? replica);
      case "clock_skew":
        // One at a time: two that overlap would nearly stop the clock.
        if (replica.clockPercent !== 100) return undefined;
        return change(replica, "clockPercent", fault.amount - replica.clockPercent);
      case "slow_disk":
        return change(replica, "diskSlowMs", fault.amount);
      case "starved_cpu":
        return change(replica, "cpuSlowMs", fault.amount);
      case "transfer":
        // Now and then through a node that has to pass it on.
        this.#transfer([replica.id], fault.side % 4 === 0 ? replicas[fault.other] : undefined);
        return undefined;
      default:
        throw new Error(`unknown fault ${fault.kind}`);
    }
  }

  #transfer(targets: readonly NodeId[], by = findLeader(this.#world.replicas)): void {
    for (const id of targets) by?.handle("transfer", () => by.raft.transferLeadership(id));
  }

  /** Both directions, or only what it hears, or only what it says. */
  #isolateLeader(fault: Fault): () => void {
    const leader = findLeader(this.#world.replicas)?.index ?? fault.node;
    return this.#cut(({ from, to }) =>
      (fault.amount !== 2 && to === leader) || (fault.amount !== 1 && from === leader)
    );
  }

  /**
   * Asks whoever believes to lead, in half of the cases for two changes in a row, of which one must be refused. Now and
   * then those that a change is about hear nothing of it for a while.
   */
  #changeGroup(fault: Fault): (() => void) | undefined {
    const random = new Random(fault.amount);
    const { replicas } = this.#world;
    const someone = random.chance(1, 6) ? replicas[fault.node] : undefined;
    const asked = someone ?? random.pick(findLeaders(replicas));
    if (asked === undefined) return undefined;
    const ids = replicas.map(({ id }) => id);
    const named = new Set<NodeId>();
    for (let count = random.below(2) + 1; count > 0; count--) {
      const drawn = this.#drawChange(random, asked, ids);
      if (drawn === undefined) continue;
      for (const { node } of drawn.steps) named.add(node);
      asked.handle("change", () => asked.raft.proposeChange(drawn));
    }
    if (!random.chance(1, 4)) return undefined;
    return this.#cut(({ to }) => named.has(replicas[to]?.id ?? asked.id));
  }

  #drawChange(random: Random, asked: Replica, ids: readonly NodeId[]): GroupChange | undefined {
    const least = this.#votersMin === undefined ? undefined : { voters: this.#votersMin };
    return drawChange(random, asked.raft.view().configuration, ids, least);
  }

  /** A change, and at once another leader, who is asked for another change before it can know what became of the first. */
  #relay(fault: Fault): () => void {
    const { replicas, time } = this.#world;
    const random = new Random(fault.amount);
    const ask = (leader: Replica | undefined) => {
      if (leader === undefined) return;
      const ids = replicas.map(({ id }) => id);
      const drawn = this.#drawChange(random, leader, ids);
      if (drawn !== undefined) leader.handle("change", () => leader.raft.proposeChange(drawn));
    };
    ask(findLeader(replicas));
    const target = replicas[fault.node];
    if (target !== undefined) this.#transfer([target.id]);
    const waiting = (leader: Replica) => time.after(0, () => ask(leader));
    this.#awaitingElection.add(waiting);
    return () => {
      this.#awaitingElection.delete(waiting);
    };
  }

  /** What others confirmed reaches a leader long after they stopped hearing it. */
  #delayEchoes(fault: Fault): () => void {
    const leader = findLeader(this.#world.replicas)?.index ?? fault.node;
    const undos = this.#links(({ to }) => to === leader)
      .map((link) => this.#disturbLink(link, { slowMs: fault.amount }));
    return this.#andLater(undos, 1_000, () => this.#cut(({ from }) => from === leader));
  }

  /** One node has long waited to take over, and the others forget in a restart whom they promised to wait for. */
  #usurp(fault: Fault): () => void {
    const { replicas } = this.#world;
    const leader = findLeader(replicas)?.index ?? fault.node;
    const heir = fault.node;
    const undos = [
      this.#cut(({ from, to }) =>
        (from === leader && to === heir) || (from === heir && to === leader)
      ),
    ];
    return this.#andLater(undos, 2_000, () => {
      for (const replica of replicas.filter(({ index }) => index !== leader && index !== heir)) {
        // Whoever is away is on its way back by somebody else's order.
        if (!replica.running) continue;
        replica.crash();
        replica.restart();
      }
      return this.#cut(({ from, to }) => from === leader || to === leader);
    });
  }

  /** Does something more after a while, unless all was undone by then. */
  #andLater(undos: (() => void)[], delayMs: number, action: () => () => void): () => void {
    let isOver = false;
    this.#world.time.after(delayMs, () => {
      if (!isOver) undos.push(action());
    });
    return () => {
      isOver = true;
      for (const undo of undos) undo();
    };
  }

  #burst(fault: Fault): undefined {
    const leader = findLeader(this.#world.replicas);
    for (let count = 0; count < fault.amount; count++) this.#write(leader);
    return undefined;
  }

  #write(leader: Replica | undefined): void {
    const serial = ++this.#burstSerial;
    const action = { kind: "put", value: serial } as const;
    const data = encodeCommand({ client: BURST_CLIENT, serial, key: "burst", action });
    leader?.handle("propose", () => leader.raft.propose(data));
  }

  /** A leader changes the group, mostly so that it leaves, and nobody else hears that this is done. It goes on writing. */
  #hush(fault: Fault): (() => void) | undefined {
    const { replicas, time } = this.#world;
    const random = new Random(fault.amount);
    const leader = findLeader(replicas);
    if (leader === undefined) return undefined;
    const ids = replicas.map(({ id }) => id);
    const { configuration } = leader.raft.view();
    const drawn = random.chance(2, 3)
      ? drawHandover(random, configuration, { leaver: leader.id, ids })
      : drawChange(random, configuration, ids);
    if (drawn === undefined) return undefined;
    const hush: Hush = { leader: leader.id, index: Infinity };
    this.#hushes.add(hush);
    leader.handle("change", () => leader.raft.proposeChange(drawn));
    const write = () => {
      if (!this.#hushes.has(hush) || leader.raft.view().role !== "leader") return;
      this.#write(leader);
      time.after(1 + random.below(3), write);
    };
    write();
    return () => {
      this.#hushes.delete(hush);
    };
  }

  /** Makes a node enter a term that nobody hears of: it is told to take over, and nothing of it gets out. */
  #strand(fault: Fault): () => void {
    const target = this.#world.replicas[fault.node];
    if (target !== undefined) this.#transfer([target.id]);
    return this.#cut(({ from }) => from === fault.node);
  }

  #mute(label: string): () => void {
    this.#muted.push(label);
    return () => {
      this.#muted.splice(this.#muted.indexOf(label), 1);
    };
  }

  #setTrap(fault: Fault): () => void {
    const moment = MOMENTS[fault.amount % MOMENTS.length] ?? "voted";
    const trap = { moment, random: new Random(fault.atMs) };
    this.#traps.add(trap);
    // Two candidates of one term: only then does a forgotten vote matter.
    const { replicas } = this.#world;
    if (moment === "voted") {
      this.#transfer([fault.node, fault.other].flatMap((index) => replicas[index]?.id ?? []));
    }
    return () => {
      this.#traps.delete(trap);
    };
  }

  #disturbAll(trouble: { lossPerMille?: number; duplicatePerMille?: number }): () => void {
    const undos = this.#links(() => true).map((link) => this.#disturbLink(link, trouble));
    return () => undos.forEach((undo) => undo());
  }

  #cut(matches: (link: { from: number; to: number }) => boolean): () => void {
    const undos = this.#links(matches).map((link) => this.#disturbLink(link, { cuts: 1 }));
    return () => undos.forEach((undo) => undo());
  }

  #disturbLink(
    link: { readonly from: number; readonly to: number },
    trouble: { cuts?: number; lossPerMille?: number; duplicatePerMille?: number; slowMs?: number },
  ): () => void {
    if (link.from === link.to) return () => {};
    const { network } = this.#world;
    network.disturb(link, trouble);
    const undo = Object.fromEntries(Object.entries(trouble).map(([key, value]) => [key, -value]));
    return () => network.disturb(link, undo);
  }

  #links(matches: (link: { from: number; to: number }) => boolean): { from: number; to: number }[] {
    const indexes = this.#world.replicas.map(({ index }) => index);
    return indexes.flatMap((from) => indexes.map((to) => ({ from, to }))).filter(matches);
  }
}

function isSecret(message: RaftMessage, hush: Hush): boolean {
  if (message.from !== hush.leader) return false;
  if (message.kind === "append_request") {
    const completes = message.entries.find((entry) =>
      entry.kind === "group_change" && entry.change.transition === "auto" &&
      entry.change.steps.length <= 1
    );
    if (completes !== undefined && hush.index === Infinity) hush.index = completes.index;
  }
  const tells = message.kind === "append_request" || message.kind === "heartbeat_request";
  return tells && message.commit >= hush.index;
}

function pause(replica: Replica): () => void {
  replica.pause();
  return () => replica.resume();
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
