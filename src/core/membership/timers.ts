import { assert, type NodeId, type StateKeeper } from "../../base/mod.ts";

/** What a deadline of membership is about. */
export type TimerFact =
  | { readonly kind: "probe_turn" }
  | { readonly kind: "probe_silent"; readonly sequence: number }
  | { readonly kind: "probe_over"; readonly sequence: number }
  | { readonly kind: "relay_over"; readonly sequence: number }
  | { readonly kind: "suspicion_due"; readonly nodeId: NodeId }
  | { readonly kind: "gossip_turn" }
  | { readonly kind: "values_turn" }
  | { readonly kind: "sync_turn" }
  | { readonly kind: "announce_turn" }
  | { readonly kind: "join_turn" }
  | { readonly kind: "leave_turn"; readonly round: number };

/** Something that comes due. */
export interface Timer<Fact> {
  readonly dueMs: number;
  /** Breaks ties by age, so that replays agree. */
  readonly order: number;
  readonly fact: Fact;
  cancelled: boolean;
}

/** Deadlines in order: a binary heap; a cancelled timer is dropped when it surfaces. */
export class Timers<Fact> {
  readonly #heap: Timer<Fact>[] = [];
  #order = 0;
  #cancelledCount = 0;

  /** Adds a deadline. */
  at(dueMs: number, fact: Fact): Timer<Fact> {
    const timer = { dueMs, order: this.#order++, fact, cancelled: false };
    this.#heap.push(timer);
    this.#siftUp(this.#heap.length - 1);
    return timer;
  }

  cancel(timer: Timer<Fact> | undefined): void {
    if (timer === undefined || timer.cancelled) return;
    timer.cancelled = true;
    this.#cancelledCount++;
    // Answered probes leave a cancelled timer each; without this the heap would hold minutes of them.
    if (this.#cancelledCount > 64 && this.#cancelledCount * 2 > this.#heap.length) this.#sweep();
  }

  /** The earliest deadline, or undefined. */
  nextDueMs(): number | undefined {
    this.#dropCancelled();
    return this.#heap[0]?.dueMs;
  }

  /** Takes the earliest timer due at or before `nowMs`. */
  takeDue(nowMs: number): Fact | undefined {
    this.#dropCancelled();
    const first = this.#heap[0];
    if (first === undefined || first.dueMs > nowMs) return undefined;
    this.#removeFirst();
    const nextMs = this.#heap[0]?.dueMs ?? Infinity;
    assert(first.dueMs <= nextMs, "Timers come due in order", { dueMs: first.dueMs, nextMs });
    first.cancelled = true;
    return first.fact;
  }

  /** All of its state; who holds one of these timers keeps it with the same keeper. */
  keep(keeper: StateKeeper): void {
    const heap = keeper.keep(this.#heap);
    if (keeper.restores) this.#heap.push(...heap);
    this.#order = keeper.keep(this.#order);
    this.#cancelledCount = keeper.keep(this.#cancelledCount);
  }

  #dropCancelled(): void {
    while (this.#heap[0]?.cancelled === true) {
      this.#removeFirst();
      this.#cancelledCount--;
    }
  }

  #sweep(): void {
    const kept = this.#heap.filter((timer) => !timer.cancelled).sort(compareTimers);
    this.#heap.splice(0, this.#heap.length, ...kept); // A sorted array is a heap.
    this.#cancelledCount = 0;
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#siftDown();
  }

  #siftUp(start: number): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfEarlier(index, parent)) return;
      index = parent;
    }
  }

  #siftDown(): void {
    let index = 0;
    for (;;) {
      const left = index * 2 + 1;
      const [first, second] = [this.#heap[left], this.#heap[left + 1]];
      if (first === undefined) return;
      const child = second !== undefined && compareTimers(second, first) < 0 ? left + 1 : left;
      if (!this.#swapIfEarlier(child, index)) return;
      index = child;
    }
  }

  #swapIfEarlier(lower: number, upper: number): boolean {
    const [below, above] = [this.#heap[lower], this.#heap[upper]];
    if (below === undefined || above === undefined || compareTimers(below, above) >= 0) {
      return false;
    }
    this.#heap[lower] = above;
    this.#heap[upper] = below;
    return true;
  }
}

function compareTimers(a: Timer<unknown>, b: Timer<unknown>): number {
  return a.dueMs - b.dueMs || a.order - b.order;
}
