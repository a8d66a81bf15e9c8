import type { NodeId, Random } from "../../../src/base/mod.ts";
import {
  type AppendOrder,
  type ApplyOrder,
  RAFT_DEFAULTS,
  RaftNode,
  type RaftOptions,
  type StepOutcome,
} from "../../../src/core/raft/mod.ts";
import type { Entry, Snapshot } from "../../../src/protocol/mod.ts";
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
  commitsByVotes: false,
  stepDownOnRemoval: false,
};

/** A node, its disk, and a state machine that appends each command to what it has. */
export interface Replica {
  readonly id: NodeId;
  readonly options: RaftOptions;
  readonly node: RaftNode;
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
  add(options: Omit<RaftOptions, "id">, start: Snapshot | undefined): void {
    const id = nodeId(this.replicas.length + 1);
    const log = new DialogueLog(start);
    const full = { ...options, id };
    const node = new RaftNode(full, log, this.#random.fork());
    const { history } = log;
    this.replicas.push({ id, options: full, node, log, history, appends: [], applies: [] });
  }

  /** @throws {RangeError} when there is no such node. */
  get(number: number): Replica {
    const replica = this.replicas[number - 1];
    if (replica === undefined) throw new RangeError(`There is no node ${number}`);
    return replica;
  }

  /** Does what a node's Ready says, or queues it when its storage is asynchronous. */
  processReady(replica: Replica): void {
    const { id, node, options } = replica;
    const ready = node.ready();
    this.#print(describeReady(id, ready));
    if (ready.append !== undefined) replica.appends.push(ready.append);
    if (ready.apply !== undefined) replica.applies.push(ready.apply);
    if (!options.asyncStorageWrites) {
      persist(replica, ready);
      applyEntries(replica, ready.committed);
    }
    this.messages.push(...ready.messages.map((message) => toParcel(message, id)));
    if (!options.asyncStorageWrites) node.advance();
  }

  /** Carries out a node's oldest order to its disk. */
  processAppend(replica: Replica): void {
    const order = replica.appends.shift();
    if (order === undefined) return this.#print("no append work to perform");
    this.#print("Processing:");
    this.#print(describeAppendOrder(replica.id, order));
    persist(replica, order);
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
      const outcome = this.get(nodeNumber(to)).node.step(parcel.input);
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

function persist(
  { log }: Replica,
  work: Pick<AppendOrder, "hardState" | "entries" | "snapshot">,
): void {
  if (work.hardState !== undefined) log.hardState = work.hardState;
  if (work.snapshot !== undefined) log.install(work.snapshot);
  else log.append(work.entries);
}

function applyEntries({ node, history }: Replica, entries: readonly Entry[]): void {
  for (const entry of entries) {
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
