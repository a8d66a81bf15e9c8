import type { Random } from "../../../src/base/mod.ts";
import type { Operation, Specification } from "../checkers/linearizability.ts";
import { Violation } from "./invariants.ts";
import { encodeCommand, type RegisterCommand, type RegisterResult } from "./register_machine.ts";
import type { Replica } from "./replica.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** How long a client waits for an answer before it asks another node. */
const ATTEMPT_MS = 700;
/** After so many attempts nobody knows what became of the operation. */
const ATTEMPTS_MAX = 4;
const KEYS = ["a", "b", "c"] as const;

/** Clients that only read, soon again, and mostly ask whoever believes to lead: stale reads happen there. */
const READER_ATTEMPT_MS = 300;

/** What a client asks; a history is made of these. */
export type ClientInput = RegisterCommand["action"] | { readonly kind: "get" };
/** What it is told: a value for a get, whether it was done for the others. */
export type ClientOutput = number | boolean;

/** The sequential register. */
export const REGISTER: Specification<number, ClientInput, ClientOutput> = {
  initial: 0,
  step(state, input, output) {
    if (input.kind === "get") return output === undefined || output === state ? state : undefined;
    if (input.kind === "put") return input.value;
    const applies = state === input.expected;
    if (output !== undefined && output !== applies) return undefined;
    return applies ? input.value : state;
  },
  describe: String,
};

interface Open {
  readonly key: string;
  readonly input: ClientInput;
  readonly invokedAt: number;
  readonly serial: number;
  attempt: number;
}

/** What a client uses of the world. */
export interface ClientWorld {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly replicas: readonly Replica[];
  /** The highest index that any node has applied: from then on some client may know what it did. */
  appliedMax(): number;
}

/** What a client does: writers also read. */
export type ClientHabit = "writer" | "reader";

/** A client that asks one thing at a time, whichever node it happens to choose, and remembers what it was told. */
export class Client {
  readonly #answered: Operation<ClientInput, ClientOutput>[] = [];
  /** Writes that nobody answered, by serial. */
  readonly #unknown = new Map<number, Operation<ClientInput, ClientOutput>>();
  readonly #applied = new Set<number>();
  readonly #world: ClientWorld;
  readonly #id: number;
  #serial = 0;
  #open: Open | undefined;
  #lastSeen = 0;
  #stopped = false;
  #isImpatient = false;
  /** What was applied somewhere when a node was asked for a read, by the read's context. */
  readonly #freshness = new Map<string, number>();

  readonly #habit: ClientHabit;

  constructor(world: ClientWorld, id: number, habit: ClientHabit) {
    this.#world = world;
    this.#id = id;
    this.#habit = habit;
    this.#world.time.after(world.random.below(500), () => this.#ask());
  }

  /** Operations that were answered, by what they were. */
  get finished(): { readonly reads: number; readonly writes: number } {
    const reads = this.#answered.filter(({ input }) => input.kind === "get").length;
    return { reads, writes: this.#answered.length - reads };
  }

  /**
   * What it asked and was told. Unanswered writes that no machine ever applied are left out: they did not happen, and
   * each one doubles the orders that a checker has to try.
   */
  get history(): Operation<ClientInput, ClientOutput>[] {
    const happened = [...this.#unknown].filter(([serial]) => this.#applied.has(serial));
    return [...this.#answered, ...happened.map(([, operation]) => operation)];
  }

  /** From now on it mostly asks whoever leads: where few nodes are left, chance alone could keep it from them for long. */
  hurry(): void {
    this.#isImpatient = true;
  }

  /** Asks nothing new; what is open becomes unknown. */
  stop(): void {
    this.#stopped = true;
    if (this.#open !== undefined) this.#giveUp(this.#open);
  }

  /** A node applied a command of this client. */
  onApplied(serial: number, result: RegisterResult): void {
    this.#applied.add(serial);
    const open = this.#open;
    if (open === undefined || open.serial !== serial || open.input.kind === "get") return;
    // The answer travels back and may be late, but not lost: a lost one is a timeout, which the attempts have.
    this.#reply(open, open.input.kind === "put" ? true : result.applied);
  }

  /** A node may serve a read of this client. */
  onReadable(replica: Replica, context: string): void {
    const open = this.#open;
    if (open === undefined || open.input.kind !== "get") return;
    // An answer to any attempt will do: each was asked after the operation began.
    if (!context.startsWith(`${this.#id}/${open.serial}/`)) return;
    const wanted = this.#freshness.get(context) ?? 0;
    if (replica.machine.index < wanted) {
      throw new Violation(
        `stale read: ${replica.id} serves ${replica.machine.index}, ${wanted} was applied before`,
      );
    }
    this.#reply(open, replica.machine.read(open.key));
  }

  /** True when the read context is one of this client. */
  owns(context: string): boolean {
    return context.startsWith(`${this.#id}/`);
  }

  get id(): number {
    return this.#id;
  }

  #ask(): void {
    if (this.#stopped) return;
    const { random, time } = this.#world;
    const serial = ++this.#serial;
    this.#freshness.clear();
    const key = random.pick(KEYS) ?? "a";
    const value = this.#id * 100_000 + serial;
    const input: ClientInput = this.#habit === "reader"
      ? { kind: "get" }
      : random.pick<ClientInput>([
        { kind: "get" },
        { kind: "get" },
        { kind: "put", value },
        { kind: "swap", expected: this.#lastSeen, value },
      ]) ?? { kind: "get" };
    this.#open = { key, input, invokedAt: time.nowMs, serial, attempt: 0 };
    this.#attempt(this.#open);
  }

  #attempt(open: Open): void {
    if (this.#open !== open) return;
    const isReader = this.#habit === "reader";
    if (open.attempt >= (isReader ? 1 : ATTEMPTS_MAX)) {
      this.#giveUp(open);
      this.#askLater();
      return;
    }
    open.attempt++;
    const { random, time, replicas } = this.#world;
    const leaders = (isReader || this.#isImpatient) && random.chance(3, 4)
      ? replicas.filter(({ raft }) => raft.view().role === "leader")
      : [];
    const replica = random.pick(leaders) ?? random.pick(replicas);
    time.after(isReader ? READER_ATTEMPT_MS : ATTEMPT_MS, () => this.#attempt(open));
    if (replica === undefined) return;
    const { key, input, serial } = open;
    // Of this attempt, because the request may lie at the node for a while.
    const context = this.#context(open);
    if (input.kind === "get") {
      replica.request("read", () => {
        this.#freshness.set(context, this.#world.appliedMax());
        replica.raft.readIndex(context);
      });
    } else {
      const data = encodeCommand({ client: this.#id, serial, key, action: input });
      replica.request("propose", () => replica.raft.propose(data));
    }
  }

  #reply(open: Open, output: ClientOutput): void {
    const { time } = this.#world;
    const { key, input, invokedAt } = open;
    this.#answered.push({ key, input, invokedAt, outcome: { output, returnedAt: time.nowMs } });
    if (typeof output === "number") this.#lastSeen = output;
    this.#open = undefined;
    this.#askLater();
  }

  #giveUp(open: Open): void {
    const { key, input, invokedAt, serial } = open;
    this.#open = undefined;
    // A read that nobody answered changed nothing; a write may still come.
    if (input.kind !== "get") this.#unknown.set(serial, { key, input, invokedAt });
  }

  #askLater(): void {
    const { time, random } = this.#world;
    const pauseMs = this.#habit === "reader" ? random.between(5, 120) : random.between(20, 400);
    time.after(pauseMs, () => this.#ask());
  }

  /** Each attempt has a context of its own, as the core asks for. */
  #context(open: Open): string {
    return `${this.#id}/${open.serial}/${open.attempt}`;
  }
}
