import type { NodeId, Random } from "../../../src/base/mod.ts";
import {
  type AppendOrder,
  type ApplyOrder,
  RAFT_DEFAULTS,
  type RaftInput,
  RaftNode,
  type RaftOptions,
  type Ready,
} from "../../../src/core/raft/mod.ts";
import type {
  Entry,
  GroupConfiguration,
  RaftMessage,
  Snapshot,
} from "../../../src/protocol/mod.ts";
import { DiskLog } from "./disk_log.ts";
import { type RegisterCommand, RegisterMachine, type RegisterResult } from "./register_machine.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** Virtual length of a tick on a clock that runs true. */
const TICK_MS = 100;
/** Applied entries between two snapshots, and how many stay behind the newest one. */
const SNAPSHOT_EVERY = 40;
const TRAILING_ENTRIES = 10;
/** Messages a stopped process finds when it goes on; more are lost, as in a socket's buffer. */
const INBOX_MAX = 512;

const EMPTY_GROUP: GroupConfiguration = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** What a replica tells the world. */
export interface ReplicaHooks {
  send(message: RaftMessage): void;
  /** After anything that may have changed Raft's state. */
  stepped(replica: Replica): void;
  applied(
    replica: Replica,
    entry: Entry,
    outcome: { readonly command: RegisterCommand; readonly result: RegisterResult } | undefined,
  ): void;
  readable(replica: Replica, context: string): void;
  snapshotInstalled(replica: Replica): void;
}

/**
 * What a disk starts with. The first members share a snapshot at index 1, so that a node which joins later must be sent
 * one: the group's first configuration is in no entry.
 */
function bootstrap(configuration: GroupConfiguration | undefined): Snapshot {
  if (configuration === undefined) {
    return { id: { term: 0, index: 0 }, configuration: EMPTY_GROUP, data: new Uint8Array() };
  }
  const machine = new RegisterMachine();
  machine.index = 1;
  return { id: { term: 1, index: 1 }, configuration, data: machine.save() };
}

/** How a replica is made. */
export interface ReplicaParts {
  readonly index: number;
  readonly id: NodeId;
  readonly time: VirtualTime;
  readonly random: Random;
  readonly hooks: ReplicaHooks;
  readonly options: Partial<RaftOptions>;
  /** Undefined = a spare node that is let in later. */
  readonly configuration: GroupConfiguration | undefined;
}

/** One process with the shipped Raft core in it: its disk survives it, all else dies with it. */
export class Replica {
  readonly index: number;
  readonly id: NodeId;
  readonly disk: DiskLog;
  raft: RaftNode;
  machine = new RegisterMachine();
  up = true;
  /** Crashes and restarts, so that what was scheduled in an earlier life is dropped. */
  life = 0;
  pauses = 0;
  /** Per cent of a true clock's speed. */
  clockPercent = 100;
  diskSlowMs = 0;
  cpuSlowMs = 0;
  /** Effects left until a planned crash; Infinity = none planned. */
  effectsUntilCrash = Infinity;
  crashes = 0;
  /** Orders given and not yet durable, oldest first. */
  readonly writing: AppendOrder[] = [];
  readonly #applying: ApplyOrder[] = [];
  readonly #parts: ReplicaParts;
  readonly #waitingReads: { readonly index: number; readonly context: string }[] = [];
  #inbox: RaftMessage[] = [];
  #isDraining = false;

  constructor(parts: ReplicaParts) {
    this.#parts = parts;
    this.index = parts.index;
    this.id = parts.id;
    this.disk = new DiskLog(bootstrap(parts.configuration));
    this.machine = RegisterMachine.restore(this.disk.snapshot().data);
    this.raft = this.#boot();
    this.#tickLater();
  }

  get running(): boolean {
    return this.up && this.pauses === 0;
  }

  /** A message arrives at the process. */
  receive(message: RaftMessage): void {
    if (!this.up) return;
    if (this.pauses > 0) {
      if (this.#inbox.length < INBOX_MAX) this.#inbox.push(message);
      return;
    }
    if (this.cpuSlowMs === 0) return this.handle(() => this.raft.step(message));
    const { random } = this.#parts;
    this.#laterInThisLife(
      random.below(this.cpuSlowMs),
      () => this.handle(() => this.raft.step(message)),
    );
  }

  /** Does something to Raft, then carries out what follows. */
  handle(action: () => void): void {
    if (!this.running) return;
    action();
    this.#parts.hooks.stepped(this);
    this.drain();
  }

  /** The process dies now; a write under way may be torn. */
  crash(): void {
    if (!this.up) return;
    this.up = false;
    this.life++;
    this.crashes++;
    this.effectsUntilCrash = Infinity;
    const torn = this.writing[0];
    if (torn !== undefined) {
      const records = torn.entries.length + (torn.hardState === undefined ? 1 : 2);
      this.disk.writeTorn(torn, this.#parts.random.below(records));
    }
    this.writing.length = 0;
    this.#applying.length = 0;
    this.#waitingReads.length = 0;
    this.#inbox = [];
  }

  restart(): void {
    if (this.up) return;
    this.up = true;
    this.machine = RegisterMachine.restore(this.disk.snapshot().data);
    this.raft = this.#boot();
    this.#tickLater();
    this.#parts.hooks.stepped(this);
  }

  pause(): void {
    this.pauses++;
  }

  resume(): void {
    this.pauses--;
    if (this.pauses > 0 || !this.up) return;
    const inbox = this.#inbox;
    this.#inbox = [];
    for (const message of inbox) this.receive(message);
    this.drain();
  }

  /** Carries out everything Raft wants, until it wants nothing or the planned crash comes. */
  drain(): void {
    // An effect may feed Raft again: the loop below takes that up, a nested one would break the order of effects.
    if (this.#isDraining) return;
    this.#isDraining = true;
    const life = this.life;
    while (this.running && life === this.life && this.raft.hasReady()) {
      this.#carryOut(this.raft.ready());
    }
    this.#isDraining = false;
    // A crash inside left the flag to the old life; work of the new one starts by its own events.
  }

  #boot(): RaftNode {
    const { random, options } = this.#parts;
    const applied = this.disk.snapshot().id.index;
    return new RaftNode(
      { ...RAFT_DEFAULTS, ...options, id: this.id, applied },
      this.disk,
      random.fork(),
    );
  }

  #tickLater(): void {
    const delayMs = Math.max(1, Math.round((TICK_MS * 100) / this.clockPercent));
    this.#laterInThisLife(delayMs, () => {
      this.#tickLater();
      this.handle(() => this.raft.tick());
    });
  }

  #laterInThisLife(delayMs: number, action: () => void): void {
    const { life } = this;
    this.#parts.time.after(delayMs, () => {
      if (life === this.life && this.up) action();
    });
  }

  /** Counts one effect; false when the process crashed instead of carrying it out. */
  #survivesEffect(): boolean {
    if (--this.effectsUntilCrash > 0) return true;
    this.crash();
    return false;
  }

  #carryOut(ready: Ready): void {
    const { hooks } = this.#parts;
    // The newest snapshot may be from before the one who needs it joined; Raft asks again and then gets this one.
    if (ready.notes.some(({ kind }) => kind === "snapshot_needed")) this.#saveSnapshot();
    if (ready.append === undefined && ready.apply === undefined && !this.#isAsync()) {
      return this.#carryOutInline(ready);
    }
    for (const message of ready.messages) {
      if (!this.#survivesEffect()) return;
      hooks.send(message);
    }
    if (ready.append !== undefined) this.#startWrite(ready.append);
    if (ready.apply !== undefined) this.#startApply(ready.apply);
    this.#serveReads(ready);
  }

  #isAsync(): boolean {
    return this.#parts.options.asyncStorageWrites === true;
  }

  /** Without asynchronous writes: durable first, then messages, then applying. */
  #carryOutInline(ready: Ready): void {
    const { hooks } = this.#parts;
    if (--this.effectsUntilCrash <= 0) {
      this.writing.push({ ...ready, answers: [] });
      this.crash();
      return;
    }
    this.disk.write(ready);
    this.#restoreMachine(ready.snapshot);
    for (const message of ready.messages) {
      if (!this.#survivesEffect()) return;
      hooks.send(message);
    }
    this.#applyAll(ready.committed);
    this.raft.advance();
    this.#serveReads(ready);
    hooks.stepped(this);
  }

  #startWrite(order: AppendOrder): void {
    this.writing.push(order);
    if (this.writing.length === 1) this.#writeNext();
  }

  #writeNext(): void {
    const { random, hooks } = this.#parts;
    const delayMs = random.below(3) + (this.diskSlowMs === 0 ? 0 : random.below(this.diskSlowMs));
    this.#laterInThisLife(delayMs, () => {
      const order = this.writing[0];
      if (order === undefined || !this.#survivesEffect()) return;
      this.disk.write(order);
      this.writing.shift();
      this.#restoreMachine(order.snapshot);
      if (this.writing.length > 0) this.#writeNext();
      this.#answer(order.answers, hooks);
    });
  }

  #answer(answers: readonly RaftInput[], hooks: ReplicaHooks): void {
    for (const answer of answers) {
      if (!this.up) return;
      const isOwn = answer.kind === "append_done" || answer.kind === "apply_done" ||
        answer.to === this.id;
      if (isOwn) this.raft.step(answer);
      else hooks.send(answer);
    }
    hooks.stepped(this);
    this.drain();
  }

  #startApply(order: ApplyOrder): void {
    this.#applying.push(order);
    this.#laterInThisLife(this.#parts.random.below(3), () => {
      const next = this.#applying.shift();
      if (next === undefined || !this.#survivesEffect()) return;
      this.#applyAll(next.entries);
      this.#answer(next.answers, this.#parts.hooks);
    });
  }

  #applyAll(entries: readonly Entry[]): void {
    const { hooks } = this.#parts;
    for (const entry of entries) {
      // A snapshot from the leader may have overtaken what was on its way to the machine.
      if (entry.index <= this.machine.index) continue;
      const outcome = this.machine.apply(entry);
      if (entry.kind === "group_change") this.raft.applyChange(entry.change);
      hooks.applied(this, entry, outcome);
      if (this.machine.index % SNAPSHOT_EVERY === 0) this.#saveSnapshot();
    }
    this.#answerReads();
  }

  #saveSnapshot(): void {
    const { index } = this.machine;
    const term = this.disk.term(index);
    // Entries still on their way to the disk can't be cut from it.
    if (term === undefined || index > this.disk.lastIndex()) return;
    const { configuration } = this.raft.view();
    const snapshot = { id: { term, index }, configuration, data: this.machine.save() };
    this.disk.compact(snapshot, TRAILING_ENTRIES);
  }

  #restoreMachine(snapshot: Snapshot | undefined): void {
    if (snapshot === undefined || snapshot.id.index <= this.machine.index) return;
    this.machine = RegisterMachine.restore(snapshot.data);
    this.#parts.hooks.snapshotInstalled(this);
  }

  #serveReads(ready: Ready): void {
    this.#waitingReads.push(...ready.readStates);
    this.#answerReads();
  }

  #answerReads(): void {
    for (let index = this.#waitingReads.length - 1; index >= 0; index--) {
      const read = this.#waitingReads[index];
      if (read === undefined || read.index > this.machine.index) continue;
      this.#waitingReads.splice(index, 1);
      this.#parts.hooks.readable(this, read.context);
    }
  }
}
