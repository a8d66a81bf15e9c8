/**
 * A cluster whose machines sleep, under random demand: the shipped decisions (who may sleep, who votes, where a request goes,
 * who is woken) over a log that reaches each node at its own time, machines that take seconds to fall asleep and to wake, and
 * a clock that jumps. What must never happen is looked for after each event that could bring it about.
 *
 * @module
 */
import { type NodeId, Random } from "../../../src/base/mod.ts";
import { planVoters, VOTERS_DEFAULTS } from "../../../src/core/catalogue/mod.ts";
import { chooseRoute, type RouteCandidate } from "../../../src/core/scheduler/mod.ts";
import {
  chooseWaker,
  type Hardware,
  meanWakeMs,
  nextSleepStep,
  type Sleep,
  WAKE_LIMITS,
  whoStays,
} from "../../../src/core/sleeping/mod.ts";
import { canWake } from "../../../src/core/sleeping/wake_plan.ts";
import { majorityOf } from "../../../src/core/voting/mod.ts";
import type { GroupConfiguration } from "../../../src/protocol/mod.ts";
import { EventQueue } from "./event_queue.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** How a world is made. */
export interface SleepWorldOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly segments: number;
  readonly models: number;
  readonly sleepAfterMs: number | undefined;
  /** People work for so long a day, in sessions of half an hour. */
  readonly demandHours: number;
  /** How often somebody tells a node to sleep or wakes it by its button, a day and node. */
  readonly whims: number;
  /** Plants a fault, to see that it is found. */
  readonly fault?: "sleeps_busy" | "keeps_vote" | "no_guard" | "no_order" | "wakes_needlessly";
}

/** What came of it. */
export interface SleepFigures {
  readonly violations: readonly string[];
  /** Share of the time of all machines, 0 to 1. */
  readonly awakeShare: number;
  readonly requests: number;
  /** Those that waited for a machine to wake, and how long, in milliseconds. */
  readonly wokenFor: readonly number[];
  readonly sleeps: number;
  readonly asleepMost: number;
}

type Row = Sleep & { readonly revision: number; readonly sinceMs: number };

interface Machine {
  readonly nodeId: NodeId;
  readonly hardware: Hardware;
  readonly models: ReadonlySet<number>;
  readonly trueWakeMs: number;
  state: "awake" | "falling" | "asleep" | "waking";
  awakeSinceMs: number;
  awakeMs: number;
  idleSinceMs: number;
  /** Rows as it has applied them. */
  rows: ReadonlyMap<NodeId, Row>;
  applied: number;
  running: number;
  waiting: (() => void)[];
  life: number;
}

const SLOTS = 1;

/** See the module. */
export class SleepWorld {
  readonly #options: SleepWorldOptions;
  readonly #events = new EventQueue();
  readonly #random: Random;
  readonly #machines: readonly Machine[];
  readonly #byId: ReadonlyMap<NodeId, Machine>;
  readonly #violations: string[] = [];
  readonly #wokenFor: number[] = [];
  readonly #wakeMs = new Map<NodeId, number>();
  /** Wakes under way, by whom they are for. */
  readonly #wakes = new Map<NodeId, number>();
  /** The catalogue at the head of the log. */
  #rows: ReadonlyMap<NodeId, Row> = new Map();
  readonly #log: ReadonlyMap<NodeId, Row>[] = [new Map()];
  #configuration: GroupConfiguration;
  #leader: NodeId;
  #requests = 0;
  #open = 0;
  #sleeps = 0;
  #asleepMost = 0;

  constructor(options: SleepWorldOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#machines = Array.from({ length: options.nodes }, (_, index) => this.#make(index));
    this.#byId = new Map(this.#machines.map((machine) => [machine.nodeId, machine]));
    const ids = this.#machines.map(({ nodeId }) => nodeId);
    const voters = ids.slice(0, Math.min(5, ids.length - (ids.length + 1) % 2));
    this.#leader = ids[0] ?? "" as NodeId;
    this.#configuration = configurationOf(voters, ids);
  }

  run(days: number): SleepFigures {
    for (const machine of this.#machines) this.#look(machine);
    for (let day = 0; day < days; day++) this.#planDay(day * DAY_MS);
    this.#events.runUntil(days * DAY_MS + HOUR_MS);
    if (this.#open > 0 && this.#violations.length === 0) {
      this.#violate(`${this.#open} accepted requests were never answered`);
    }
    for (const machine of this.#machines) {
      if (machine.state !== "asleep") machine.awakeMs += this.#events.nowMs - machine.awakeSinceMs;
    }
    const total = this.#machines.length * this.#events.nowMs;
    const awake = this.#machines.reduce((sum, { awakeMs }) => sum + awakeMs, 0);
    return {
      violations: this.#violations,
      awakeShare: awake / total,
      requests: this.#requests,
      wokenFor: this.#wokenFor,
      sleeps: this.#sleeps,
      asleepMost: this.#asleepMost,
    };
  }

  #make(index: number): Machine {
    const { segments, models, nodes } = this.#options;
    const hex = (index + 1).toString(16).padStart(2, "0");
    const held = Array.from({ length: models }, (_, model) => model)
      // Two holders each, as the cluster places them, spread over the machines.
      .filter((model) =>
        [model, model + 1 + model % Math.max(1, nodes - 1)].some((at) => at % nodes === index)
      );
    return {
      nodeId: hex.repeat(8) as NodeId,
      hardware: {
        cards: [{ mac: `02:00:00:00:00:${hex}`, broadcast: `10.0.${index % segments}.255` }],
      },
      models: new Set(held),
      trueWakeMs: 5_000 + this.#random.below(25_000),
      state: "awake",
      awakeSinceMs: 0,
      awakeMs: 0,
      idleSinceMs: 0,
      rows: new Map(),
      applied: 0,
      running: 0,
      waiting: [],
      life: 0,
    };
  }

  /** Sessions and whims of one day. */
  #planDay(startMs: number): void {
    const { demandHours, models, nodes, whims } = this.#options;
    const sessions = Math.round(demandHours * 2);
    for (let session = 0; session < sessions; session++) {
      const beginMs = startMs + this.#random.below(DAY_MS - HOUR_MS);
      const model = this.#random.below(models);
      for (let atMs = 0; atMs < HOUR_MS / 2; atMs += 10_000 + this.#random.below(100_000)) {
        this.#events.after(beginMs + atMs - this.#events.nowMs, () => this.#ask(model));
      }
    }
    for (let whim = 0; whim < Math.round(whims * nodes); whim++) {
      const machine = this.#machines[this.#random.below(nodes)];
      const atMs = startMs + this.#random.below(DAY_MS) - this.#events.nowMs;
      const isSleep = this.#random.chance(2, 3);
      if (machine === undefined) continue;
      this.#events.after(atMs, () => isSleep ? this.#wish(machine) : this.#pressButton(machine));
    }
  }

  // The log: one order for all, applied by each node at its own time.

  #put(nodeId: NodeId, row: Sleep | undefined, expected?: Sleep["state"]): void {
    this.#events.after(5 + this.#random.below(50), () => {
      if (expected !== undefined && this.#rows.get(nodeId)?.state !== expected) return;
      const rows = new Map(this.#rows);
      const revision = this.#log.length;
      if (row === undefined) rows.delete(nodeId);
      else rows.set(nodeId, { ...row, revision, sinceMs: this.#events.nowMs });
      this.#rows = rows;
      this.#log.push(rows);
      this.#checkQuorum();
      for (const machine of this.#machines) this.#deliver(machine);
      this.#planVoters();
    });
  }

  #deliver(machine: Machine): void {
    const { life } = machine;
    const target = this.#log.length - 1;
    const delayMs = 2 + this.#random.below(200);
    this.#events.after(delayMs, () => {
      if (machine.life !== life || machine.state !== "awake" && machine.state !== "falling") return;
      if (target <= machine.applied) return;
      machine.applied = target;
      machine.rows = this.#log[target] ?? machine.rows;
      if (machine.state === "awake" && machine.rows.has(machine.nodeId)) this.#decide(machine);
    });
  }

  #planVoters(): void {
    this.#events.after(50 + this.#random.below(200), () => {
      const { nowMs } = this.#events;
      const caughtUp = this.#configuration.learners.filter((id) => this.#isUp(id));
      const plan = planVoters({
        self: this.#leader,
        configuration: this.#configuration,
        members: this.#machines.map(({ nodeId, awakeSinceMs }) => {
          const state = this.#rows.get(nodeId)?.state;
          const goes = state === "going" || state === "asleep";
          return {
            nodeId,
            standing: this.#isUp(nodeId) ? "alive" : "left",
            sinceMs: this.#isUp(nodeId) ? awakeSinceMs : 0,
            duty: goes && this.#options.fault !== "keeps_vote" ? "leaving" : "serving",
          } as const;
        }),
        caughtUp,
        nowMs,
      }, VOTERS_DEFAULTS);
      if (plan.kind === "none") return;
      if (plan.kind === "transfer") this.#leader = plan.to;
      else {
        const voters = new Set(this.#configuration.voters);
        for (const { action, node } of plan.change.steps) {
          if (action === "add_voter") voters.add(node);
          else voters.delete(node);
        }
        const ids = this.#machines.map(({ nodeId }) => nodeId);
        this.#configuration = configurationOf(ids.filter((id) => voters.has(id)), ids);
        this.#checkQuorum();
      }
      this.#planVoters();
    });
  }

  // A machine, and what it decides.

  #look(machine: Machine): void {
    const { life } = machine;
    this.#decide(machine);
    const isGoing = machine.rows.get(machine.nodeId) !== undefined;
    this.#events.after(isGoing ? SECOND_MS : 30_000, () => {
      if (machine.life === life && machine.state === "awake") this.#look(machine);
    });
  }

  #decide(machine: Machine): void {
    const { nodeId, rows } = machine;
    const { nowMs } = this.#events;
    const row = rows.get(nodeId);
    const requests = machine.running + machine.waiting.length;
    const { fault } = this.#options;
    const others = this.#machines.filter((other) => other !== machine).map((other) => ({
      nodeId: other.nodeId,
      hardware: other.hardware,
      isAwake: this.#isUp(other.nodeId),
      row: rows.get(other.nodeId),
    }));
    // As if nobody slept, or nobody looked again once its own row is there.
    const isBlind = fault === "no_guard" || fault === "no_order" && row !== undefined;
    const rest = whoStays({ revision: row?.revision, hardware: machine.hardware }, others);
    const onlyHere = [...machine.models].filter((model) =>
      !this.#machines.some((other) => other !== machine && other.models.has(model))
    );
    const step = nextSleepStep({
      facts: {
        requests: fault === "sleeps_busy" ? 0 : requests,
        idleMs: requests > 0 ? 0 : nowMs - machine.idleSinceMs,
        sleepAfterMs: this.#options.sleepAfterMs,
        isUserHere: undefined,
        onlyHere: onlyHere.map(String),
        ...isBlind ? { guards: 1, heirs: 1 } : rest,
      },
      row: row?.state,
      rowMs: nowMs - (row?.sinceMs ?? nowMs),
      isVoter: fault !== "keeps_vote" && this.#configuration.voters.includes(nodeId),
    });
    const say = (state: Sleep["state"]) =>
      this.#put(nodeId, { state, reason: "", holds: [] }, row?.state);
    switch (step.kind) {
      case "none":
        return;
      case "announce":
        return say("going");
      case "refuse":
      case "withdraw":
      case "return":
        return this.#put(nodeId, undefined, row?.state);
      case "suspend":
        return this.#fallAsleep(machine, row?.state);
    }
  }

  #fallAsleep(machine: Machine, expected: Sleep["state"] | undefined): void {
    machine.state = "falling";
    const { life } = machine;
    this.#put(machine.nodeId, { state: "asleep", reason: "", holds: [] }, expected);
    this.#events.after(SECOND_MS + this.#random.below(3_000), () => {
      if (machine.life !== life || machine.state !== "falling") return;
      const isOwn = this.#rows.get(machine.nodeId)?.state === "asleep";
      if (
        machine.running + machine.waiting.length > 0 && this.#options.fault !== "sleeps_busy" ||
        !isOwn
      ) {
        machine.state = "awake"; // Something came meanwhile.
        return this.#look(machine);
      }
      if (machine.running + machine.waiting.length > 0) {
        this.#violate("a machine fell asleep under a request");
      }
      machine.state = "asleep";
      machine.life++;
      machine.awakeMs += this.#events.nowMs - machine.awakeSinceMs;
      this.#sleeps++;
      const asleep = this.#machines.filter(({ state }) => state === "asleep").length;
      this.#asleepMost = Math.max(this.#asleepMost, asleep);
      this.#checkQuorum();
      this.#checkModels();
      this.#planVoters();
    });
  }

  #wish(machine: Machine): void {
    if (machine.state !== "awake" || this.#rows.has(machine.nodeId)) return;
    this.#put(machine.nodeId, { state: "wished", reason: "", holds: [] });
  }

  #pressButton(machine: Machine): void {
    if (machine.state === "asleep") this.#wakeUp(machine);
  }

  #wakeUp(machine: Machine): void {
    machine.state = "waking";
    machine.life++;
    machine.awakeSinceMs = this.#events.nowMs;
    const jitterMs = this.#random.below(4_000);
    this.#events.after(machine.trueWakeMs + jitterMs, () => {
      machine.state = "awake";
      machine.life++;
      machine.idleSinceMs = this.#events.nowMs;
      machine.applied = this.#log.length - 1;
      machine.rows = this.#rows;
      this.#planVoters();
      this.#look(machine);
    });
  }

  // Requests.

  #ask(model: number): void {
    const awake = this.#machines.filter(({ state }) => state === "awake");
    const entry = awake[this.#random.below(awake.length)];
    if (entry === undefined) return this.#violate("nobody was awake to take a request in");
    this.#requests++;
    this.#open++;
    // The node that took it in is needed until the answer is over.
    entry.running++;
    const answerMs = 5_000 + this.#random.below(55_000);
    this.#search({ entry, model, answerMs, sinceMs: this.#events.nowMs, waited: false });
  }

  #search(request: {
    readonly entry: Machine;
    readonly model: number;
    readonly answerMs: number;
    readonly sinceMs: number;
    readonly waited: boolean;
  }): void {
    const { entry, model } = request;
    const { nowMs } = this.#events;
    const holders = this.#machines.filter((machine) => machine.models.has(model));
    const candidates = holders.map((machine) => this.#candidate(machine, entry));
    const { route } = chooseRoute(
      { promptTokens: 500, memoryBytes: 4e9, avoid: [], refused: [] },
      candidates,
    );
    if (route === undefined) {
      this.#violate("no holder could be woken");
      return this.#events.after(MINUTE_MS, () => this.#search(request));
    }
    const chosen = this.#byId.get(route.nodeId);
    if (chosen === undefined) return;
    const isWake = route.wakeMs > 0;
    if (isWake) {
      const free = holders.find((machine) =>
        machine.state === "awake" && machine.running + machine.waiting.length < SLOTS &&
        !entry.rows.has(machine.nodeId)
      );
      if (free !== undefined) this.#violate("a request waited for a wake beside a free holder");
      this.#wake(chosen, entry);
      return this.#events.after(500, () => this.#search({ ...request, waited: true }));
    }
    if (chosen.state !== "awake" && chosen.state !== "falling") {
      // It fell asleep and this node has not heard so yet: it is asked, found gone, and looked for again.
      return this.#events.after(500, () => this.#search(request));
    }
    if (request.waited) this.#wokenFor.push(nowMs - request.sinceMs);
    const begin = () => {
      chosen.running++;
      const { life } = chosen;
      this.#events.after(request.answerMs, () => {
        if (chosen.life !== life) this.#violate("an answer's machine fell asleep");
        this.#open--;
        this.#end(entry);
        this.#end(chosen);
      });
    };
    const runs = chosen === entry ? chosen.running - 1 : chosen.running;
    if (runs < SLOTS) begin();
    else chosen.waiting.push(begin);
  }

  #end(machine: Machine): void {
    machine.running--;
    machine.idleSinceMs = this.#events.nowMs;
    machine.waiting.shift()?.();
  }

  #candidate(machine: Machine, entry: Machine): RouteCandidate {
    const { nodeId } = machine;
    const state = entry.rows.get(nodeId)?.state;
    const { nowMs } = this.#events;
    const since = this.#wakes.get(nodeId);
    const expectedMs = this.#wakeMs.get(nodeId) ?? WAKE_LIMITS.expectedMs;
    const isAsleep = state === "asleep" || this.#options.fault === "wakes_needlessly";
    const runs = machine === entry ? machine.running - 1 : machine.running;
    return {
      nodeId,
      name: nodeId.slice(0, 2),
      isSelf: machine === entry,
      health: isAsleep ? "asleep" : this.#isUp(nodeId) ? "alive" : "down",
      wakeMs: this.#waker(machine, entry) === undefined
        ? undefined
        : since === undefined
        ? expectedMs
        : Math.max(0, expectedMs - (nowMs - since)),
      drained: state === "going",
      load: {
        ageMs: 0,
        state: "loaded",
        slots: SLOTS,
        freeSlots: Math.max(0, SLOTS - runs),
        waitingRequests: machine.waiting.length,
        runningRequests: runs,
        decodeTokensPerMinute: 400,
        prefillTokensPerMinute: 12_000,
        availableBytes: 16e9,
      },
      sentSinceReport: 0,
      residentTokens: 0,
    };
  }

  #waker(target: Machine, entry: Machine): NodeId | undefined {
    const members = this.#machines.map((machine) => {
      const state = entry.rows.get(machine.nodeId)?.state;
      const isAwake = this.#isUp(machine.nodeId) && state !== "going" && state !== "asleep";
      return {
        nodeId: machine.nodeId,
        hardware: machine.hardware,
        isAwake: isAwake || machine === entry,
      };
    });
    return chooseWaker(entry.nodeId, { ...target, isAwake: false }, members);
  }

  /** Sends packets until it is there; one for all who wait. */
  #wake(target: Machine, entry: Machine): void {
    if (this.#wakes.has(target.nodeId)) return;
    const sinceMs = this.#events.nowMs;
    this.#wakes.set(target.nodeId, sinceMs);
    const send = () => {
      if (target.state === "awake") {
        this.#wakes.delete(target.nodeId);
        const measuredMs = this.#events.nowMs - sinceMs;
        return this.#wakeMs.set(
          target.nodeId,
          meanWakeMs(this.#wakeMs.get(target.nodeId), measuredMs),
        );
      }
      const waker = this.#waker(target, entry);
      if (
        target.state === "asleep" && waker !== undefined && this.#byId.get(waker)?.state === "awake"
      ) {
        this.#wakeUp(target);
      }
      this.#events.after(WAKE_LIMITS.repeatMs, send);
    };
    send();
  }

  // What must never be.

  #checkQuorum(): void {
    const { voters } = this.#configuration;
    const awake = voters.filter((id) => this.#isUp(id)).length;
    if (awake < majorityOf(voters.length)) {
      this.#violate(`${awake} of ${voters.length} voters are awake`);
    }
  }

  #checkModels(): void {
    for (let model = 0; model < this.#options.models; model++) {
      const holders = this.#machines.filter((machine) => machine.models.has(model));
      const isThere = holders.some((machine) =>
        machine.state !== "asleep" ||
        this.#machines.some((other) =>
          other.state === "awake" && canWake({ ...other, isAwake: true }, machine.hardware)
        )
      );
      if (!isThere) this.#violate(`nobody can wake a holder of model ${model}`);
    }
  }

  #isUp(nodeId: NodeId): boolean {
    const state = this.#byId.get(nodeId)?.state;
    return state === "awake" || state === "falling";
  }

  #violate(what: string): void {
    // What comes of it would only hide it.
    this.#events.stop();
    this.#violations.push(`after ${(this.#events.nowMs / HOUR_MS).toFixed(3)} h: ${what}`);
  }
}

function configurationOf(voters: readonly NodeId[], all: readonly NodeId[]): GroupConfiguration {
  const learners = all.filter((id) => !voters.includes(id));
  return { voters, votersOutgoing: [], learners, learnersNext: [], autoLeave: false };
}
