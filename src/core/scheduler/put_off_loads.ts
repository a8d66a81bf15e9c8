import { keepMap, type StateKeeper } from "../../base/mod.ts";

/** A load is begun again so long after it was put off, times how often it was by then. Milliseconds. */
const PUT_OFF_MS = 250;
/** Times that a load is put off in a row: about 20 s in all. */
const PUT_OFFS_MAX = 12;

/** Loads over several nodes that gave way to those of others, by the models' keys, and when each is begun again. */
export class PutOffLoads {
  readonly #loads = new Map<string, { readonly times: number; readonly untilMs: number }>();

  /** When the first is begun again; Infinity = there is none. */
  get firstMs(): number {
    return Math.min(Infinity, ...[...this.#loads.values()].map(({ untilMs }) => untilMs));
  }

  /** @returns Whether it may be begun again; otherwise it was put off too often, and has failed. */
  note(modelKey: string, nowMs: number): boolean {
    const times = (this.#loads.get(modelKey)?.times ?? 0) + 1;
    if (times > PUT_OFFS_MAX) {
      this.#loads.delete(modelKey);
      return false;
    }
    this.#loads.set(modelKey, { times, untilMs: nowMs + times * PUT_OFF_MS });
    return true;
  }

  /** Whether it is not to be begun yet. */
  has(modelKey: string, nowMs: number): boolean {
    return (this.#loads.get(modelKey)?.untilMs ?? 0) > nowMs;
  }

  forget(modelKey: string): void {
    this.#loads.delete(modelKey);
  }

  /** Forgets those for which nobody waits. */
  keepOnly(isWanted: (modelKey: string) => boolean): void {
    for (const modelKey of this.#loads.keys()) {
      if (!isWanted(modelKey)) this.#loads.delete(modelKey);
    }
  }

  /** All of its state. */
  keep(keeper: StateKeeper): void {
    keepMap(keeper, this.#loads);
  }
}
