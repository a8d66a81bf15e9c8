import { Random } from "../../../src/base/mod.ts";
import {
  foundingSnapshot,
  RAFT_DEFAULTS,
  RaftNode,
  type RaftView,
} from "../../../src/core/raft/mod.ts";
import type { Entry, HardState } from "../../../src/protocol/mod.ts";
import { type InlineReady, InlineStorage } from "../inline_storage.ts";
import { MemoryLog } from "../memory_log.ts";
import { idOf } from "../raft_group.ts";
import { Interner } from "./interning.ts";
import { IDS, Messages, numberOf, PERMUTATIONS, renamed } from "./messages.ts";

/** What can happen to one node. `propose` carries the number of the proposal, `deliver` that of the message. */
export type Input =
  | { readonly kind: "campaign" | "restart" | "tick" }
  | { readonly kind: "propose"; readonly serial: number }
  | { readonly kind: "deliver"; readonly letter: number };

/** An entry as the checks compare it. */
export interface Fact {
  readonly index: number;
  readonly content: string;
}

/** What an input came to at one node. */
export interface Reaction {
  /** The node afterwards. */
  readonly next: number;
  readonly sent: readonly number[];
  /** Entries handed out for applying. */
  readonly applied: readonly Fact[];
  /** The term it leads, or led when it died. */
  readonly leads: number | undefined;
  readonly term: number;
  /** It died after it had written and sent a part of what it had to. */
  readonly died: boolean;
  /** A promise that it broke by itself. */
  readonly broken: string | undefined;
}

interface Disk {
  readonly hardState: HardState;
  readonly entries: readonly Entry[];
}

/** One node with its disk: what it was at its last start, and what happened to it since. */
interface Member {
  readonly node: number;
  readonly disk: Disk;
  readonly inputs: readonly Input[];
  readonly facts: Facts;
}

/** All that decides how a node reacts from here on. Nodes are numbers, so that they can be renamed. */
export interface Facts {
  readonly role: RaftView["role"];
  readonly term: number;
  readonly vote: number;
  readonly leader: number;
  readonly committed: number;
  readonly log: readonly string[];
  readonly granted: readonly number[];
  readonly denied: readonly number[];
  /** The furthest entry that it ever acknowledged to the leader of its term, 0 = none. It can't be taken back. */
  readonly acked: number;
  /** As a leader: what it knows of each member. */
  readonly peers: readonly PeerFacts[];
}

interface PeerFacts {
  readonly node: number;
  readonly match: number;
  readonly rest: string;
}

/** Ticks until a heartbeat; elections are moves, so timeouts must not come by themselves. */
const OPTIONS = { ...RAFT_DEFAULTS, preVote: false, checkQuorum: false, applied: 1 };
const NEW_DISK: Disk = { hardState: { term: 0, vote: undefined, commit: 1 }, entries: [] };
const FOUNDING = foundingSnapshot(IDS, new Uint8Array());

/**
 * Every state that one node was ever in, as a number. What an input does to a state is found out once, by the shipped
 * core itself, and looked up from then on: a group's states are many, but made of few states of its nodes.
 */
export class Members {
  readonly messages: Messages;
  readonly #members = new Interner<Member>();
  readonly #renamed: Int32Array[] = PERMUTATIONS.map(() => new Int32Array(1024).fill(-1));

  /** Without `tellsCommits` votes do not tell what is committed. */
  constructor({ tellsCommits }: { readonly tellsCommits: boolean }) {
    this.messages = new Messages({ tellsCommits });
  }

  get size(): number {
    return this.#members.size;
  }

  /** A node that never ran. */
  initial(node: number): number {
    return this.replay(node, []);
  }

  facts(member: number): Facts {
    return this.#members.get(member).facts;
  }

  /** What the input does: first when all goes well, then for each place where the node may die in between. */
  react(member: number, input: Input): readonly Reaction[] {
    const { node, disk, inputs, facts } = this.#members.get(member);
    const machine = this.#start(node, disk);
    machine.settle();
    for (const before of inputs) machine.take(before);
    const before = machine.disk;
    machine.listen();
    if (input.kind === "restart") {
      return [this.#restart(machine.disk, { node, facts, stop: undefined })];
    }
    const broken = machine.take(input);
    const next = this.#intern({ node, disk, inputs: [...inputs, input] }, machine, facts);
    const deaths = machine.stops.slice(0, -1).map((stop) =>
      this.#restart(stop.disk, { node, facts, stop })
    );
    const { sent, applied, leads } = machine;
    const { term, vote } = machine.disk.hardState;
    const forgets = term < before.hardState.term ||
      (term === before.hardState.term && before.hardState.vote !== undefined &&
        before.hardState.vote !== vote);
    const reason = broken ?? (forgets ? `a node votes twice in term ${term}` : undefined);
    return [{ next, sent, applied, leads, term, died: false, broken: reason }, ...deaths];
  }

  /** As a chain of reactions, but run on one real node from its beginning: the table must say the same. */
  replay(node: number, inputs: readonly Input[]): number {
    let machine = this.#start(node, NEW_DISK);
    machine.listen();
    machine.settle();
    let number = this.#intern({ node, disk: NEW_DISK, inputs: [] }, machine);
    for (const [at, input] of inputs.entries()) {
      if (input.kind === "restart") {
        machine = this.#start(node, machine.disk);
        machine.listen();
      }
      machine.take(input);
      const history = { node, disk: NEW_DISK, inputs: inputs.slice(0, at + 1) };
      number = this.#intern(history, machine, this.facts(number));
    }
    return number;
  }

  /** The same state of a node with another name. */
  rename(member: number, permutation: number): number {
    const known = this.#renamed[permutation]?.[member] ?? -1;
    if (known >= 0) return known;
    const { node, disk, inputs, facts } = this.#members.get(member);
    const { vote } = disk.hardState;
    const name = (old: number) => old < 0 ? old : renamed(old, permutation);
    const names = (old: readonly number[]) => old.map(name).sort();
    const renamedFacts: Facts = {
      ...facts,
      vote: name(facts.vote),
      leader: name(facts.leader),
      granted: names(facts.granted),
      denied: names(facts.denied),
      peers: facts.peers.map((peer) => ({ ...peer, node: name(peer.node) })).sort(byNode),
    };
    const hardState = {
      ...disk.hardState,
      vote: vote === undefined ? undefined : IDS[name(numberOf(vote))],
    };
    const found = this.#members.intern(keyOf(name(node), renamedFacts), () => ({
      node: name(node),
      disk: { ...disk, hardState },
      inputs: inputs.map((input) =>
        input.kind === "deliver"
          ? { ...input, letter: this.messages.rename(input.letter, permutation) }
          : input
      ),
      facts: renamedFacts,
    }));
    this.#remember(permutation, member, found);
    return found;
  }

  #remember(permutation: number, member: number, found: number): void {
    let table = this.#renamed[permutation] ?? new Int32Array();
    if (member >= table.length) {
      const larger = new Int32Array(Math.max(table.length * 2, member + 1)).fill(-1);
      larger.set(table);
      table = larger;
      this.#renamed[permutation] = table;
    }
    table[member] = found;
  }

  #restart(
    disk: Disk,
    { node, facts, stop }: {
      readonly node: number;
      readonly facts: Facts;
      readonly stop: Stop | undefined;
    },
  ): Reaction {
    const machine = this.#start(node, disk);
    machine.listen();
    machine.sent.push(...stop?.sent ?? []);
    machine.settle();
    const next = this.#intern({ node, disk, inputs: [] }, machine, facts);
    return {
      next,
      sent: machine.sent,
      applied: [...stop?.applied ?? [], ...machine.applied],
      leads: stop?.leads,
      term: disk.hardState.term,
      died: stop !== undefined,
      broken: undefined,
    };
  }

  #start(node: number, disk: Disk): Machine {
    return new Machine({ node, disk, messages: this.messages });
  }

  #intern(member: Omit<Member, "facts">, machine: Machine, before?: Facts): number {
    const { term } = machine.facts;
    let acked = before?.term === term ? before.acked : 0;
    for (const letter of machine.sent) {
      const { message } = this.messages.get(letter);
      if (message.kind !== "append_response" || message.rejection !== undefined) continue;
      if (message.term === term) acked = Math.max(acked, message.index);
    }
    const facts = { ...machine.facts, acked };
    return this.#members.intern(keyOf(member.node, facts), () => ({ ...member, facts }));
  }
}

/** How far a node had come at a place where it may die. */
interface Stop {
  readonly disk: Disk;
  readonly sent: readonly number[];
  readonly applied: readonly Fact[];
  readonly leads: number | undefined;
}

/** One real node whose disk takes no time: what overlaps with its writes is left to the simulator. */
class Machine {
  readonly #node: RaftNode;
  readonly #log = new MemoryLog(FOUNDING);
  readonly #storage: InlineStorage;
  readonly #messages: Messages;
  sent: number[] = [];
  applied: Fact[] = [];
  leads: number | undefined;
  stops: Stop[] = [];
  #isHeard = false;

  constructor(
    { node, disk, messages }: {
      readonly node: number;
      readonly disk: Disk;
      readonly messages: Messages;
    },
  ) {
    this.#messages = messages;
    this.#log.hardState = disk.hardState;
    this.#log.append(disk.entries);
    const id = idOf(node + 1);
    this.#node = new RaftNode({ ...OPTIONS, id }, this.#log, new Random(1));
    this.#storage = new InlineStorage(this.#node, this.#log);
  }

  get disk(): Disk {
    return { hardState: this.#log.hardState, entries: this.#entries() };
  }

  get facts(): Omit<Facts, "acked"> {
    const view = this.#node.view();
    const known = (id: typeof view.vote) => id === undefined ? -1 : numberOf(id);
    return {
      role: view.role,
      term: view.term,
      vote: known(view.vote),
      leader: known(view.leader),
      committed: view.committed,
      log: this.#entries().map(contentOf),
      granted: view.votes.granted.map(numberOf),
      denied: view.votes.denied.map(numberOf),
      // Windows are never full and nothing is ever compacted here, so how full they are decides nothing.
      peers: view.peers.map(({ id, mode, match, next, paused, commitSent }) => ({
        node: numberOf(id),
        match,
        rest: [mode, next, paused, commitSent].join(),
      })),
    };
  }

  /** From now on what it does is told; what it does before only brings it to where it was. */
  listen(): void {
    this.#isHeard = true;
  }

  /** Returns what is wrong with the outcome, if anything is. */
  take(input: Input): string | undefined {
    const outcome = this.#give(input);
    this.settle();
    if (outcome?.kind !== "refused" || outcome.reason === "proposal_dropped") return undefined;
    return `a correct node's message was refused: ${outcome.reason} ${outcome.detail}`;
  }

  settle(): void {
    while (this.#node.hasReady()) {
      const ready = this.#storage.ready();
      if (this.#isHeard) this.#tell(ready);
      this.#storage.advance();
    }
    if (this.#isHeard) this.#noteLeading();
  }

  #tell(ready: InlineReady): void {
    for (const message of ready.messages) this.sent.push(this.#messages.intern(message));
    for (const entry of ready.committed) {
      this.applied.push({ index: entry.index, content: contentOf(entry) });
    }
    this.#noteLeading();
    const { disk, leads } = this;
    this.stops.push({ disk, leads, sent: [...this.sent], applied: [...this.applied] });
  }

  #noteLeading(): void {
    const { role, term } = this.#node.view();
    if (role === "leader") this.leads = term;
  }

  #give(input: Input) {
    switch (input.kind) {
      case "campaign":
        return this.#node.campaign();
      case "tick":
        return this.#node.tick();
      case "propose":
        return this.#node.propose(Uint8Array.of(input.serial));
      case "deliver":
        return this.#node.step(this.#messages.get(input.letter).message);
      case "restart":
        return undefined;
    }
  }

  #entries(): readonly Entry[] {
    return this.#log.entries(this.#log.firstIndex(), this.#log.lastIndex() + 1, Infinity) ?? [];
  }
}

function keyOf(node: number, facts: Facts): string {
  return JSON.stringify([node, facts]);
}

function byNode(left: PeerFacts, right: PeerFacts): number {
  return left.node - right.node;
}

function contentOf(entry: Entry): string {
  return `${entry.term}:${entry.kind === "command" ? entry.data.join() : "change"}`;
}
