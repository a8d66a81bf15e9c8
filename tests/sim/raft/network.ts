import type { Random } from "../../../src/base/mod.ts";
import type { VirtualTime } from "./virtual_time.ts";

/** One-way delay of a healthy link, uniform, in milliseconds. */
const DELAY_MS = { low: 1, high: 8 } as const;

/** What is wrong with one direction of one link now. Counters, because faults overlap. */
interface LinkTrouble {
  cuts: number;
  lossPerMille: number;
  duplicatePerMille: number;
  slowMs: number;
}

/** Directed links between nodes, with loss, duplicates, delay (and so reordering) and cuts. */
export class Network {
  sent = 0;
  lost = 0;
  duplicated = 0;
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #nodeCount: number;
  /** Every message takes equally long: what only chance keeps apart then collides for ever. */
  readonly #isSteady: boolean;
  readonly #links: LinkTrouble[];
  /** Messages of an earlier epoch are lost. */
  #epoch = 0;

  constructor(
    parts: { readonly time: VirtualTime; readonly random: Random; readonly nodeCount: number },
  ) {
    this.#time = parts.time;
    this.#random = parts.random;
    this.#nodeCount = parts.nodeCount;
    this.#isSteady = parts.random.chance(1, 4);
    this.#links = Array.from({ length: parts.nodeCount ** 2 }, () => ({
      cuts: 0,
      lossPerMille: 0,
      duplicatePerMille: 0,
      slowMs: 0,
    }));
  }

  /** Delivers zero, one or two times; false = not even once. */
  send(link: { readonly from: number; readonly to: number }, deliver: () => void): boolean {
    const trouble = this.#link(link);
    this.sent++;
    if (trouble.cuts > 0 || this.#random.chance(trouble.lossPerMille, 1000)) {
      this.lost++;
      return false;
    }
    this.#deliverLater(trouble, deliver);
    if (trouble.duplicatePerMille > 0 && this.#random.chance(trouble.duplicatePerMille, 1000)) {
      this.duplicated++;
      this.#deliverLater(trouble, deliver);
    }
    return true;
  }

  /** Loses everything that was sent and has not arrived. */
  forgetWhatIsOnItsWay(): void {
    this.#epoch++;
  }

  /** Changes one direction; the caller undoes it with the opposite change. */
  disturb(
    link: { readonly from: number; readonly to: number },
    change: Partial<LinkTrouble>,
  ): void {
    const trouble = this.#link(link);
    trouble.cuts += change.cuts ?? 0;
    trouble.lossPerMille += change.lossPerMille ?? 0;
    trouble.duplicatePerMille += change.duplicatePerMille ?? 0;
    trouble.slowMs += change.slowMs ?? 0;
  }

  #deliverLater(trouble: LinkTrouble, deliver: () => void): void {
    const epoch = this.#epoch;
    this.#time.after(this.#delay(trouble), () => {
      if (epoch === this.#epoch) deliver();
    });
  }

  #delay(trouble: LinkTrouble): number {
    const base = this.#isSteady ? DELAY_MS.low : this.#random.between(DELAY_MS.low, DELAY_MS.high);
    return trouble.slowMs === 0 ? base : base + this.#random.below(trouble.slowMs + 1);
  }

  #link(link: { readonly from: number; readonly to: number }): LinkTrouble {
    const trouble = this.#links[link.from * this.#nodeCount + link.to];
    if (trouble === undefined) throw new Error(`no link ${link.from} -> ${link.to}`);
    return trouble;
  }
}
