import type { NodeId, Random } from "../../../src/base/mod.ts";
import {
  type AppendOrder,
  type ApplyOrder,
  RAFT_DEFAULTS,
  type RaftInput,
  RaftNode,
  type RaftOptions,
  type StepOutcome,
} from "../../../src/core/raft/mod.ts";
import type { Entry, Snapshot } from "../../../src/protocol/mod.ts";
import { InlineStorage, write } from "../inline_storage.ts";
import { EMPTY_GROUP, MemoryLog } from "../memory_log.ts";
import {
  describeAppendOrder,
  describeApplyOrder,
  describeParcel,
  describeReady,
  nodeId,
  nodeNumber,
  type Parcel,
  toParcel,
  unmask,
} from "./describe.ts";

/** What the dialogues' nodes differ in from the product's. */
export const DIALOGUE_OPTIONS: Omit<RaftOptions, "id"> = {
  ...RAFT_DEFAULTS,
  electionTicks: 3,
  heartbeatTicks: 1,
  messageBytesMax: Infinity,
  applyingBytesMax: Infinity,
  uncommittedBytesMax: Infinity,
  inflightMessagesMax: Infinity,
  inflightBytesMax: Infinity,
  preVote: false,
  checkQuorum: false,
  stepDownOnRemoval: false,
};

/** What recorded nodes do and the product's never do; played by this replay around the core. */
export interface Habits {
  /** Its storage takes time: orders wait until a directive carries them out. */
  readonly storesLater: boolean;
  /** It refuses to forget a leader, because leases rest on it. */
  readonly leases: boolean;
  /** As a leader it appends any change of the group, whether it fits or not. */
  readonly appendsAnyChange: boolean;
}

/** Election timeouts are drawn; some dialogues fix them. */
class DialogueNode extends RaftNode {
  /** Holds until the next draw. Ticks, >= 1. */
  setElectionTimeout(ticks: number): void {
    this.state.electionTimeoutTicks = ticks;
  }
}

/** A node, its disk, and a state machine that appends each command to what it has. */
export interface Replica {
  readonly id: NodeId;
  readonly options: RaftOptions;
  readonly habits: Habits;
  readonly node: DialogueNode;
  readonly storage: InlineStorage;
  readonly log: MemoryLog;
  /** One snapshot per applied entry. */
  readonly history: Snapshot[];
  readonly appends: AppendOrder[];
  readonly applies: ApplyOrder[];
}

const EMPTY_SNAPSHOT: Snapshot = {
  id: { term: 0, index: 0 },
  configuration: EMPTY_GROUP,
  data: new Uint8Array(),
};

/** A state machine's newest snapshot is what its node sends, wherever the log was compacted. */
class DialogueLog extends MemoryLog {
  readonly history: Snapshot[];
  constructor(start: Snapshot | undefined) {
    super(start);
    this.history = [start ?? EMPTY_SNAPSHOT];
  }
  override snapshot(): Snapshot | undefined {
    return this.history.at(-1);
  }
}

/** How a node of a dialogue is made. */
export interface NodeSettings {
  readonly options: Omit<RaftOptions, "id">;
  readonly habits: Habits;
  readonly start: Snapshot | undefined;
}

/** The nodes of a dialogue and the messages between them, run by hand. Prints what it does. */
export class Cluster {
  readonly replicas: Replica[] = [];
  messages: Parcel[] = [];
  readonly #random: Random;
  readonly #print: (text: string) => void;

  constructor(random: Random, print: (text: string) => void) {
    this.#random = random;
    this.#print = print;
  }

  /** Adds one node with the next id; with `start` its log begins behind that snapshot. */
  add({ options, habits, start }: NodeSettings): void {
    const id = nodeId(this.replicas.length + 1);
    const log = new DialogueLog(start);
    const full = { ...options, id };
    const node = new DialogueNode(full, log, this.#random.fork());
    const { history } = log;
    const storage = new InlineStorage(node, log);
    const lists = { history, appends: [], applies: [] };
    this.replicas.push({ id, options: full, habits, node, log, storage, ...lists });
  }

  /** @throws {RangeError} when there is no such node. */
  get(number: number): Replica {
    const replica = this.replicas[number - 1];
    if (replica === undefined) throw new RangeError(`There is no node ${number}`);
    return replica;
  }

  /** Does what a node's Ready says, or queues it when its storage is asynchronous. */
  processReady(replica: Replica): void {
    if (replica.habits.storesLater) return this.#takeOrders(replica);
    const { id, storage } = replica;
    const ready = storage.ready();
    this.#print(describeReady(id, ready));
    applyEntries(replica, ready.committed);
    this.messages.push(...ready.messages.map((message) => toParcel(message, id)));
    storage.advance();
  }

  #takeOrders({ id, node, appends, applies }: Replica): void {
    const ready = node.ready();
    const { append, apply } = ready;
    const { hardState, entries = [], snapshot, mustSync = false } = append ?? {};
    const work = { hardState, entries, snapshot, mustSync, committed: apply?.entries ?? [] };
    this.#print(describeReady(id, { ...ready, ...work }, { append, apply }));
    if (append !== undefined) appends.push(append);
    if (apply !== undefined) applies.push(apply);
    this.messages.push(...ready.messages.map((message) => toParcel(message, id)));
  }

  /** Carries out a node's oldest order to its disk. */
  processAppend(replica: Replica): void {
    const order = replica.appends.shift();
    if (order === undefined) return this.#print("no append work to perform");
    this.#print("Processing:");
    this.#print(describeAppendOrder(replica.id, order));
    write(replica.log, order);
    this.#answer(replica, order.answers);
  }

  /** Carries out a node's oldest order to its state machine. */
  processApply(replica: Replica): void {
    const order = replica.applies.shift();
    if (order === undefined) return this.#print("no apply work to perform");
    this.#print("Processing:");
    this.#print(describeApplyOrder(replica.id, order));
    applyEntries(replica, order.entries);
    this.#answer(replica, order.answers);
  }

  #answer(replica: Replica, answers: readonly Parcel["input"][]): void {
    this.#print("Responses:");
    const parcels = answers.map((answer) => toParcel(answer, replica.id));
    for (const parcel of parcels) this.#print(describeParcel(parcel));
    this.messages.push(...parcels);
  }

  /** Messages in transit to a node. A node's own are never lost, so never taken to be dropped. */
  pending(to: NodeId, options: { type?: string | undefined; drop?: boolean } = {}): Parcel[] {
    return this.messages.filter((parcel) =>
      parcel.to === to && !(options.drop === true && isLocal(parcel)) &&
      (options.type === undefined || parcel.type === options.type)
    );
  }

  /** Delivers or drops messages; returns how many. */
  deliver(to: NodeId, options: { type?: string | undefined; drop?: boolean } = {}): number {
    const parcels = this.pending(to, options);
    const taken = new Set(parcels);
    this.messages = this.messages.filter((parcel) => !taken.has(parcel));
    for (const parcel of parcels) {
      this.#print((options.drop === true ? "dropped: " : "") + describeParcel(parcel));
      if (options.drop === true) continue;
      const outcome = this.get(nodeNumber(to)).node.step(silenced(parcel.input));
      const complaint = complaintOf(outcome);
      if (complaint !== undefined) this.#print(complaint);
    }
    return parcels.length;
  }

  /** Ready, delivery, disk and state machine in turn, on `replicas`, until nothing is left to do. */
  stabilize(
    replicas: readonly Replica[],
    indented: (title: string, run: () => void) => void,
  ): void {
    for (let busy = true; busy;) {
      busy = false;
      const turn = (
        wanted: (replica: Replica) => boolean,
        title: string,
        run: (replica: Replica) => void,
      ) => {
        for (const replica of replicas) {
          if (!wanted(replica)) continue;
          indented(`> ${nodeNumber(replica.id)} ${title}`, () => run(replica));
          busy = true;
        }
      };
      turn(({ node }) => node.hasReady(), "handling Ready", (it) => this.processReady(it));
      turn(({ id }) => this.pending(id).length > 0, "receiving messages", ({ id }) => {
        this.deliver(id);
      });
      turn(({ appends }) => appends.length > 0, "processing append thread", (it) => {
        while (it.appends.length > 0) this.processAppend(it);
      });
      turn(({ applies }) => applies.length > 0, "processing apply thread", (it) => {
        while (it.applies.length > 0) this.processApply(it);
      });
    }
  }
}

/** What the dialogues print for an input that was refused; undefined where they print nothing. */
export function complaintOf(outcome: StepOutcome): string | undefined {
  if (outcome.kind === "accepted") return undefined;
  switch (outcome.reason) {
    case "proposal_dropped":
      return "raft proposal dropped";
    case "unknown_peer":
      return "raft: cannot step as peer not found";
    default:
      return undefined;
  }
}

function isLocal({ from, to }: Parcel): boolean {
  return from === to || from === "AppendThread" || from === "ApplyThread";
}

/** The recorded nodes' votes do not tell what is committed. */
function silenced(input: RaftInput): RaftInput {
  return "committed" in input ? { ...input, committed: EMPTY_SNAPSHOT.id } : input;
}

function applyEntries({ node, history }: Replica, entries: readonly Entry[]): void {
  for (const entry of entries.map(unmask)) {
    const last = history.at(-1) ?? EMPTY_SNAPSHOT;
    const isCommand = entry.kind === "command";
    const update = isCommand ? entry.data : entry.change.context;
    history.push({
      id: { term: entry.term, index: entry.index },
      configuration: isCommand ? last.configuration : node.applyChange(entry.change),
      data: Uint8Array.of(...last.data, ...update),
    });
  }
}
