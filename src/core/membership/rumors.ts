import { assert, keepMap, type StateKeeper } from "../../base/mod.ts";

/** Encoded rumours waiting to ride on other messages; the least often sent goes first (SWIM section 4.1). */
export class Rumors {
  readonly #rumorsMax: number;
  // One map per number of transmissions made, each in order of arrival.
  readonly #bySent: Map<string, Uint8Array>[] = [new Map()];
  // Invariant: key -> the index of the map it is in.
  readonly #sentByKey = new Map<string, number>();

  constructor(options: { rumorsMax: number }) {
    this.#rumorsMax = options.rumorsMax;
  }

  get count(): number {
    return this.#sentByKey.size;
  }

  /** Adds a rumour, unsent; it replaces the one about the same subject, which it has outdated. */
  add(subject: string, bytes: Uint8Array): void {
    this.drop(subject);
    if (this.count >= this.#rumorsMax) this.#dropMostSent();
    this.#bySent[0]?.set(subject, bytes);
    this.#sentByKey.set(subject, 0);
  }

  drop(subject: string): void {
    const sent = this.#sentByKey.get(subject);
    if (sent === undefined) return;
    const isThere = this.#bySent[sent]?.delete(subject) === true;
    assert(isThere, "A rumour is where its count says", { subject, sent });
    this.#sentByKey.delete(subject);
  }

  /**
   * Takes rumours that fit into `budgetBytes`, counts each as sent once more, and forgets those sent
   * `transmissionsMax` times.
   */
  take(budgetBytes: number, transmissionsMax: number): Uint8Array[] {
    const taken: Uint8Array[] = [];
    const moved: { subject: string; bytes: Uint8Array; sent: number }[] = [];
    let budget = budgetBytes;
    let misfits = 0;
    for (let sent = 0; sent < this.#bySent.length && misfits < MISFITS_MAX; sent++) {
      for (const [subject, bytes] of this.#bySent[sent] ?? []) {
        if (bytes.length > budget) {
          if (++misfits >= MISFITS_MAX) break;
          continue;
        }
        budget -= bytes.length;
        taken.push(bytes);
        moved.push({ subject, bytes, sent: sent + 1 });
      }
    }
    for (const { subject, bytes, sent } of moved) {
      this.drop(subject);
      if (sent < transmissionsMax) this.#put(subject, bytes, sent);
    }
    return taken;
  }

  /** All of its state. */
  keep(keeper: StateKeeper): void {
    const bySent = keeper.keep(this.#bySent);
    if (keeper.restores) this.#bySent.splice(0, this.#bySent.length, ...bySent);
    keepMap(keeper, this.#sentByKey);
  }

  #put(subject: string, bytes: Uint8Array, sent: number): void {
    while (this.#bySent.length <= sent) this.#bySent.push(new Map());
    this.#bySent[sent]?.set(subject, bytes);
    this.#sentByKey.set(subject, sent);
  }

  #dropMostSent(): void {
    for (let sent = this.#bySent.length - 1; sent >= 0; sent--) {
      const [oldest] = this.#bySent[sent]?.keys() ?? [];
      if (oldest !== undefined) return this.drop(oldest);
    }
  }
}

/** Rumours passed over for size before a packet counts as full; keeps a long backlog from being walked each time. */
const MISFITS_MAX = 8;
