import { type NodeId, Random } from "../../src/base/mod.ts";
import {
  foundingSnapshot,
  RAFT_DEFAULTS,
  RaftNode,
  type RaftOptions,
  type RaftView,
  type StepOutcome,
} from "../../src/core/raft/mod.ts";
import type { GroupChange, RaftMessage, Snapshot } from "../../src/protocol/mod.ts";
import { InlineStorage } from "./inline_storage.ts";
import { MemoryLog } from "./memory_log.ts";

/** The id of node `number`. */
export function idOf(number: number): NodeId {
  return number.toString(16).padStart(16, "0") as NodeId;
}

/** A change proposed as the product does; `steps` as in `{ add_voter: 4 }`. */
export function change(
  steps: readonly GroupChange["steps"][number][],
  transition: GroupChange["transition"] = "auto",
): GroupChange {
  return { transition, steps, context: new Uint8Array(), form: "batch" };
}

interface Member {
  node: RaftNode;
  storage: InlineStorage;
  readonly log: MemoryLog;
  readonly options: RaftOptions;
  readonly applied: string[];
  readonly reads: { readonly index: number; readonly context: string }[];
  readonly outcomes: StepOutcome[];
}

/** Options of a test group: the product's, but no pre-votes and no quorum checks unless a test is about them. */
export type GroupOptions = Partial<RaftOptions> & {
  readonly voters?: readonly number[];
  readonly learners?: readonly number[];
};

/**
 * A handful of nodes on one in-memory network without delay: messages move only when {@link settle} runs, and only
 * where nothing is cut. For tests of one rule each; the simulator is for the rest.
 */
export class RaftGroup {
  readonly #members = new Map<number, Member>();
  readonly #cut = new Set<string>();
  readonly #random: Random;
  /** Messages in transit. Tests may look, drop or repeat. */
  messages: RaftMessage[] = [];

  constructor(count: number, options: GroupOptions = {}, seed = 1) {
    this.#random = new Random(seed);
    const { voters = numbersTo(count), learners = [], ...rest } = options;
    const founding = foundingSnapshot(voters.map(idOf), new Uint8Array());
    const configuration = { ...founding.configuration, learners: learners.map(idOf) };
    const start: Snapshot = { ...founding, configuration };
    for (const number of numbersTo(count)) this.add(number, rest, start);
  }

  /** Adds a node that knows of nobody, or starts from `start`. */
  add(number: number, options: Partial<RaftOptions> = {}, start?: Snapshot): void {
    const full: RaftOptions = {
      ...RAFT_DEFAULTS,
      applied: start?.id.index ?? 0,
      preVote: false,
      checkQuorum: false,
      ...options,
      id: idOf(number),
    };
    const log = new MemoryLog(start);
    const node = new RaftNode(full, log, this.#random.fork());
    const lists = { applied: [], reads: [], outcomes: [] };
    const storage = new InlineStorage(node, log);
    this.#members.set(number, { node, storage, log, options: full, ...lists });
  }

  node(number: number): RaftNode {
    return this.#member(number).node;
  }

  log(number: number): MemoryLog {
    return this.#member(number).log;
  }

  view(number: number): RaftView {
    return this.node(number).view();
  }

  /** The commands node `number` applied, in order, without the empty ones. */
  applied(number: number): readonly string[] {
    return this.#member(number).applied;
  }

  reads(number: number): readonly { readonly index: number; readonly context: string }[] {
    return this.#member(number).reads;
  }

  /** Outcomes of messages that were refused at node `number`. */
  refusals(number: number): readonly StepOutcome[] {
    return this.#member(number).outcomes;
  }

  /** The numbers of all nodes that lead in the highest term. */
  leaders(): readonly number[] {
    const views = [...this.#members].map(([number, { node }]) => ({ number, view: node.view() }));
    const leading = views.filter(({ view }) => view.role === "leader");
    const term = Math.max(0, ...leading.map(({ view }) => view.term));
    return leading.filter(({ view }) => view.term === term).map(({ number }) => number);
  }

  propose(number: number, text: string): StepOutcome {
    return this.node(number).propose(new TextEncoder().encode(text));
  }

  /** Campaigns and settles. */
  elect(number: number): void {
    this.node(number).campaign();
    this.settle();
  }

  /** Ticks one node, or all, and settles after each tick. */
  tick(count: number, number?: number): void {
    for (let tick = 0; tick < count; tick++) {
      for (const [other, { node }] of this.#members) {
        if (number === undefined || number === other) node.tick();
      }
      this.settle();
    }
  }

  /** Messages from `from` to `to` are lost from now on. */
  cut(from: number, to: number): void {
    this.#cut.add(`${idOf(from)}>${idOf(to)}`);
  }

  /** Nothing passes between `number` and the others. */
  isolate(number: number): void {
    for (const other of this.#members.keys()) {
      if (other === number) continue;
      this.cut(number, other);
      this.cut(other, number);
    }
  }

  heal(): void {
    this.#cut.clear();
  }

  /** The node forgets all but what its log holds. */
  restart(number: number, applied = this.log(number).firstIndex() - 1): void {
    const member = this.#member(number);
    member.applied.length = 0;
    member.node = new RaftNode({ ...member.options, applied }, member.log, this.#random.fork());
    member.storage = new InlineStorage(member.node, member.log);
  }

  /** Handles one Ready of one node; false when there was none. */
  drive(number: number): boolean {
    const member = this.#member(number);
    const { node, storage } = member;
    if (!node.hasReady()) return false;
    const ready = storage.ready();
    this.messages.push(...ready.messages);
    for (const entry of ready.committed) {
      if (entry.kind === "group_change") node.applyChange(entry.change);
      else if (entry.data.length > 0) member.applied.push(new TextDecoder().decode(entry.data));
    }
    member.reads.push(...ready.readStates);
    storage.advance();
    return true;
  }

  /** Delivers one message, cut or not. */
  deliver(message: RaftMessage): void {
    for (const [number, member] of this.#members) {
      if (idOf(number) !== message.to) continue;
      const outcome = member.node.step(message);
      if (outcome.kind === "refused") member.outcomes.push(outcome);
    }
  }

  /** Runs everything until nothing is left to do. */
  settle(): void {
    for (let busy = true; busy;) {
      busy = false;
      for (const number of this.#members.keys()) while (this.drive(number)) busy = true;
      const messages = this.messages;
      this.messages = [];
      for (const message of messages) {
        if (this.#cut.has(`${message.from}>${message.to}`)) continue;
        this.deliver(message);
        busy = true;
      }
    }
  }

  /** Makes node `number` snapshot what it applied and drop the entries before. */
  compact(number: number): void {
    const { node, log, applied } = this.#member(number);
    const { applied: index, configuration } = node.view();
    const id = { term: log.term(index) ?? 0, index };
    log.remember({ id, configuration, data: new TextEncoder().encode(applied.join(",")) });
    log.dropUpTo(index);
  }

  #member(number: number): Member {
    const member = this.#members.get(number);
    if (member === undefined) throw new RangeError(`There is no node ${number}`);
    return member;
  }
}

function numbersTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
