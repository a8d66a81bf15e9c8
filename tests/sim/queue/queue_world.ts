/**
 * Nodes that serve one model each, under an open loop of requests: the shipped scheduler on every node and the shipped choice
 * of a node, with engines that take the time that prompts and answers are long.
 *
 * @module
 */
import { Random } from "../../../src/base/random.ts";
import { LoadReports } from "../../../src/core/catalogue/mod.ts";
import { type RouteCandidate, Scheduler } from "../../../src/core/scheduler/mod.ts";
import type { Asking, ModelNeed, SchedulerEffect } from "../../../src/core/scheduler/mod.ts";
import { chooseRoute } from "../../../src/core/scheduler/routing.ts";

/** Slots of each node. */
export const SLOTS = 4;
const PREFILL_TOKENS_PER_MS = 2;
const DECODE_TOKENS_PER_MS = 0.05;
/** How long a word of gossip is on its way. */
const GOSSIP_MS = 400;
/** Nodes that hold one model: what a request chooses among. */
export const HOLDERS = 10;
/** Choices of a node whose time is kept. */
const CHOICES_MAX = 65_536;
/** As rough as a real asker's guess from the characters of a prompt. */
const GUESS_SHARE = 0.2;

/**
 * What requests are like: the medians of the conversations and of the code completions in Azure's published traces of 2023,
 * spread as log-normal ones are.
 */
export const SHAPES = {
  chat: { promptTokens: 1_020, answerTokens: 129, spread: 0.9 },
  agent: { promptTokens: 1_500, answerTokens: 13, spread: 0.9 },
  /** No trace: one that thinks before it answers. */
  thinker: { promptTokens: 1_500, answerTokens: 2_000, spread: 0.9 },
} as const;

/** Who asks, and how much. */
export interface Load {
  readonly tenant: string;
  readonly shape: keyof typeof SHAPES;
  /** Of what all nodes can do, from 0. */
  readonly share: (atMs: number) => number;
  /** How long after it came an answer must be whole. Milliseconds, Infinity = for ever. */
  readonly patienceMs: number;
  readonly weight?: number;
  /** Bounds no answer, as most clients do. */
  readonly isUnbounded?: boolean;
}

/** One request, from its arrival to its end. */
export interface Asked {
  readonly id: string;
  readonly tenant: string;
  readonly atMs: number;
  readonly asking: Asking;
  readonly slotMs: number;
  readonly model: number;
  etaMs: number | undefined;
  startedMs: number | undefined;
  endedMs: number | undefined;
  outcome: "waiting" | "running" | "whole" | "late" | "refused";
  retries: number;
}

interface Node {
  readonly id: string;
  readonly scheduler: Scheduler;
  readonly holding: Map<string, Asked>;
  isAlive: boolean;
  readonly reports: LoadReports;
  /** When it looks at itself again; Infinity = when something happens. */
  nextLookMs: number;
  told: { waiting: number; running: number; atMs: number };
  /** By the nodes that sent it something since. */
  readonly sent: Map<number, number>;
}

/** Events in the order of their time. */
class Agenda {
  #heap: { readonly atMs: number; readonly order: number; readonly run: () => void }[] = [];
  #order = 0;

  add(atMs: number, run: () => void): void {
    const heap = this.#heap;
    heap.push({ atMs, order: this.#order++, run });
    for (let at = heap.length - 1; at > 0;) {
      const up = (at - 1) >> 1;
      if (!this.#isSooner(at, up)) break;
      this.#swap(at, up);
      at = up;
    }
  }

  next(): { readonly atMs: number; readonly run: () => void } | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    heap[0] = last;
    for (let at = 0;;) {
      let least = at;
      for (const down of [2 * at + 1, 2 * at + 2]) {
        if (down < heap.length && this.#isSooner(down, least)) least = down;
      }
      if (least === at) return first;
      this.#swap(at, least);
      at = least;
    }
  }

  #isSooner(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a], this.#heap[b]];
    if (one === undefined || other === undefined) return false;
    return one.atMs < other.atMs || one.atMs === other.atMs && one.order < other.order;
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#heap[a], this.#heap[b]];
    if (one === undefined || other === undefined) return;
    this.#heap[a] = other;
    this.#heap[b] = one;
  }
}

/** What a world is made of. */
export interface QueueWorldOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly loads: readonly Load[];
  readonly durationMs: number;
  /** Nodes that are lost at once, as a part of all, and when. */
  readonly loss?: { readonly share: number; readonly atMs: number };
  /** How much longer than usual everything takes, as other programs come and go; default 1. */
  readonly slowness?: (atMs: number) => number;
  /** Milliseconds of the real clock, to tell what choosing a node costs. */
  readonly realMs?: () => number;
  /** How many members nodes take their cluster to have, which says how often they tell of themselves; default all. */
  readonly members?: number;
  /** Hears of each request that is over, which is not kept then. */
  readonly onOver?: (asked: Asked) => void;
}

export class QueueWorld {
  readonly asked: Asked[] = [];
  arrivals = 0;
  /** Words of loads that nodes told. */
  reports = 0;
  /** What the first choices of a node took of {@link QueueWorldOptions.realMs}. */
  readonly choicesMs: number[] = [];
  events = 0;
  readonly #options: QueueWorldOptions;
  readonly #random: Random;
  readonly #agenda = new Agenda();
  readonly #nodes: Node[];
  #nowMs = 0;

  constructor(options: QueueWorldOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#nodes = Array.from({ length: options.nodes }, (_, at) => newNode(at));
  }

  get models(): number {
    return Math.max(1, Math.floor(this.#options.nodes / HOLDERS));
  }

  run(): void {
    for (const node of this.#nodes) this.#load(node);
    for (const load of this.#options.loads) this.#arriveNext(load);
    const { loss } = this.#options;
    if (loss !== undefined) this.#agenda.add(loss.atMs, () => this.#lose(loss.share));
    for (let next = this.#agenda.next(); next !== undefined; next = this.#agenda.next()) {
      this.#nowMs = next.atMs;
      this.events++;
      next.run();
    }
  }

  /** Slot time of all nodes in the arrivals' time. */
  get capacityMs(): number {
    return this.#options.nodes * SLOTS * this.#options.durationMs;
  }

  #arriveNext(load: Load): void {
    const { nodes, durationMs } = this.#options;
    const share = Math.max(1e-6, load.share(this.#nowMs));
    const perMs = share * nodes * SLOTS / meanSlotMs(load.shape);
    const gapMs = -Math.log(1 - this.#uniform()) / perMs;
    // A load that is nearly nothing now may be much in a moment.
    const atMs = this.#nowMs + Math.min(gapMs, durationMs / 50);
    if (atMs > durationMs) return;
    this.#agenda.add(atMs, () => {
      if (gapMs <= durationMs / 50) this.#arrive(load);
      this.#arriveNext(load);
    });
  }

  #arrive(load: Load): void {
    const { promptTokens, answerTokens, spread } = SHAPES[load.shape];
    const prompt = promptTokens * Math.exp(spread * this.#normal());
    const answer = answerTokens * Math.exp(spread * this.#normal());
    const asked: Asked = {
      id: `r${++this.arrivals}`,
      tenant: load.tenant,
      atMs: this.#nowMs,
      asking: {
        tenant: load.tenant,
        weight: load.weight ?? 1,
        priority: "normal",
        promptTokens: prompt * (1 + GUESS_SHARE * (this.#uniform() - 0.5)),
        // Clients bound their answers, not closely.
        answerTokensMax: load.isUnbounded === true ? Infinity : 2 ** Math.ceil(Math.log2(answer)),
        deadlineMs: this.#nowMs + load.patienceMs,
      },
      slotMs: prompt / PREFILL_TOKENS_PER_MS + answer / DECODE_TOKENS_PER_MS,
      model: this.#random.below(this.models),
      etaMs: undefined,
      startedMs: undefined,
      endedMs: undefined,
      outcome: "waiting",
      retries: 0,
    };
    if (this.#options.onOver === undefined) this.asked.push(asked);
    this.#send(asked, "fresh");
  }

  #send(asked: Asked, standing: "fresh" | "resumed"): void {
    const { realMs = () => 0 } = this.#options;
    const startedMs = realMs();
    const entry = this.#random.below(this.#nodes.length);
    const node = this.#choose(asked, entry);
    if (this.choicesMs.length < CHOICES_MAX) this.choicesMs.push(realMs() - startedMs);
    if (node === undefined) {
      this.#over(asked, "refused");
      return;
    }
    node.sent.set(entry, (node.sent.get(entry) ?? 0) + 1);
    node.holding.set(asked.id, asked);
    asked.outcome = "waiting";
    const { asking } = asked;
    const requestId = asked.id;
    this.#step(node, { kind: "request_arrived", requestId, need: NEED, standing, asking });
    if (asked.retries === 0) {
      asked.etaMs = asked.startedMs !== undefined
        ? 0
        : node.scheduler.placeOf(asked.id, this.#nowMs)?.etaMs;
    }
  }

  /** As a node does that any client happens to ask. */
  #choose(asked: Asked, entry: number): Node | undefined {
    const first = asked.model * HOLDERS;
    const holders = this.#nodes.slice(first, first + HOLDERS);
    const candidates = holders.map((node) => this.#candidate(node, entry));
    const { promptTokens } = asked.asking;
    const draw = this.#random.uint32();
    const request = { promptTokens, memoryBytes: 1, avoid: [], refused: [], draw };
    const { route } = chooseRoute(request, candidates);
    return holders.find(({ id }) => id === route?.nodeId);
  }

  /** Tells the others of itself when the shipped rule says so. */
  #look(node: Node): void {
    const { waiting, running } = node.scheduler.view();
    const speeds = { decodeTokensPerMinute: 1, prefillTokensPerMinute: 1, availableBytes: 1e9 };
    const { load, nextLookMs = Infinity } = node.reports.look({
      ...{ ...speeds, waitingRequests: waiting, runningRequests: running },
      ...{ slots: SLOTS, freeSlots: SLOTS - running },
    }, { nowMs: this.#nowMs, members: this.#options.members ?? this.#nodes.length });
    if (load !== undefined) {
      const atMs = this.#nowMs;
      this.reports++;
      this.#agenda.add(atMs + GOSSIP_MS, () => {
        node.told = { waiting, running, atMs };
        node.sent.clear();
      });
    }
    if (nextLookMs >= node.nextLookMs && node.nextLookMs > this.#nowMs) return;
    node.nextLookMs = nextLookMs;
    if (nextLookMs === Infinity) return;
    this.#agenda.add(nextLookMs, () => {
      if (node.isAlive && node.nextLookMs === nextLookMs) this.#look(node);
    });
  }

  #candidate(node: Node, entry: number): RouteCandidate {
    const { waiting, running, atMs } = node.told;
    return {
      nodeId: node.id as RouteCandidate["nodeId"],
      name: node.id,
      isSelf: false,
      health: node.isAlive ? "alive" : "down",
      drained: false,
      load: {
        ageMs: this.#nowMs - atMs,
        state: "loaded",
        slots: SLOTS,
        freeSlots: SLOTS - running,
        waitingRequests: waiting,
        runningRequests: running,
        decodeTokensPerMinute: DECODE_TOKENS_PER_MS * 60_000,
        prefillTokensPerMinute: PREFILL_TOKENS_PER_MS * 60_000,
        availableBytes: 1e9,
      },
      sentSinceReport: node.sent.get(entry) ?? 0,
      residentTokens: 0,
    };
  }

  #load(node: Node): void {
    this.#step(node, {
      kind: "request_arrived",
      requestId: "warm",
      need: NEED,
      standing: "fresh",
      asking: { ...NOBODYS, answerTokensMax: 0 },
    });
    this.#step(node, { kind: "model_loaded", instanceId: 1, memoryBytes: 1, slots: SLOTS });
    this.#step(node, { kind: "request_ended", requestId: "warm" });
  }

  /** Its clients' requests go on elsewhere, where they go on from the tokens that they have. */
  #lose(share: number): void {
    const lost = this.#nodes.filter((_, at) => (at * 7) % 10 < share * 10);
    for (const node of lost) node.isAlive = false;
    for (const node of lost) {
      for (const asked of node.holding.values()) {
        asked.retries++;
        this.#send(asked, "resumed");
      }
      node.holding.clear();
    }
  }

  #step(node: Node, event: Parameters<Scheduler["step"]>[0]): void {
    const observed = { nowMs: this.#nowMs, availableBytes: 1e9 };
    for (const effect of node.scheduler.step(event, observed)) this.#obey(node, effect);
    this.#look(node);
  }

  #obey(node: Node, effect: SchedulerEffect): void {
    if (effect.kind === "wake_at") {
      // Expiries of keep-alives and deadlines; a model that nobody asks for may stay.
      if (node.holding.size === 0) return;
      this.#agenda.add(effect.atMs, () => {
        if (node.isAlive) this.#step(node, { kind: "time_elapsed" });
      });
      return;
    }
    const asked = "requestId" in effect ? node.holding.get(effect.requestId) : undefined;
    if (asked === undefined) return;
    if (effect.kind === "refuse_request") {
      node.holding.delete(asked.id);
      this.#over(asked, asked.startedMs === undefined ? "refused" : "late");
      return;
    }
    asked.startedMs ??= this.#nowMs;
    asked.outcome = "running";
    const { slowness = () => 1 } = this.#options;
    this.#agenda.add(this.#nowMs + asked.slotMs * slowness(this.#nowMs), () => {
      if (!node.isAlive) return;
      node.holding.delete(asked.id);
      this.#over(asked, this.#nowMs <= asked.asking.deadlineMs ? "whole" : "late");
      this.#step(node, { kind: "request_ended", requestId: asked.id });
    });
  }

  #over(asked: Asked, outcome: Asked["outcome"]): void {
    asked.outcome = outcome;
    asked.endedMs = this.#nowMs;
    this.#options.onOver?.(asked);
  }

  #uniform(): number {
    return this.#random.uint32() / 2 ** 32;
  }

  #normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.#uniform()));
    return radius * Math.cos(2 * Math.PI * this.#uniform());
  }
}

const NOBODYS: Asking = {
  tenant: "",
  weight: 1,
  priority: "normal",
  promptTokens: 0,
  answerTokensMax: Infinity,
  deadlineMs: Infinity,
};

const NEED: ModelNeed = {
  modelKey: "m",
  settingsKey: "s",
  displayName: "m",
  memoryBytes: 1,
  slots: SLOTS,
  contextTokens: 4096,
  keepAliveMs: Infinity,
};

function newNode(at: number): Node {
  const scheduler = new Scheduler({
    ...{ loadedModelsMax: 3, queueRequestsMax: 512, keepAliveMs: Infinity },
    ...{ reserveBytes: 0, cores: 4, threads: 0 },
  });
  const told = { waiting: 0, running: 0, atMs: 0 };
  const id = at.toString(16).padStart(16, "0");
  const reports = new LoadReports();
  const rest = { isAlive: true, told, sent: new Map<number, number>(), nextLookMs: Infinity };
  return { id, scheduler, reports, holding: new Map(), ...rest };
}

/** The mean of a log-normal is above its median. */
export function meanSlotMs(shape: keyof typeof SHAPES): number {
  const { promptTokens, answerTokens, spread } = SHAPES[shape];
  const median = promptTokens / PREFILL_TOKENS_PER_MS + answerTokens / DECODE_TOKENS_PER_MS;
  return median * Math.exp(spread * spread / 2);
}
