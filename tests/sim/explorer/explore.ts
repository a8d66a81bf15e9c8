import { assert } from "../../../src/base/mod.ts";
import { RowIndex, Rows } from "./interning.ts";
import { Members } from "./members.ts";
import { NODE_COUNT, PERMUTATIONS, renamed } from "./messages.ts";
import { Broken, COST, type Move, Pasts, RENAMINGS, Seats } from "./seats.ts";

/** How often each of these may happen on one path: what bounds the search. Messages may be lost and repeated at will. */
export interface Budget {
  readonly campaigns: number;
  readonly proposals: number;
  /** Deaths at any place between two writes or sends, each followed by a restart. */
  readonly crashes: number;
  /** Rounds of heartbeats. */
  readonly ticks: number;
}

/** What a search found. */
export interface Exploration {
  /** Different states of the group and the network visited, up to the names of the nodes. */
  readonly states: number;
  /** Moves tried. */
  readonly moves: number;
  /** Different states of one node, with its disk, that occurred. */
  readonly nodeStates: number;
  /** True when nothing within the budget is left to visit. */
  readonly isComplete: boolean;
  /** A path to a broken invariant with as few campaigns, proposals and crashes as any has. */
  readonly failure: { readonly path: readonly string[]; readonly reason: string } | undefined;
}

/** How a search is made. */
export interface ExploreOptions {
  readonly budget: Budget;
  /** States after which it gives up. */
  readonly statesMax: number;
  /** Takes states that differ in the names of nodes only for one. */
  readonly symmetric?: boolean;
  /** Whether votes tell what is committed, as in the product; without that there are far fewer states. Default true. */
  readonly tellsCommits?: boolean;
  /** Called now and then with the states and moves so far. */
  readonly onProgress?: (states: number, moves: number) => void;
}

/** Visits every state that the budget allows. */
export function explore(options: ExploreOptions): Exploration {
  return new Search(options).run();
}

/** Columns of a state behind its three seats and its past: which budgets it was visited with, as two words of bits. */
const COVERED = 4;
const STATE_COLUMNS = 6;
/** Columns of a visit. */
const VISIT = { state: 0, left: 1, before: 2, step: 3 } as const;
const VISIT_COLUMNS = 4;
const PROGRESS_EVERY = 1 << 20;

class Search {
  readonly #options: ExploreOptions;
  readonly #budgets: Budgets;
  readonly #seats: Seats;
  readonly #pasts: Pasts;
  readonly #states = new Rows(STATE_COLUMNS);
  readonly #index = new RowIndex(this.#states);
  readonly #visits = new Rows(VISIT_COLUMNS);
  /** Visits by how much of the budget they have used, in the order in which they were found. */
  readonly #layers: Rows[] = [];
  #moves = 0;

  constructor(options: ExploreOptions) {
    this.#options = options;
    this.#budgets = new Budgets(options.budget);
    this.#seats = new Seats(new Members({ tellsCommits: options.tellsCommits ?? true }));
    this.#pasts = new Pasts(this.#seats);
    for (let used = 0; used <= this.#budgets.usedMax; used++) this.#layers.push(new Rows(1));
  }

  run(): Exploration {
    const seats = Array.from({ length: NODE_COUNT }, (_, node) => this.#seats.initial(node));
    this.#reach(seats, this.#pasts.initial(), { left: this.#budgets.full, before: -1, step: 0 });
    // Who has more left can do whatever who has less can. So what uses little comes first, and each state is only
    // visited again by those who have something left that nobody had before.
    for (const layer of this.#layers) {
      for (let at = 0; at < layer.count; at++) {
        const visit = layer.get(at, 0);
        const failure = this.#expand(visit);
        if (failure !== undefined) return this.#report(false, failure);
        if (this.#states.count >= this.#options.statesMax) return this.#report(false, undefined);
      }
    }
    return this.#report(true, undefined);
  }

  #expand(visit: number): Exploration["failure"] {
    const state = this.#visits.get(visit, VISIT.state);
    const left = this.#visits.get(visit, VISIT.left);
    for (let node = 0; node < NODE_COUNT; node++) {
      const moves = this.#movesOf(state, left, node);
      for (let at = 0; at < moves.length; at++) {
        const move = moves[at];
        if (move === undefined) break;
        const rest = this.#budgets.spend(left, move.cost);
        if (rest < 0) continue;
        const step = (at * NODE_COUNT + node) * RENAMINGS;
        try {
          this.#make(state, move, { node, left: rest, before: visit, step });
        } catch (error) {
          if (!(error instanceof Broken)) throw error;
          return { path: this.#pathTo(visit, { move, node }), reason: error.message };
        }
        this.#moves++;
        if (this.#moves % PROGRESS_EVERY === 0) {
          this.#options.onProgress?.(this.#states.count, this.#moves);
        }
      }
    }
    return undefined;
  }

  #movesOf(state: number, left: number, node: number): readonly Move[] {
    const seat = this.#states.get(state, node);
    const serial = this.#budgets.proposalsUsed(left) + 1;
    const proposals = this.#seats.proposals(seat, serial);
    const moves = this.#seats.moves(seat);
    return proposals.length === 0 ? moves : [...moves, ...proposals];
  }

  #make(state: number, move: Move, by: Arrival & { readonly node: number }): void {
    if (move.broken !== undefined) throw new Broken(move.broken);
    const seats: number[] = [];
    for (let node = 0; node < NODE_COUNT; node++) {
      const seat = this.#states.get(state, node);
      seats.push(
        node === by.node
          ? this.#seats.become(seat, move.member)
          : this.#seats.deliver(seat, move.batches[node] ?? -1),
      );
    }
    const before = this.#states.get(state, NODE_COUNT);
    const past = this.#pasts.after(before, by.node, move.events);
    for (const seat of seats) this.#pasts.check(past, seat);
    this.#reach(seats, past, by);
  }

  #reach(seats: readonly number[], past: number, arrival: Arrival): void {
    const permutation = this.#options.symmetric === false ? 0 : this.#canonical(seats, past);
    const [a = 0, b = 0, c = 0] = permutation === 0 ? seats : this.#renamed(seats, permutation);
    const state = this.#index.findOrAdd(a, b, c, this.#pasts.rename(past, permutation));
    if (!this.#covers(state, arrival.left)) return;
    const visit = this.#visits.add();
    this.#visits.set(visit, VISIT.state, state);
    this.#visits.set(visit, VISIT.left, arrival.left);
    this.#visits.set(visit, VISIT.before, arrival.before);
    this.#visits.set(visit, VISIT.step, arrival.step + permutation);
    const layer = this.#layers[this.#budgets.used(arrival.left)];
    if (layer !== undefined) layer.set(layer.add(), 0, visit);
  }

  /** True when nobody came to this state with at least as much left. */
  #covers(state: number, left: number): boolean {
    const bit = 1 << (left & 31);
    const column = COVERED + (left >> 5);
    if ((this.#states.get(state, column) & bit) !== 0) return false;
    for (const [word, mask] of this.#budgets.poorerThan(left).entries()) {
      this.#states.set(state, COVERED + word, this.#states.get(state, COVERED + word) | mask);
    }
    return true;
  }

  /** The renaming that makes of a state the smallest of those that differ only in names. */
  #canonical(seats: readonly number[], past: number): number {
    let best = 0;
    for (let permutation = 1; permutation < RENAMINGS; permutation++) {
      if (this.#isBefore(seats, past, { permutation, best })) best = permutation;
    }
    return best;
  }

  #isBefore(
    seats: readonly number[],
    past: number,
    { permutation, best }: { readonly permutation: number; readonly best: number },
  ): boolean {
    for (let place = 0; place < NODE_COUNT; place++) {
      const ours = this.#renamedAt(seats, permutation, place);
      const theirs = this.#renamedAt(seats, best, place);
      if (ours !== theirs) return ours < theirs;
    }
    return this.#pasts.rename(past, permutation) < this.#pasts.rename(past, best);
  }

  #renamedAt(seats: readonly number[], permutation: number, place: number): number {
    const node = INVERSE[permutation]?.[place] ?? 0;
    return this.#seats.rename(seats[node] ?? 0, permutation);
  }

  #renamed(seats: readonly number[], permutation: number): number[] {
    return seats.map((_, place) => this.#renamedAt(seats, permutation, place));
  }

  /** The moves that lead to a visit and behind it, in the names that the nodes had at the start. */
  #pathTo(visit: number, last: { readonly move: Move; readonly node: number }): string[] {
    const visits: number[] = [];
    for (let at = visit; at >= 0; at = this.#visits.get(at, VISIT.before)) visits.push(at);
    visits.reverse();
    let names = 0;
    const path: string[] = [];
    for (const [depth, at] of visits.entries()) {
      const step = this.#visits.get(at, VISIT.step);
      const before = visits[depth - 1];
      if (before !== undefined) path.push(this.#describe(this.#moveOf(before, step), names));
      names = composed(names, step % RENAMINGS);
    }
    return [...path, this.#describe(last, names)];
  }

  #moveOf(visit: number, step: number): { readonly move: Move; readonly node: number } {
    const code = Math.floor(step / RENAMINGS);
    const node = code % NODE_COUNT;
    const [state, left] = [
      this.#visits.get(visit, VISIT.state),
      this.#visits.get(visit, VISIT.left),
    ];
    const move = this.#movesOf(state, left, node)[Math.floor(code / NODE_COUNT)];
    assert(move !== undefined, "A path is made of moves", { visit, step });
    return { move, node };
  }

  #describe(
    { move: { input, died }, node }: { readonly move: Move; readonly node: number },
    names: number,
  ): string {
    const { messages } = this.#seats.members;
    const what = input.kind === "deliver"
      ? `receives ${JSON.stringify(messages.get(messages.rename(input.letter, names)).message)}`
      : `${input.kind}s`;
    const name = renamed(node, names) + 1;
    return `node ${name} ${what}${died ? ", and dies before it has done all" : ""}`;
  }

  #report(isComplete: boolean, failure: Exploration["failure"]): Exploration {
    const nodeStates = this.#seats.members.size;
    return { states: this.#states.count, moves: this.#moves, nodeStates, isComplete, failure };
  }
}

interface Arrival {
  readonly left: number;
  readonly before: number;
  readonly step: number;
}

/** Which node has a place after a renaming. */
const INVERSE = PERMUTATIONS.map((permutation) =>
  permutation.map((_, place) => permutation.indexOf(place))
);

/** The renaming that undoes `second` and then does `first`. */
function composed(first: number, second: number): number {
  const names = (INVERSE[second] ?? []).map((node) => renamed(node, first)).join();
  return PERMUTATIONS.findIndex((permutation) => permutation.join() === names);
}

/** What is left of a budget, as a number in [0, 64). */
class Budgets {
  readonly #sizes: readonly number[];
  readonly #spend: readonly (readonly number[])[];
  readonly #poorer: readonly (readonly number[])[];
  readonly full: number;
  readonly usedMax: number;

  constructor({ campaigns, proposals, crashes, ticks }: Budget) {
    this.#sizes = [campaigns, proposals, crashes, ticks].map((most) => most + 1);
    const count = this.#sizes.reduce((product, size) => product * size, 1);
    if (count > 64) throw new RangeError(`A budget has at most 64 remainders, this has ${count}`);
    this.full = count - 1;
    this.usedMax = campaigns + proposals + crashes + ticks;
    const all = Array.from({ length: count }, (_, left) => this.#split(left));
    const bits = Object.values(COST);
    this.#spend = all.map((parts) =>
      Array.from(
        { length: 16 },
        (_, cost) =>
          this.#join(parts.map((part, at) => (cost & (bits[at] ?? 0)) === 0 ? part : part - 1)),
      )
    );
    this.#poorer = all.map((rich) => {
      const words = [0, 0];
      for (const [left, poor] of all.entries()) {
        if (poor.some((part, at) => part > (rich[at] ?? 0))) continue;
        words[left >> 5] = (words[left >> 5] ?? 0) | (1 << (left & 31));
      }
      return words;
    });
  }

  /** -1 = it does not suffice. */
  spend(left: number, cost: number): number {
    return this.#spend[left]?.[cost] ?? -1;
  }

  used(left: number): number {
    return this.usedMax - this.#split(left).reduce((sum, part) => sum + part, 0);
  }

  proposalsUsed(left: number): number {
    return (this.#sizes[1] ?? 1) - 1 - (this.#split(left)[1] ?? 0);
  }

  /** Bits of all that is no more than `left` in anything. */
  poorerThan(left: number): readonly number[] {
    return this.#poorer[left] ?? [];
  }

  #split(left: number): number[] {
    let rest = left;
    return this.#sizes.map((size) => {
      const part = rest % size;
      rest = Math.floor(rest / size);
      return part;
    });
  }

  #join(parts: readonly number[]): number {
    if (parts.some((part) => part < 0)) return -1;
    return parts.reduceRight((sum, part, at) => sum * (this.#sizes[at] ?? 1) + part, 0);
  }
}
