interface Scheduled {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** What takes real time and none of a run's. */
export interface Rest {
  readonly isBusy: boolean;
  settle(): Promise<void>;
}

/** Actions of one run at most; healthy runs need a tenth of it, so more is a storm that feeds itself. */
const EVENTS_MAX = 1_000_000;

/** A queue of actions under virtual time: ordered by time, then by the order of asking. */
export class VirtualTime {
  nowMs = 0;
  /** Actions run so far. */
  events = 0;
  /** What goes on outside of virtual time; absent = nothing does. */
  rest: Rest | undefined;
  readonly #heap: Scheduled[] = [];
  #order = 0;

  /** Runs `action` `delayMs` (>= 0) from now. */
  after(delayMs: number, action: () => void): void {
    const item = { atMs: this.nowMs + delayMs, order: this.#order++, run: action };
    this.#heap.push(item);
    this.#siftUp(this.#heap.length - 1);
  }

  /** Runs everything that is due until `endMs`, or until `stop` holds after an action. */
  runUntil(endMs: number, stop: () => boolean = () => false): void {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= endMs; next = this.#heap[0]) {
      this.#runFirst(next);
      if (stop()) return;
    }
    this.nowMs = endMs;
  }

  /** As {@link runUntil}, and after each action whatever else it set off comes to rest, where that takes real time. */
  async runSettled(endMs: number, stop: () => boolean = () => false): Promise<void> {
    if (this.rest === undefined) return this.runUntil(endMs, stop);
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= endMs; next = this.#heap[0]) {
      this.#runFirst(next);
      if (this.rest.isBusy) await this.rest.settle();
      if (stop()) return;
    }
    this.nowMs = endMs;
  }

  #runFirst(next: Scheduled): void {
    this.#removeFirst();
    this.nowMs = next.atMs;
    if (++this.events > EVENTS_MAX) throw new Error("livelock: the run never comes to rest");
    next.run();
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#siftDown();
  }

  #siftUp(from: number): void {
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfBefore(index, parent)) return;
      index = parent;
    }
  }

  #siftDown(): void {
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      const smaller = this.#isBefore(right, left) ? right : left;
      if (!this.#swapIfBefore(smaller, index)) return;
      index = smaller;
    }
  }

  #isBefore(left: number, right: number): boolean {
    const [a, b] = [this.#heap[left], this.#heap[right]];
    if (a === undefined || b === undefined) return false;
    return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
  }

  #swapIfBefore(index: number, other: number): boolean {
    if (!this.#isBefore(index, other)) return false;
    const heap = this.#heap;
    const [a, b] = [heap[index], heap[other]];
    if (a === undefined || b === undefined) return false;
    heap[index] = b;
    heap[other] = a;
    return true;
  }
}
