import type { NodeId, Random } from "../../../src/base/mod.ts";
import type { GroupConfiguration } from "../../../src/protocol/mod.ts";
import type { Client } from "./clients.ts";
import { describeGroup, holdsQuorum, LEAVE } from "./group_changes.ts";
import { Violation } from "./invariants.ts";
import { encodeCommand } from "./register_machine.ts";
import type { Replica } from "./replica.ts";
import { findLeader, type World } from "./world.ts";

const EARLY_READ = "liveness/early";
/** A command that changes nothing twice: nobody waits for it. */
const FILLER = encodeCommand({
  client: 98,
  serial: 1,
  key: "filler",
  action: { kind: "put", value: 1 },
});
/** How long the group has for each thing that it must come to once all faults are gone. */
const PATIENCE_MS = 40_000;
/** How long a transfer to a healthy voter may take, and how often one may fail for being asked at a bad time. */
const TRANSFER_MS = 3_000;
const TRANSFERS_MAX = 5;
/** A settled group keeps its leader for this long at least. */
const CALM_MS = 6_000;

/** Configurations that need a quorum, and nodes that must live, for a group to go on. */
interface Demand {
  readonly groups: readonly GroupConfiguration[];
  readonly ids: readonly NodeId[];
}

/**
 * What must happen when faults end. In half of the runs all nodes come back; in the others just enough for a quorum,
 * while the rest stays dead, or deaf: sending but hearing nothing. Many deadlocks only show when nobody can be spared.
 */
export class Liveness {
  readonly #world: World;
  readonly #clients: readonly Client[];
  readonly #random: Random;
  #core: ReadonlySet<NodeId>;
  #earlyReadServed = false;

  constructor(world: World, clients: readonly Client[], random: Random) {
    this.#world = world;
    this.#clients = clients;
    this.#random = random;
    this.#core = new Set(world.replicas.map(({ id }) => id));
  }

  /** All but those whose log can't be read: these are gone for good. */
  get #replicas(): readonly Replica[] {
    return this.#world.replicas.filter(({ fenced }) => fenced === undefined);
  }

  /** A node may serve a read. */
  onReadable(context: string): void {
    if (context === EARLY_READ) this.#earlyReadServed = true;
  }

  /** @throws {Violation} when the group does not serve, agree, settle and stay calm. */
  async check(): Promise<void> {
    this.#core = new Set(this.#replicas.map(({ id }) => id));
    if (this.#random.chance(1, 2)) this.#healOnlyCore();
    const before = this.#clients.map(({ finished }) => finished);
    for (const client of this.#clients) client.hurry();
    await this.#await(
      "clients are not served",
      () =>
        this.#clients.every(({ finished: { reads, writes } }, index) => {
          const { reads: readsBefore = 0, writes: writesBefore = 0 } = before[index] ?? {};
          return reads > readsBefore && reads + writes > readsBefore + writesBefore + 2;
        }),
    );
    await this.#leaveJoint();
    // Before any new election, which could bring back who was left behind.
    await this.#await("not every member follows the leader", () => this.#isFollowed());
    await this.#checkTransfer();
    for (const client of this.#clients) client.stop();
    await this.#await("members do not agree", () => this.#isAgreed());
    this.#reportUnreachable();
    await this.#await("the leader's view does not settle", () => this.#isSettled());
    await this.#checkCalm();
  }

  /** Picks as few nodes as the group can live with. */
  #healOnlyCore(): void {
    const { network } = this.#world;
    const replicas = this.#replicas;
    const all = replicas.map(({ index }) => index);
    const restarts = this.#random.chance(1, 3);
    const demand = this.#demandOf({ restarts });
    if (demand === undefined) return;
    // Nothing from before may arrive later: it could bring a change that asks for other quorums.
    network.forgetWhatIsOnItsWay();
    for (const replica of replicas) replica.forgetWhatWaits();
    const core = this.#pickCore(demand);
    this.#core = core;
    const isDeaf = this.#random.chance(1, 2);
    for (const outsider of replicas.filter(({ id }) => !core.has(id))) {
      if (!isDeaf) outsider.crash();
      else for (const from of all) network.disturb({ from, to: outsider.index }, { cuts: 1 });
    }
    if (restarts) this.#restartCore();
    this.#transferToNobody();
  }

  /**
   * Which configurations need a quorum. The newest one is enough where a voter of it lives that knows it: the others
   * must hear from it, whatever they believe. A restart may forget what was committed, so all of them count then.
   * Undefined = someone holds a change that could still ask for others.
   */
  #demandOf({ restarts }: { readonly restarts: boolean }): Demand | undefined {
    const replicas = this.#replicas;
    const groups = replicas.map(({ raft }) => raft.view().configuration);
    const isInstalling = replicas.some(({ writing }) =>
      writing.some(({ snapshot }) => snapshot !== undefined)
    );
    if (restarts || isInstalling) {
      const isOpen = replicas.some((replica) => holdsChangeBehind(replica, replica.machine.index));
      return isOpen ? undefined : { groups, ids: [] };
    }
    const newest = replicas.reduce((one, other) =>
      other.machine.index > one.machine.index ? other : one
    );
    const { index } = newest.machine;
    if (replicas.some((replica) => holdsChangeBehind(replica, index))) return undefined;
    const group = newest.raft.view().configuration;
    return { groups: group.voters.includes(newest.id) ? [group] : groups, ids: [newest.id] };
  }

  /** Nobody leads any more, so these few must elect someone by themselves. */
  #restartCore(): void {
    for (const replica of this.#world.replicas.filter(({ id }) => this.#core.has(id))) {
      replica.crash();
      replica.restart();
    }
  }

  /** A transfer to someone who is gone must not keep the leader from serving. */
  #transferToNobody(): void {
    const leader = this.#leader();
    const { voters } = leader?.raft.view().configuration ?? { voters: [] };
    const target = this.#random.pick(voters.filter((id) => !this.#core.has(id)));
    if (target === undefined || this.#random.chance(1, 2)) return;
    leader?.handle("transfer", () => leader.raft.transferLeadership(target));
  }

  #pickCore({ groups, ids }: Demand): ReadonlySet<NodeId> {
    const core = new Set(this.#replicas.map(({ id }) => id));
    for (const id of this.#random.shuffle([...core])) {
      if (ids.includes(id)) continue;
      core.delete(id);
      if (!groups.every((group) => holdsQuorum(group, core))) core.add(id);
    }
    return core;
  }

  /** Someone who entered a joint configuration explicitly has to leave it, too. */
  async #leaveJoint(): Promise<void> {
    const isOut = () => {
      const group = this.#leader()?.raft.view().configuration;
      return group !== undefined && group.votersOutgoing.length === 0;
    };
    for (let tries = 0; tries < PATIENCE_MS / TRANSFER_MS && !isOut(); tries++) {
      const leader = this.#leader();
      const group = leader?.raft.view().configuration;
      if (group?.autoLeave === false) {
        leader?.handle("change", () => leader.raft.proposeChange(LEAVE));
      }
      await this.#run(TRANSFER_MS, isOut);
    }
    if (!isOut()) this.#fail("the joint configuration is not left");
  }

  /** With clients still writing: a healthy voter that is asked to lead must lead. */
  async #checkTransfer(): Promise<void> {
    for (let tries = 0; tries < TRANSFERS_MAX; tries++) {
      const leader = this.#leader();
      if (leader === undefined) {
        await this.#run(TRANSFER_MS, () => this.#leader() !== undefined);
        continue;
      }
      const { voters } = leader.raft.view().configuration;
      const target = this.#random.pick(
        voters.filter((id) => this.#core.has(id) && id !== leader.id),
      );
      if (target === undefined) return;
      this.#writeUntilTransferred(leader, target);
      if (await this.#run(TRANSFER_MS, () => this.#leader()?.id === target)) {
        return this.#checkEarlyRead();
      }
    }
    this.#fail("no transfer of leadership succeeds");
  }

  /** A read that comes before the first commit of a term waits for it, but must not be forgotten. */
  async #checkEarlyRead(): Promise<void> {
    const leader = this.#leader();
    const term = leader?.raft.view().term;
    leader?.handle("read", () => leader.raft.readIndex(EARLY_READ));
    const isOver = () => this.#earlyReadServed || this.#leader()?.raft.view().term !== term;
    if (!await this.#run(TRANSFER_MS, isOver)) {
      this.#fail("a read before the first commit is forgotten");
    }
  }

  /** The target always lacks something at first, and would for ever if the leader went on taking proposals. */
  #writeUntilTransferred(leader: Replica, target: NodeId): void {
    const { time } = this.#world;
    const write = () => {
      if (leader.raft.view().transferTarget !== target) return;
      leader.handle("propose", () => leader.raft.propose(FILLER));
      time.after(1, write);
    };
    for (let count = 0; count < 5; count++) {
      leader.handle("propose", () => leader.raft.propose(FILLER));
    }
    leader.handle("transfer", () => leader.raft.transferLeadership(target));
    write();
  }

  /** Every healthy member of the leader's configuration has applied the same history. */
  #isAgreed(): boolean {
    const leader = this.#leader();
    if (leader === undefined) return false;
    const { configuration, committed, lastIndex } = leader.raft.view();
    if (configuration.votersOutgoing.length > 0 || committed !== lastIndex) return false;
    return this.#membersOf(configuration).every(({ machine }) =>
      machine.index === committed && machine.hash === leader.machine.hash
    );
  }

  /** A false alarm of the transport must not slow a follower down for good. */
  #reportUnreachable(): void {
    const leader = this.#leader();
    const { voters = [] } = leader?.raft.view().configuration ?? {};
    const id = this.#random.pick(voters.filter((voter) => voter !== leader?.id));
    if (id === undefined) return;
    leader?.handle("unreachable_report", () => leader.raft.reportUnreachable(id));
  }

  #isFollowed(): boolean {
    const leader = this.#leader();
    if (leader === undefined) return false;
    const { configuration, term } = leader.raft.view();
    return this.#membersOf(configuration).every(({ raft }) => {
      const view = raft.view();
      return view.term === term && view.leader === leader.id;
    });
  }

  /** Nothing is left over: everyone is replicated to at full speed, nothing is on its way, nothing waits. */
  #isSettled(): boolean {
    const leader = this.#leader();
    if (leader === undefined || !this.#isAgreed()) return false;
    const view = leader.raft.view();
    const members = this.#membersOf(view.configuration).filter(({ id }) => id !== leader.id);
    const caughtUp = new Set(leader.raft.caughtUpLearners(0));
    return view.transferTarget === undefined && members.every(({ id }) => {
      const peer = view.peers.find((peer) => peer.id === id);
      const isLearner = view.configuration.learners.includes(id);
      return peer !== undefined && peer.mode === "replicate" && peer.match === view.lastIndex &&
        peer.inflightCount === 0 && !peer.paused && (!isLearner || caughtUp.has(id));
    });
  }

  async #checkCalm(): Promise<void> {
    const leader = this.#leader();
    const term = leader?.raft.view().term;
    await this.#run(CALM_MS, () => this.#leader()?.raft.view().term !== term);
    if (this.#leader()?.raft.view().term !== term) this.#fail("a healthy leader is deposed");
    if (!this.#isSettled()) this.#fail("a settled group comes apart");
  }

  #leader(): Replica | undefined {
    return findLeader(this.#world.replicas.filter(({ id }) => this.#core.has(id)));
  }

  #membersOf({ voters, learners }: GroupConfiguration): Replica[] {
    return this.#world.replicas.filter(({ id }) =>
      this.#core.has(id) && (voters.includes(id) || learners.includes(id))
    );
  }

  async #await(complaint: string, holds: () => boolean): Promise<void> {
    if (!await this.#run(PATIENCE_MS, holds)) this.#fail(complaint);
  }

  async #run(forMs: number, holds: () => boolean): Promise<boolean> {
    const { time } = this.#world;
    if (holds()) return true;
    await time.runSettled(time.nowMs + forMs, holds);
    return holds();
  }

  #fail(complaint: string): never {
    const nodes = this.#world.replicas.map((replica) => {
      const { role, term, committed, lastIndex, configuration } = replica.raft.view();
      const state = !replica.running ? "down" : this.#core.has(replica.id) ? role : `deaf ${role}`;
      return `${replica.id} ${state} term ${term} commit ${committed} last ${lastIndex} ` +
        `group ${describeGroup(configuration)}`;
    });
    throw new Violation(`liveness: ${complaint}: ${nodes.join("; ")}`);
  }
}

function holdsChangeBehind({ disk, writing }: Replica, applied: number): boolean {
  const low = Math.max(disk.firstIndex(), applied + 1);
  const durable = disk.entries(low, disk.lastIndex() + 1, Infinity) ?? [];
  const entries = [...durable, ...writing.flatMap((order) => order.entries)];
  return entries.some(({ kind, index }) => kind === "group_change" && index > applied);
}
