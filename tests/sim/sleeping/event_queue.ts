interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** What happens when, on a clock that jumps from one event to the next: a binary heap. */
export class EventQueue {
  readonly #heap: Planned[] = [];
  #order = 0;
  nowMs = 0;
  #isStopped = false;

  /** Nothing more happens. */
  stop(): void {
    this.#isStopped = true;
  }

  after(delayMs: number, run: () => void): void {
    this.#heap.push({ atMs: this.nowMs + delayMs, order: this.#order++, run });
    let at = this.#heap.length - 1;
    while (at > 0 && this.#isBefore(at, (at - 1) >> 1)) at = this.#swap(at, (at - 1) >> 1);
  }

  /** Runs all that is due by then, in order. */
  runUntil(endMs: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= endMs; next = this.#heap[0]) {
      this.#removeFirst();
      this.nowMs = next.atMs;
      next.run();
      if (this.#isStopped) return;
    }
    this.nowMs = endMs;
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    for (let at = 0;;) {
      const left = 2 * at + 1;
      const child = left + 1 < this.#heap.length && this.#isBefore(left + 1, left)
        ? left + 1
        : left;
      if (child >= this.#heap.length || !this.#isBefore(child, at)) return;
      at = this.#swap(at, child);
    }
  }

  #isBefore(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a], this.#heap[b]];
    if (one === undefined || other === undefined) return false;
    return one.atMs - other.atMs < 0 || (one.atMs === other.atMs && one.order < other.order);
  }

  /** Returns `to`. */
  #swap(from: number, to: number): number {
    const [one, other] = [this.#heap[from], this.#heap[to]];
    if (one === undefined || other === undefined) return to;
    this.#heap[from] = other;
    this.#heap[to] = one;
    return to;
  }
}
