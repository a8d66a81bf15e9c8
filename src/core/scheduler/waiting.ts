import {
  FairQueue,
  remainingMs,
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
  /** Of those that wait and have one. */
  readonly #deadlines = new Map<string, number>();
  /** At most the earliest of them: the last one that left may have been it. */
  #firstDeadlineMs = Infinity;
  #arrivals = 0;

  get size(): number {
    return this.#queue.size;
  }

  get firstDeadlineMs(): number {
    return this.#firstDeadlineMs;
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
    const size = { line, promptTokens, answerTokensMax };
    return {
      ...{ requestId, need, line, tenant, weight, priority, size, deadlineMs },
      isResumed: standing === "resumed",
      costMs: this.#slotTimes.expected(size),
      arrival: ++this.#arrivals,
    };
  }

  add(waiting: Waiting): void {
    this.#queue.add(waiting);
    const { requestId, deadlineMs, isResumed } = waiting;
    // What was resumed is answered, however late.
    if (isResumed || deadlineMs === Infinity) return;
    this.#deadlines.set(requestId, deadlineMs);
    this.#firstDeadlineMs = Math.min(this.#firstDeadlineMs, deadlineMs);
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
    this.#deadlines.delete(requestId);
    if (waiting !== undefined) this.#served.set(requestId, { size: waiting.size, sinceMs: nowMs });
  }

  /** It waits no more, or its slot is free. */
  end(requestId: string, nowMs: number): void {
    this.#deadlines.delete(requestId);
    this.#queue.remove(requestId);
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
      this.#deadlines.delete(requestId);
    }
    return dropped;
  }

  /** Those whose time is over wait no more. */
  dropLate(
    nowMs: number,
  ): readonly { readonly requestId: string; readonly refusal: Refusal }[] {
    if (nowMs < this.#firstDeadlineMs) return [];
    const late = [];
    this.#firstDeadlineMs = Infinity;
    for (const [requestId, deadlineMs] of this.#deadlines) {
      if (deadlineMs > nowMs) {
        this.#firstDeadlineMs = Math.min(this.#firstDeadlineMs, deadlineMs);
        continue;
      }
      const waiting = this.#queue.remove(requestId);
      this.#deadlines.delete(requestId);
      if (waiting === undefined) continue;
      const neededMs = Math.round(this.#slotTimes.measured(waiting.size) ?? 0);
      const leftMs = Math.round(deadlineMs - nowMs);
      late.push({ requestId, refusal: { kind: "too_late" as const, neededMs, leftMs } });
    }
    return late;
  }

  /** Whether its answer could not be whole in time; undefined = it could, or nothing is known of that. */
  tooLate(
    { size, deadlineMs, isResumed }: Waiting,
    at: { readonly nowMs: number; readonly startsInMs: number | undefined },
  ): Refusal | undefined {
    if (isResumed || deadlineMs === Infinity) return undefined;
    const neededMs = Math.round((at.startsInMs ?? 0) + (this.#slotTimes.measured(size) ?? 0));
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
      const expectedMs = served && this.#slotTimes.measured(served.size);
      if (served === undefined || expectedMs === undefined) return undefined;
      held.push(remainingMs(expectedMs, at.nowMs - served.sinceMs));
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

  noteLoad(modelKey: string, ms: number): void {
    this.#loadTimes.note(loadOf(modelKey), ms);
  }

  /** Undefined = it was never loaded here. */
  loadMs(modelKey: string): number | undefined {
    return this.#loadTimes.measured(loadOf(modelKey));
  }
}

function lineOf({ modelKey, settingsKey, mustBeExact }: ModelNeed): string {
  return `${modelKey}\0${settingsKey}${mustBeExact === true ? "\0exact" : ""}`;
}

function loadOf(modelKey: string): WorkSize {
  return { line: modelKey, promptTokens: 0, answerTokensMax: Infinity };
}
