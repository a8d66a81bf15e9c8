import { assert, type NodeId, type StateKeeper } from "../../base/mod.ts";
import { CONFIRMATIONS_MAX } from "./timing.ts";

// Lifeguard, dynamic suspicion timeout: what is left of the stretch after n of k confirmations, in thousandths:
// 1 - log(n + 1) / log(k + 1). A table, because core decides nothing by floating point.
const STRETCH_LEFT: readonly (readonly number[])[] = [
  [0],
  [1000, 0],
  [1000, 369, 0],
  [1000, 500, 208, 0],
];

/** A timed doubt about one life of one member. It ends early the more members share it. */
export class Suspicion {
  /** Who doubted first. */
  readonly accuser: NodeId;
  readonly startedMs: number;
  readonly #msMin: number;
  readonly #msMax: number;
  readonly #confirmationsWanted: number;
  // Invariant: the first accuser is in here and is no confirmation of itself.
  readonly #accusers: Set<NodeId>;
  /** How often the suspect was asked directly before the end. */
  lastCalls = 0;
  /** When it was last asked so. */
  lastCallMs = -Infinity;

  constructor(
    accuser: NodeId,
    options: { startedMs: number; msMin: number; msMax: number; accusersPossible: number },
  ) {
    this.accuser = accuser;
    this.startedMs = options.startedMs;
    this.#msMin = options.msMin;
    this.#msMax = options.msMax;
    // In a cluster of two no one can confirm, so waiting for it would only delay.
    this.#confirmationsWanted = Math.max(
      0,
      Math.min(CONFIRMATIONS_MAX, options.accusersPossible - 1),
    );
    this.#accusers = new Set([accuser]);
  }

  /** Keeps one that may be there. */
  static keep(keeper: StateKeeper, present: Suspicion | undefined): Suspicion | undefined {
    const kept = keeper.keep(present === undefined ? undefined : present.#plain());
    if (!keeper.restores || kept === undefined) return present;
    const { accuser, startedMs, msMin, msMax, wanted, accusers, lastCalls, lastCallMs } = kept;
    const options = { startedMs, msMin, msMax, accusersPossible: wanted + 1 };
    const restored = new Suspicion(accuser, options);
    for (const one of accusers) restored.#accusers.add(one);
    return Object.assign(restored, { lastCalls, lastCallMs });
  }

  #plain() {
    const { accuser, startedMs, lastCalls, lastCallMs } = this;
    const bounds = { msMin: this.#msMin, msMax: this.#msMax, wanted: this.#confirmationsWanted };
    return { accuser, startedMs, lastCalls, lastCallMs, ...bounds, accusers: this.#accusers };
  }

  /** Counts an accuser; true when it is one more than before and still shortens the wait. */
  confirm(accuser: NodeId): boolean {
    if (this.#accusers.has(accuser) || this.confirmations >= this.#confirmationsWanted) {
      return false;
    }
    this.#accusers.add(accuser);
    return true;
  }

  /** Accusers beyond the first. */
  get confirmations(): number {
    return this.#accusers.size - 1;
  }

  /** When the suspect counts as down. */
  deadlineMs(): number {
    const { confirmations } = this;
    const left = STRETCH_LEFT[this.#confirmationsWanted]?.[confirmations];
    assert(left !== undefined, "No more confirmations count than are wanted", {
      confirmations,
      wanted: this.#confirmationsWanted,
    });
    return this.startedMs + this.#msMin +
      Math.trunc(((this.#msMax - this.#msMin) * left) / 1000);
  }
}
