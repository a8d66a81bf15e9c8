import type { NodeId, Random } from "../../../src/base/mod.ts";
import {
  type AppendOrder,
  type ApplyOrder,
  RAFT_DEFAULTS,
  type RaftInput,
  RaftNode,
  type RaftOptions,
  type Ready,
  type StepOutcome,
} from "../../../src/core/raft/mod.ts";
import type {
  Entry,
  GroupConfiguration,
  RaftMessage,
  Snapshot,
} from "../../../src/protocol/mod.ts";
import type { ReplicaEvent } from "./coverage.ts";
import { EMPTY_SNAPSHOT } from "../memory_log.ts";
import type { DiskOrder, ReplicaDisk } from "./disk_log.ts";
import type { Moment } from "./faults.ts";
import { Violation } from "./invariants.ts";
import { type RegisterCommand, RegisterMachine, type RegisterResult } from "./register_machine.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** Virtual length of a tick on a clock that runs true. */
const TICK_MS = 100;
/** Messages a stopped process finds when it goes on; more are lost, as in a socket's buffer. */
const INBOX_MAX = 512;
/** Times in a row that Raft may want something; healthy ones need a handful. */
const ROUNDS_MAX = 10_000;

/** What a replica tells the world. */
export interface ReplicaHooks {
  send(message: RaftMessage): void;
  /** Before anything happens to Raft. */
  happens(replica: Replica, event: ReplicaEvent): void;
  /** Before a write reaches the disk. */
  writes(replica: Replica, order: DiskOrder): void;
  /** True when a planned crash strikes now. */
  strikes(replica: Replica, moment: Moment): boolean;
  /** After anything that may have changed Raft's state. */
  stepped(replica: Replica): void;
  applied(
    replica: Replica,
    entry: Entry,
    outcome: { readonly command: RegisterCommand; readonly result: RegisterResult } | undefined,
  ): void;
  readable(replica: Replica, context: string): void;
  /** A snapshot of the leader is in place, or the process started from one of its own. */
  restored(replica: Replica, how: "snapshot" | "restart"): void;
}

/**
 * What a disk starts with. The first members share a snapshot at index 1, so that a node which joins later must be sent
 * one: the group's first configuration is in no entry.
 */
export function bootstrap(configuration: GroupConfiguration | undefined): Snapshot {
  if (configuration === undefined) return EMPTY_SNAPSHOT;
  const machine = new RegisterMachine();
  machine.index = 1;
  return { id: { term: 1, index: 1 }, configuration, data: machine.save() };
}

/** When a replica saves itself. */
export interface SnapshotHabits {
  /** Applied entries between two snapshots. */
  readonly every: number;
  /** Entries kept behind the newest one. */
  readonly trailing: number;
}

/** How a replica is made. */
export interface ReplicaParts {
  readonly index: number;
  readonly id: NodeId;
  readonly time: VirtualTime;
  readonly random: Random;
  readonly hooks: ReplicaHooks;
  readonly options: Partial<RaftOptions>;
  readonly snapshots: SnapshotHabits;
  /** Holds a {@link bootstrap}. */
  readonly disk: ReplicaDisk;
}

/** One process with the shipped Raft core in it: its disk survives it, all else dies with it. */
export class Replica {
  readonly index: number;
  readonly id: NodeId;
  readonly disk: ReplicaDisk;
  raft: RaftNode;
  machine = new RegisterMachine();
  up = true;
  /** Why it takes no part, as it says itself; undefined = it does, or was only killed. */
  fenced: string | undefined;
  #isOpening = false;
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
  #inbox: (() => void)[] = [];
  /** Messages that a slow processor took up in an earlier epoch are lost. */
  #queueEpoch = 0;
  #isDraining = false;
  /** Last entry handed out for applying in this life. */
  #handedOut = 0;

  constructor(parts: ReplicaParts) {
    this.#parts = parts;
    this.index = parts.index;
    this.id = parts.id;
    this.disk = parts.disk;
    this.machine = RegisterMachine.restore(this.disk.snapshot().data);
    this.raft = this.#boot();
    this.#handedOut = this.machine.index;
    this.#tickLater();
  }

  get running(): boolean {
    return this.up && this.pauses === 0;
  }

  /** A message arrives at the process. */
  receive(message: RaftMessage): void {
    if (!this.up) return;
    if (this.pauses > 0) return this.#keep(() => this.receive(message));
    if (this.cpuSlowMs === 0) return this.#step(message);
    const epoch = this.#queueEpoch;
    this.#laterInThisLife(this.#parts.random.below(this.cpuSlowMs), () => {
      if (epoch === this.#queueEpoch) this.#step(message);
    });
  }

  /** A client asks: as a message does, it waits while the process is stopped. */
  request(event: ReplicaEvent, action: () => unknown): void {
    if (this.up && this.pauses > 0) return this.#keep(() => this.request(event, action));
    this.handle(event, action);
  }

  /** Does something to Raft, then carries out what follows. */
  handle(event: ReplicaEvent, action: () => unknown): void {
    if (!this.running) return;
    this.#parts.hooks.happens(this, event);
    action();
    this.#parts.hooks.stepped(this);
    this.drain();
  }

  /** Loses the messages that have arrived and are not looked at yet. */
  forgetWhatWaits(): void {
    this.#queueEpoch++;
    this.#inbox = [];
  }

  #step(message: RaftMessage): void {
    this.handle(message.kind, () => this.#expectSense(this.raft.step(message)));
  }

  #keep(action: () => void): void {
    if (this.#inbox.length < INBOX_MAX) this.#inbox.push(action);
  }

  /** Disks and peers are honest here, so whatever speaks of a lie or of a loss is a bug. */
  #expectSense(outcome: StepOutcome): void {
    if (outcome.kind === "accepted") return;
    const { reason, detail } = outcome;
    if (
      reason === "malformed" || reason === "term_jump" || reason === "conflicts_with_committed" ||
      reason === "log_lost"
    ) {
      throw new Violation(`${this.id} refuses a message of an honest peer: ${reason}: ${detail}`);
    }
  }

  /** The process dies now; a write under way may be torn. */
  crash({ power }: { readonly power?: boolean } = {}): void {
    if (!this.up) return this.#crashIdle(power);
    this.#parts.hooks.happens(this, "crash");
    this.up = false;
    this.life++;
    this.crashes++;
    this.effectsUntilCrash = Infinity;
    this.disk.crash({
      random: this.#parts.random,
      power,
      torn: this.writing[0],
      writes: (order) => this.#parts.hooks.writes(this, order),
    });
    this.writing.length = 0;
    this.#applying.length = 0;
    this.#waitingReads.length = 0;
    this.#inbox = [];
  }

  /** Of a process that is there and takes no part: it is fenced, or still reads its log. */
  #crashIdle(power: boolean | undefined): void {
    if (this.fenced === undefined && !this.#isOpening) return;
    this.#isOpening = false;
    this.life++;
    this.disk.crash({ random: this.#parts.random, power, torn: undefined, writes: () => {} });
  }

  /** From here on it says nothing that its log would have to stand for. */
  fence(reason: string): void {
    this.crash({ power: false });
    this.fenced = reason;
  }

  /** One whose log can't be read stays fenced. */
  restart(): void {
    if (this.up || this.#isOpening) return;
    this.#isOpening = true;
    this.disk.reopen((refusal) => {
      this.#isOpening = false;
      this.fenced = refusal;
      if (refusal === undefined) this.#begin();
    });
  }

  #begin(): void {
    this.up = true;
    // A crash planned while it was down is over: nobody would restart it after that one.
    this.effectsUntilCrash = Infinity;
    this.machine = RegisterMachine.restore(this.disk.snapshot().data);
    this.raft = this.#boot();
    this.#handedOut = this.machine.index;
    this.#tickLater();
    this.#parts.hooks.restored(this, "restart");
    this.#parts.hooks.happens(this, "restart");
    this.#parts.hooks.stepped(this);
  }

  pause(): void {
    this.pauses++;
  }

  resume(): void {
    this.pauses--;
    if (this.pauses > 0 || !this.up) return;
    // From several sockets, so in no particular order.
    const inbox = this.#parts.random.shuffle(this.#inbox);
    this.#inbox = [];
    for (const deliver of inbox) deliver();
    this.drain();
  }

  /** Carries out everything Raft wants, until it wants nothing or the planned crash comes. */
  drain(): void {
    // An effect may feed Raft again: the loop below takes that up, a nested one would break the order of effects.
    if (this.#isDraining) return;
    this.#isDraining = true;
    const life = this.life;
    let rounds = 0;
    while (this.running && life === this.life && this.raft.hasReady()) {
      if (++rounds > ROUNDS_MAX) throw new Violation(`livelock: ${this.id} is never ready`);
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
      this.handle("tick", () => this.raft.tick());
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

  /** True when the process survives a moment at which a crash may be planned. */
  #survives(moment: Moment): boolean {
    if (!this.up || this.#parts.hooks.strikes(this, moment)) {
      this.crash();
      return false;
    }
    return true;
  }

  #carryOut(ready: Ready): void {
    const { hooks } = this.#parts;
    // The newest snapshot may be from before the one who needs it joined; Raft asks again and then gets this one.
    if (ready.notes.some(({ kind }) => kind === "snapshot_needed")) this.#saveSnapshot();
    for (const message of ready.messages) {
      if (!this.#survivesEffect()) return;
      hooks.send(message);
    }
    if (ready.append !== undefined) this.#startWrite(ready.append);
    if (!this.up) return;
    const { hardState, entries = [] } = ready.append ?? {};
    if (hardState?.vote !== undefined && !this.#survives("voted")) return;
    if (entries.length > 0 && !this.#survives("entries_ordered")) return;
    if (ready.softState?.role === "leader" && !this.#survives("elected")) return;
    if (ready.apply !== undefined) this.#startApply(ready.apply);
    this.#serveReads(ready);
  }

  #startWrite(order: AppendOrder): void {
    this.writing.push(order);
    if (this.disk.queues) this.#write(order);
    else if (this.writing.length === 1) this.#writeNext();
  }

  #writeNext(): void {
    const { random } = this.#parts;
    const delayMs = random.below(3) + (this.diskSlowMs === 0 ? 0 : random.below(this.diskSlowMs));
    this.#laterInThisLife(delayMs, () => {
      const order = this.writing[0];
      if (order !== undefined) this.#write(order);
    });
  }

  #write(order: AppendOrder): void {
    if (!this.#survivesEffect()) return;
    this.#parts.hooks.writes(this, order);
    const { life } = this;
    this.disk.write(order, (failure) => {
      if (life !== this.life || !this.up) return;
      if (failure === undefined) this.#onWritten(order);
      else this.fence(failure);
    });
  }

  #onWritten(order: AppendOrder): void {
    this.writing.shift();
    this.#restoreMachine(order.snapshot);
    if (!this.up) return;
    if (this.writing.length > 0 && !this.disk.queues) this.#writeNext();
    this.#answer(order.answers, this.#parts.hooks);
  }

  #answer(answers: readonly RaftInput[], hooks: ReplicaHooks): void {
    for (const answer of answers) {
      if (!this.up) return;
      const isOwn = answer.kind === "append_done" || answer.kind === "apply_done" ||
        answer.to === this.id;
      if (isOwn) this.#expectSense(this.raft.step(answer));
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
      if (this.up) this.#answer(next.answers, this.#parts.hooks);
    });
  }

  #applyAll(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.#checkHandedOut(entry);
      // A snapshot from the leader may have overtaken what was on its way to the machine.
      if (entry.index <= this.machine.index) continue;
      if (!this.#apply(entry)) return;
    }
    this.#answerReads();
  }

  /** False when the process crashed behind the entry. */
  #apply(entry: Entry): boolean {
    const { hooks, snapshots } = this.#parts;
    const outcome = this.machine.apply(entry);
    if (entry.kind === "group_change") this.raft.applyChange(entry.change);
    hooks.applied(this, entry, outcome);
    if (entry.kind === "group_change" && !this.#survives("change_applied")) return false;
    if (this.machine.index % snapshots.every === 0) {
      this.#saveSnapshot();
      return this.#survives("snapshot_saved");
    }
    return true;
  }

  #checkHandedOut(entry: Entry): void {
    if (entry.index <= this.#handedOut) {
      throw new Violation(`${this.id} is handed entry ${entry.index} twice`);
    }
    this.#handedOut = entry.index;
    const isDurable = this.disk.term(entry.index) === entry.term ||
      this.disk.snapshot().id.index >= entry.index;
    if (!isDurable) {
      throw new Violation(`${this.id} applies entry ${entry.index} before it is durable`);
    }
  }

  #saveSnapshot(): void {
    const { index } = this.machine;
    const term = this.disk.term(index);
    // Entries still on their way to the disk can't be cut from it.
    if (term === undefined || index > this.disk.lastIndex()) return;
    const { configuration } = this.raft.view();
    const snapshot = { id: { term, index }, configuration, data: this.machine.save() };
    const { life } = this;
    this.disk.compact(snapshot, this.#parts.snapshots.trailing, (failure) => {
      if (life === this.life) this.fence(failure);
    });
  }

  #restoreMachine(snapshot: Snapshot | undefined): void {
    if (snapshot === undefined || snapshot.id.index <= this.machine.index) return;
    this.machine = RegisterMachine.restore(snapshot.data);
    this.#parts.hooks.restored(this, "snapshot");
    this.#survives("snapshot_installed");
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
