import { BoundedMap, keepMap, type StateKeeper } from "../../base/mod.ts";
import {
  FairQueue,
  SlotTimes,
  type TenantView,
  type Waiter,
  waitMs,
  type WorkSize,
} from "../queue/mod.ts";
import type { Asking, ModelNeed, Refusal, SchedulerEvent } from "./events.ts";

/** One that waits for a slot. */
export interface Waiting extends Waiter {
  readonly need: ModelNeed;
  readonly size: WorkSize;
  readonly deadlineMs: number;
}

/** One that holds a slot. */
interface Served {
  readonly size: WorkSize;
  readonly sinceMs: number;
}

/** Of those that get a slot while others wait for it, so many are to be whole by their deadlines. */
const IN_TIME_SHARE = 0.8;
/** Between two looks at one that may be too late. Milliseconds. */
const LOOK_GAP_MS = 10;

const NOBODYS: Asking = {
  tenant: "",
  weight: 1,
  priority: "normal",
  promptTokens: 0,
  answerTokensMax: Infinity,
  deadlineMs: Infinity,
};

/** The requests that wait for models and slots, what those cost that were served, and so how long the others wait. */
export class WaitingRequests {
  readonly #queue = new FairQueue<Waiting>();
  readonly #slotTimes = new SlotTimes();
  readonly #loadTimes = new SlotTimes();
  readonly #served = new Map<string, Served>();
  readonly #staying = new StayShares();
  /** Of those that wait and have a deadline, when to look whether they can still be in time. */
  readonly #lookAtMs = new Map<string, number>();
  /** At most the earliest of them: the last one that left may have been it. */
  #firstLookMs = Infinity;
  #arrivals = 0;

  get size(): number {
    return this.#queue.size;
  }

  /** When the first of those that wait may have become too late; Infinity = never. */
  get firstLookMs(): number {
    return this.#firstLookMs;
  }

  /** How it would wait; {@link add} has it wait. */
  admit(
    { requestId, need, standing, asking = NOBODYS }: Extract<
      SchedulerEvent,
      { kind: "request_arrived" }
    >,
  ): Waiting {
    const line = lineOf(need);
    const { tenant, weight, priority, promptTokens, answerTokensMax, deadlineMs } = asking;
    const size = { line, tenant, promptTokens, answerTokensMax };
    return {
      ...{ requestId, need, line, tenant, weight, priority, size, deadlineMs },
      isResumed: standing === "resumed",
      costMs: this.#slotTimes.expected(size),
      arrival: ++this.#arrivals,
    };
  }

  add(waiting: Waiting, nowMs: number): void {
    this.#queue.add(waiting);
    const { deadlineMs, isResumed } = waiting;
    // What was resumed is answered, however late.
    if (!isResumed && deadlineMs !== Infinity) this.#lookLater(waiting, nowMs);
  }

  /** Looks at it again once it could be too late; never now, so that time passes between two looks. */
  #lookLater({ requestId, size, deadlineMs }: Waiting, nowMs: number): void {
    const atMs = Math.max(nowMs + LOOK_GAP_MS, deadlineMs - (this.#slotTimes.measured(size) ?? 0));
    this.#lookAtMs.set(requestId, atMs);
    this.#firstLookMs = Math.min(this.#firstLookMs, atMs);
  }

  find(requestId: string): Waiting | undefined {
    return this.#queue.find(requestId);
  }

  lines(): Iterable<string> {
    return this.#queue.lines();
  }

  /** Whose head is served first. */
  first(lines: Iterable<string>): Waiting | undefined {
    return this.#queue.first(lines);
  }

  /** What all in a line need. */
  needOf(line: string): ModelNeed | undefined {
    for (const { need } of this.#queue.waiters(line)) return need;
    return undefined;
  }

  /** How many wait for models of which this is true. */
  count(matches: (need: ModelNeed) => boolean): number {
    let count = 0;
    for (const line of this.#queue.lines()) {
      const need = this.needOf(line);
      if (need !== undefined && matches(need)) count += this.#queue.sizeOf(line);
    }
    return count;
  }

  waitingOf(tenant: string): number {
    return this.#queue.waitingOf(tenant);
  }

  tenants(): readonly TenantView[] {
    return this.#queue.tenants();
  }

  /** What is served before it, whether it waits already or not. */
  ahead(waiting: Waiting): { readonly costMs: number; readonly count: number } {
    return this.#queue.ahead(waiting);
  }

  serve(requestId: string, nowMs: number): void {
    const waiting = this.#queue.find(requestId);
    this.#queue.serve(requestId);
    this.#lookAtMs.delete(requestId);
    if (waiting === undefined) return;
    this.#served.set(requestId, { size: waiting.size, sinceMs: nowMs });
    this.#staying.note(waiting, true);
  }

  /** It waits no more, or its slot is free. */
  end(requestId: string, nowMs: number): void {
    this.#lookAtMs.delete(requestId);
    const left = this.#queue.remove(requestId);
    if (left !== undefined) this.#staying.note(left, false);
    const served = this.#served.get(requestId);
    if (served !== undefined) this.#slotTimes.note(served.size, nowMs - served.sinceMs);
    this.lose(requestId, nowMs);
  }

  /** Its runner died: it got what it held until then, which says nothing of how long it takes. */
  lose(requestId: string, nowMs: number): void {
    const served = this.#served.get(requestId);
    if (served === undefined) return;
    this.#served.delete(requestId);
    this.#queue.end(requestId, nowMs - served.sinceMs);
  }

  /** Nobody waits for this model with these options any more. */
  dropAllFor(need: ModelNeed): readonly string[] {
    const dropped = [...this.#queue.waiters(lineOf(need))].map(({ requestId }) => requestId);
    for (const requestId of dropped) {
      this.#queue.remove(requestId);
      this.#lookAtMs.delete(requestId);
    }
    return dropped;
  }

  /** Those who can't be in time any more wait no more: they are told at once, and stand in nobody's way. */
  dropLate(
    nowMs: number,
  ): readonly { readonly requestId: string; readonly refusal: Refusal }[] {
    if (nowMs < this.#firstLookMs) return [];
    const late = [];
    this.#firstLookMs = Infinity;
    for (const [requestId, atMs] of this.#lookAtMs) {
      if (atMs > nowMs) {
        this.#firstLookMs = Math.min(this.#firstLookMs, atMs);
        continue;
      }
      const waiting = this.#queue.find(requestId);
      const refusal = waiting && this.#tooLate(waiting, { nowMs, startsInMs: 0, isSure: false });
      if (waiting === undefined || refusal !== undefined) {
        this.#lookAtMs.delete(requestId);
        this.#queue.remove(requestId);
        if (waiting !== undefined) this.#staying.note(waiting, false);
      } else this.#lookLater(waiting, nowMs);
      if (refusal !== undefined) late.push({ requestId, refusal });
    }
    return late;
  }

  /**
   * Whether its answer could not be whole in time; undefined = it could, or nothing is known of that. While others want the
   * same slot it is not given to an answer that may well be late: that would be of use to nobody.
   */
  tooLate(
    waiting: Waiting,
    at: { readonly nowMs: number; readonly startsInMs: number | undefined },
  ): Refusal | undefined {
    const waitsItself = this.#queue.find(waiting.requestId) === undefined ? 0 : 1;
    const isSure = this.#queue.sizeOf(waiting.line) > waitsItself;
    return this.#tooLate(waiting, { ...at, isSure });
  }

  #tooLate(
    { size, deadlineMs, isResumed }: Waiting,
    at: {
      readonly nowMs: number;
      readonly startsInMs: number | undefined;
      readonly isSure: boolean;
    },
  ): Refusal | undefined {
    if (isResumed || deadlineMs === Infinity) return undefined;
    const slotMs = at.isSure
      ? this.#slotTimes.within(size, IN_TIME_SHARE)
      : this.#slotTimes.measured(size);
    const neededMs = Math.round((at.startsInMs ?? 0) + (slotMs ?? 0));
    const leftMs = Math.round(deadlineMs - at.nowMs);
    if (neededMs <= leftMs && leftMs > 0) return undefined;
    return { kind: "too_late", neededMs, leftMs };
  }

  /** How long each slot is still held; undefined = nothing was measured. */
  heldMs(
    running: Iterable<string>,
    at: { readonly nowMs: number; readonly slots: number },
  ): number[] | undefined {
    const held: number[] = [];
    for (const requestId of running) {
      const served = this.#served.get(requestId);
      const leftMs = served && this.#slotTimes.remaining(served.size, at.nowMs - served.sinceMs);
      if (leftMs === undefined) return undefined;
      held.push(leftMs);
    }
    while (held.length < at.slots) held.push(0);
    return held;
  }

  /** Undefined = nothing of its model was measured. */
  startsInMs(
    { size }: Waiting,
    by: { readonly heldMs: readonly number[]; readonly aheadMs: number },
  ): number | undefined {
    if (by.aheadMs > 0 && this.#slotTimes.measured(size) === undefined) return undefined;
    return Math.round(waitMs(by.heldMs, by.aheadMs));
  }

  /**
   * Of the slot time that is waited for before a request, what is taken in the end: those before it have half of their waiting
   * behind them on average. Only for what is told: who was let in by it would make more of the others too late.
   */
  takenShare({ line }: Waiting): number {
    return (1 + this.#staying.of(line)) / 2;
  }

  noteLoad(modelKey: string, ms: number): void {
    this.#loadTimes.note(loadOf(modelKey), ms);
  }

  /** Undefined = it was never loaded here. */
  loadMs(modelKey: string): number | undefined {
    return this.#loadTimes.measured(loadOf(modelKey));
  }

  /** All of its state. */
  keep(keeper: StateKeeper): void {
    const parts = [this.#queue, this.#slotTimes, this.#loadTimes, this.#staying];
    for (const part of parts) part.keep(keeper);
    keepMap(keeper, this.#served);
    keepMap(keeper, this.#lookAtMs);
    this.#firstLookMs = keeper.keep(this.#firstLookMs);
    this.#arrivals = keeper.keep(this.#arrivals);
  }
}

/** Weight of what is known against one more that waits no more: about the last 64 count. */
const STAY_DECAY = 63 / 64;
/** Lines that it is known of. */
const STAY_LINES_MAX = 256;

/** Of the slot time that is waited for, what is taken in the end: some clients leave, and some become too late. */
class StayShares {
  readonly #lines = new BoundedMap<string, { takenMs: number; allMs: number }>(STAY_LINES_MAX);

  note({ line, costMs }: Waiting, isTaken: boolean): void {
    const { takenMs = 0, allMs = 0 } = this.#lines.get(line) ?? {};
    this.#lines.set(line, {
      takenMs: takenMs * STAY_DECAY + (isTaken ? costMs : 0),
      allMs: allMs * STAY_DECAY + costMs,
    });
  }

  of(line: string): number {
    const { takenMs, allMs } = this.#lines.get(line) ?? { takenMs: 1, allMs: 1 };
    return takenMs / allMs;
  }

  keep(keeper: StateKeeper): void {
    keepMap(keeper, this.#lines);
  }
}

function lineOf({ modelKey, settingsKey, mustBeExact }: ModelNeed): string {
  return `${modelKey}\0${settingsKey}${mustBeExact === true ? "\0exact" : ""}`;
}

function loadOf(modelKey: string): WorkSize {
  return { line: modelKey, promptTokens: 0, answerTokensMax: Infinity };
}
