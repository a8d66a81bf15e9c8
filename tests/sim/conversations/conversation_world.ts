/**
 * Conversations that come to nodes of a cluster, one turn after the other: the shipped choice of a node, with what it is told
 * and believes, over nodes that keep what they computed on the shipped shelf and take the time that the rest of a prompt needs.
 *
 * @module
 */
import { type NodeId, Random } from "../../../src/base/mod.ts";
import {
  PeerBeliefs,
  PrefixBook,
  sketchedChars,
  traceOf,
  withMoves,
} from "../../../src/core/answers/mod.ts";
import { paysToMove, PrefixShelf } from "../../../src/core/kv_cache/mod.ts";
import { type CandidateLoad, chooseRoute } from "../../../src/core/scheduler/mod.ts";

/** Who chooses: `oracle` knows what each node holds at that moment, and takes the one that computes least. */
export const POLICIES = ["odist", "oracle", "random", "round robin", "least loaded"] as const;
export type Policy = typeof POLICIES[number];

/** What comes, and to whom. */
export interface ConversationWish {
  readonly policy: Policy;
  readonly seed: number;
  readonly nodes: number;
  readonly conversations: number;
  readonly turns: number;
  /** Between nodes, where cells move; absent = they stay. */
  readonly bytesPerMs?: number;
  /** Whether the choice of a node counts moves; default it does. */
  readonly countsMoves?: boolean;
}

/** What came of it. */
export interface ConversationFigures {
  readonly promptTokens: number;
  readonly recomputedTokens: number;
  /** That came from another node instead. */
  readonly movedTokens: number;
  /** That no node had ever computed: with one node, endless memory and no faults it would be these. */
  readonly newTokens: number;
  readonly turns: number;
  /** To the first token of first turns, and of those behind them. Milliseconds. */
  readonly firstMs: readonly number[];
  readonly laterMs: readonly number[];
}

const CHARS_PER_TOKEN = 4;
/** SmolLM2 on one core of a slow machine, and what its cells take. */
const PREFILL_TOKENS_PER_MS = 0.16;
const DECODE_TOKENS_PER_MS = 0.03;
const BYTES_PER_TOKEN = 23_000;
const SLOTS = 2;
const LOAD_MS = 500;
/** Of each model on a node: some twenty conversations of usual length. */
const SHELF_BYTES = 1024 ** 3;
const SCAFFOLD_TOKENS = 1_000;
const ASKED_TOKENS = [40, 200] as const;
const ANSWER_TOKENS = [60, 160] as const;
/** Between an answer and the next turn. */
const THINKING_MS = [2_000, 30_000] as const;
const LOADS_TOLD_MS = 400;
const PREFIXES_TOLD_MS = 10_000;
const MODELS = ["a", "b"] as const;
type Model = typeof MODELS[number];
const MARKS_MAX = 250;

interface Told {
  readonly load: Readonly<Record<Model, CandidateLoad>>;
  readonly atMs: number;
  readonly marks: Readonly<Record<Model, ReadonlySet<number>>>;
}

/** One machine with one model loaded at a time; the cells of the other lie on its disk meanwhile. */
class Machine {
  readonly nodeId: NodeId;
  loaded: Model | undefined;
  running = 0;
  readonly waiting: (() => void)[] = [];
  books = { a: new PrefixBook(), b: new PrefixBook() };
  shelves = { a: newShelf(), b: newShelf() };
  /** As an entry, of the others. */
  readonly beliefs = new PeerBeliefs();
  told: Told;
  isDrained = false;
  #count = 0;

  constructor(index: number) {
    this.nodeId = index.toString(16).padStart(16, "0") as NodeId;
    this.told = { load: this.loads(), atMs: 0, marks: { a: new Set(), b: new Set() } };
  }

  loads(): Told["load"] {
    const of = (model: Model): CandidateLoad => ({
      ageMs: 0,
      state: this.loaded === model ? "loaded" : "cold",
      slots: SLOTS,
      freeSlots: this.loaded === model ? Math.max(0, SLOTS - this.running) : 0,
      waitingRequests: this.waiting.length,
      runningRequests: this.running,
      decodeTokensPerMinute: DECODE_TOKENS_PER_MS * 60_000,
      prefillTokensPerMinute: PREFILL_TOKENS_PER_MS * 60_000,
      loadMs: LOAD_MS,
      availableBytes: 1e12,
    });
    return { a: of("a"), b: of("b") };
  }

  /** Tokens of a prompt that it need not compute. */
  heldTokens(model: Model, prompt: readonly number[]): number {
    return this.shelves[model].find(prompt)?.tokens ?? 0;
  }

  keep(model: Model, tokens: readonly number[]): void {
    const bytes = tokens.length * BYTES_PER_TOKEN;
    const computeMs = tokens.length / PREFILL_TOKENS_PER_MS;
    const id = String(this.#count++);
    this.shelves[model].add({ id, tokens: Int32Array.from(tokens), bytes, computeMs });
  }

  /** Killed: what was on its disk, the other model's, is there still, but nobody knows the texts of it. */
  restart(): void {
    const { loaded } = this;
    this.loaded = undefined;
    this.books = { a: new PrefixBook(), b: new PrefixBook() };
    if (loaded !== undefined) this.shelves[loaded] = newShelf();
  }
}

function newShelf(): PrefixShelf {
  return new PrefixShelf({ bytesMax: SHELF_BYTES, canCut: true });
}

interface Conversation {
  readonly model: Model;
  tokens: number[];
  turn: number;
}

/** Where a turn goes, and who may have more of it. */
interface Choice {
  readonly machine: Machine;
  readonly keeper: Machine | undefined;
}

/** One run. */
class ConversationWorld {
  readonly #wish: ConversationWish;
  readonly #random: Random;
  readonly #machines: readonly Machine[];
  readonly #agenda: { readonly atMs: number; readonly order: number; readonly run: () => void }[] =
    [];
  readonly #figures = {
    ...{ promptTokens: 0, recomputedTokens: 0, movedTokens: 0, newTokens: 0, turns: 0 },
    ...{ firstMs: [] as number[], laterMs: [] as number[] },
  };
  #nowMs = 0;
  #order = 0;
  #next = 0;
  #nextToken = 1;

  constructor(wish: ConversationWish) {
    this.#wish = wish;
    this.#random = new Random(wish.seed);
    this.#machines = Array.from({ length: wish.nodes }, (_, index) => new Machine(index + 1));
  }

  run(): ConversationFigures {
    const { conversations, turns } = this.#wish;
    const scaffold = this.#draw(SCAFFOLD_TOKENS);
    for (let index = 0; index < conversations; index++) {
      const model = MODELS[index % MODELS.length] ?? "a";
      const conversation = { model, tokens: [...scaffold], turn: 0 };
      this.#after(this.#between([0, 60_000]), () => this.#ask(conversation));
    }
    this.#figures.newTokens += SCAFFOLD_TOKENS * Math.min(MODELS.length, conversations);
    this.#tell("load", LOADS_TOLD_MS);
    this.#tell("marks", PREFIXES_TOLD_MS);
    const whole = conversations * turns;
    let hasDrained = false;
    let hasRestarted = false;
    while (this.#figures.turns < whole) {
      this.#agenda.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
      const next = this.#agenda.shift();
      if (next === undefined) throw new Error("Conversations wait for nothing");
      this.#nowMs = next.atMs;
      next.run();
      const { turns: done } = this.#figures;
      if (!hasDrained && done >= whole / 4) {
        hasDrained = true;
        this.#drain();
      }
      if (!hasRestarted && done >= whole / 2) {
        hasRestarted = true;
        this.#machines[1]?.restart();
      }
    }
    return this.#figures;
  }

  /** Its conversations have to move, and may come back. */
  #drain(): void {
    const [first] = this.#machines;
    if (first === undefined || this.#machines.length < 2) return;
    first.isDrained = true;
    this.#after(60_000, () => void (first.isDrained = false));
  }

  #tell(what: "load" | "marks", everyMs: number): void {
    for (const machine of this.#machines) {
      const { books, told } = machine;
      const marksOf = (model: Model) => new Set(books[model].marks(MARKS_MAX));
      machine.told = what === "load"
        ? { ...told, load: machine.loads(), atMs: this.#nowMs }
        : { ...told, marks: { a: marksOf("a"), b: marksOf("b") } };
    }
    this.#after(everyMs, () => this.#tell(what, everyMs));
  }

  #ask(conversation: Conversation): void {
    const askedMs = this.#nowMs;
    const asked = this.#draw(this.#between(ASKED_TOKENS));
    conversation.tokens.push(...asked);
    this.#figures.newTokens += asked.length;
    const { model, tokens } = conversation;
    const text = textOf(tokens);
    const { machine, keeper } = this.#choose(model, tokens, text);
    const serve = () => {
      machine.running++;
      // Other requests for the model that was loaded are done by then.
      const loadMs = machine.loaded === model ? 0 : LOAD_MS;
      machine.loaded = model;
      const own = machine.heldTokens(model, tokens);
      const { held, moveMs } = this.#fetch({ model, tokens, own, keeper });
      const computed = tokens.length - held;
      const book = machine.books[model];
      const trace = traceOf(text);
      book.correct(trace, (held + 1) * CHARS_PER_TOKEN);
      book.note(trace);
      this.#after(loadMs + moveMs + computed / PREFILL_TOKENS_PER_MS, () => {
        const firstMs = this.#nowMs - askedMs;
        (conversation.turn === 0 ? this.#figures.firstMs : this.#figures.laterMs).push(firstMs);
        this.#figures.promptTokens += tokens.length;
        this.#figures.recomputedTokens += computed;
        this.#answer(conversation, machine);
      });
    };
    if (machine.running < SLOTS) serve();
    else machine.waiting.push(serve);
  }

  #answer(conversation: Conversation, machine: Machine): void {
    const answer = this.#draw(this.#between(ANSWER_TOKENS));
    this.#after(answer.length / DECODE_TOKENS_PER_MS, () => {
      const { model } = conversation;
      conversation.tokens.push(...answer);
      machine.keep(model, conversation.tokens);
      machine.books[model].note(traceOf(textOf(conversation.tokens)));
      machine.running--;
      machine.waiting.shift()?.();
      conversation.turn++;
      this.#figures.turns++;
      if (conversation.turn === this.#wish.turns) return;
      this.#after(this.#between(THINKING_MS), () => this.#ask(conversation));
    });
  }

  /** As a runner does: whatever the choice counted on, what pays is fetched. */
  #fetch({ model, tokens, own, keeper }: {
    readonly model: Model;
    readonly tokens: readonly number[];
    readonly own: number;
    readonly keeper: Machine | undefined;
  }): { readonly held: number; readonly moveMs: number } {
    const { bytesPerMs } = this.#wish;
    const there = keeper?.heldTokens(model, tokens) ?? 0;
    const bytes = there * BYTES_PER_TOKEN;
    const msPerToken = 1 / PREFILL_TOKENS_PER_MS;
    const cells = { bytes, bytesPerMs, msPerToken, savedTokens: there - own };
    if (bytesPerMs === undefined || !paysToMove(cells)) return { held: own, moveMs: 0 };
    this.#figures.movedTokens += cells.savedTokens;
    return { held: there, moveMs: bytes / bytesPerMs };
  }

  #choose(model: Model, tokens: readonly number[], text: string): Choice {
    const { policy } = this.#wish;
    return policy === "odist"
      ? this.#route(model, text)
      : { machine: this.#chooseBy(policy, model, tokens), keeper: undefined };
  }

  #chooseBy(
    policy: Exclude<Policy, "odist">,
    model: Model,
    tokens: readonly number[],
  ): Machine {
    const open = this.#machines.filter(({ isDrained }) => !isDrained);
    const least = (costOf: (machine: Machine) => number) =>
      open.reduce((best, one) => costOf(one) < costOf(best) ? one : best);
    switch (policy) {
      case "random":
        return pick(open, this.#random.below(open.length));
      case "round robin":
        return pick(open, this.#next++ % open.length);
      case "least loaded":
        return least(({ running, waiting }) => running + waiting.length);
      case "oracle":
        return least((machine) => -machine.heldTokens(model, tokens));
    }
  }

  /** As the node chooses that the client happens to ask. */
  #route(model: Model, text: string): Choice {
    const entry = pick(this.#machines, this.#random.below(this.#machines.length));
    const trace = traceOf(text);
    const prompt = { model, trace };
    const known = this.#machines.map((machine) => {
      const isSelf = machine === entry;
      const { told, nodeId } = machine;
      const ageMs = isSelf ? 0 : this.#nowMs - told.atMs;
      const load = { ...(isSelf ? machine.loads() : told.load)[model], ageMs };
      const alive = { nodeId, name: nodeId, health: "alive" as const };
      const candidate = entry.beliefs.candidate(
        { ...alive, drained: machine.isDrained, load },
        this.#nowMs,
      );
      const chars = isSelf
        ? machine.books[model].computedChars(trace)
        : sketchedChars(trace, told.marks[model]);
      return entry.beliefs.withResident({ ...candidate, isSelf }, prompt, chars);
    });
    const { bytesPerMs, countsMoves = true } = this.#wish;
    const candidates = countsMoves
      ? withMoves(known, { tokenBytes: BYTES_PER_TOKEN, bytesPerMs })
      : known;
    const { route } = chooseRoute({
      ...{ promptTokens: text.length / CHARS_PER_TOKEN, memoryBytes: 1e8 },
      ...{ avoid: [], refused: [] },
    }, candidates);
    const machine = this.#machines.find(({ nodeId }) => nodeId === route?.nodeId);
    if (machine === undefined) throw new Error("Some node can be chosen");
    if (machine !== entry) {
      const forget = entry.beliefs.noteSent(machine.nodeId, this.#nowMs);
      this.#after(10_000, forget);
    }
    const [first] = entry.beliefs.keepers(machine.nodeId, { prompt, avoid: [], candidates });
    entry.beliefs.noteComputed(machine.nodeId, prompt);
    return { machine, keeper: this.#machines.find(({ nodeId }) => nodeId === first) };
  }

  #draw(count: number): number[] {
    return Array.from({ length: count }, () => this.#nextToken++);
  }

  #between([low, high]: readonly [number, number]): number {
    return low + this.#random.below(high - low);
  }

  #after(ms: number, run: () => void): void {
    this.#agenda.push({ atMs: this.#nowMs + ms, order: this.#order++, run });
  }
}

/** Each token is four characters of its own. */
function textOf(tokens: readonly number[]): string {
  return tokens.map((token) => token.toString(36).padStart(CHARS_PER_TOKEN, "_")).join("");
}

function pick(machines: readonly Machine[], index: number): Machine {
  const machine = machines[index];
  if (machine === undefined) throw new Error(`There is no machine ${index}`);
  return machine;
}

export function simulateConversations(wish: ConversationWish): ConversationFigures {
  return new ConversationWorld(wish).run();
}
