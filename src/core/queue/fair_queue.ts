import { assert, keepMap, type StateKeeper } from "../../base/mod.ts";

/** Which of one's own requests comes first; between those of different keys it says nothing. */
const PRIORITIES = ["high", "normal", "low"] as const;
export type Priority = (typeof PRIORITIES)[number];

/** One that waits. */
export interface Waiter {
  readonly requestId: string;
  /** Who shares a model and its options waits in one line. */
  readonly line: string;
  /** On whose account it goes: a key, or the machine of those without one. */
  readonly tenant: string;
  /** What its tenant gets in proportion to others; > 0. */
  readonly weight: number;
  readonly priority: Priority;
  /** Lost its slot: ahead of all that did not. */
  readonly isResumed: boolean;
  /** Expected time in its slot; > 0. */
  readonly costMs: number;
  /** Rises with each. */
  readonly arrival: number;
}

/** What a tenant got so far. */
interface Account {
  readonly tenant: string;
  weight: number;
  /** Slot time in proportion to the weight, on a scale that all share. Milliseconds. */
  servedMs: number;
  waiting: number;
  running: number;
  /** When it was served last, in turns. */
  turn: number;
}

/** One tenant's requests in one line, by priority and then as they came. */
class Lane<T extends Waiter> {
  readonly #classes: readonly Map<string, T>[] = PRIORITIES.map(() => new Map<string, T>());
  readonly #costs = PRIORITIES.map(() => 0);
  #newest: T | undefined;
  size = 0;

  add(waiter: T): void {
    const at = PRIORITIES.indexOf(waiter.priority);
    this.#classes[at]?.set(waiter.requestId, waiter);
    this.#newest = waiter;
    this.#costs[at] = (this.#costs[at] ?? 0) + waiter.costMs;
    this.size++;
  }

  delete(waiter: T): void {
    const at = PRIORITIES.indexOf(waiter.priority);
    if (this.#classes[at]?.delete(waiter.requestId) !== true) return;
    this.#costs[at] = this.#classes[at]?.size === 0 ? 0 : (this.#costs[at] ?? 0) - waiter.costMs;
    this.size--;
  }

  head(): T | undefined {
    for (const waiters of this.#classes) {
      for (const waiter of waiters.values()) return waiter;
    }
    return undefined;
  }

  /** What all that come before one more of this priority cost, and how many they are. */
  before(priority: Priority): { readonly costMs: number; readonly count: number } {
    let [costMs, count] = [0, 0];
    for (let at = 0; at <= PRIORITIES.indexOf(priority); at++) {
      costMs += this.#costs[at] ?? 0;
      count += this.#classes[at]?.size ?? 0;
    }
    return { costMs, count };
  }

  /** What comes before one that waits here. */
  beforeOne({ requestId, priority, costMs: ownMs }: Waiter): Ahead {
    if (this.#newest?.requestId === requestId) {
      const all = this.before(priority);
      return { costMs: all.costMs - ownMs, count: all.count - 1 };
    }
    let [costMs, count] = [0, 0];
    for (const other of this.values()) {
      if (other.requestId === requestId) break;
      costMs += other.costMs;
      count++;
    }
    return { costMs, count };
  }

  *values(): Generator<T> {
    for (const waiters of this.#classes) yield* waiters.values();
  }

  keep(keeper: StateKeeper): void {
    for (const waiters of this.#classes) keepMap(keeper, waiters);
    // Sums of what came and went, which adding up anew would round otherwise.
    keeper.keep(this.#costs).forEach((cost, at) => this.#costs[at] = cost);
    this.#newest = keeper.keep(this.#newest);
    this.size = keeper.keep(this.size);
  }
}

/** Who waits for the same. */
interface Line<T extends Waiter> {
  /** Before all others, as they came. */
  readonly resumed: Map<string, T>;
  readonly lanes: Map<string, Lane<T>>;
  size: number;
}

/** What is served before a request. */
export interface Ahead {
  /** Slot time of all that waits in the same line and is served before. Milliseconds. */
  readonly costMs: number;
  /** How many that are, of whatever tenant. */
  readonly count: number;
}

/** A tenant's part in the queue. */
export interface TenantView {
  readonly tenant: string;
  readonly weight: number;
  readonly waiting: number;
  readonly running: number;
}

/**
 * Who is served next: of all tenants that wait, the one that got least slot time for its weight. What a request will cost is
 * charged when it is served and put right when it ends, so that nobody gains by requests that look short. One that comes
 * after a time without requests begins with what the least served one has: it is next, but owed nothing for its absence.
 */
export class FairQueue<T extends Waiter> {
  readonly #lines = new Map<string, Line<T>>();
  readonly #accounts = new Map<string, Account>();
  readonly #byId = new Map<string, T>();
  readonly #running = new Map<string, { readonly tenant: string; readonly costMs: number }>();
  #turns = 0;

  get size(): number {
    return this.#byId.size;
  }

  lines(): Iterable<string> {
    return this.#lines.keys();
  }

  sizeOf(line: string): number {
    return this.#lines.get(line)?.size ?? 0;
  }

  waitingOf(tenant: string): number {
    return this.#accounts.get(tenant)?.waiting ?? 0;
  }

  find(requestId: string): T | undefined {
    return this.#byId.get(requestId);
  }

  add(waiter: T): void {
    const { requestId, tenant, weight, isResumed } = waiter;
    assert(!this.#byId.has(requestId), "A request waits once", { requestId });
    const account = this.#enter(tenant, weight);
    const line = this.#lines.get(waiter.line) ?? { resumed: new Map(), lanes: new Map(), size: 0 };
    this.#lines.set(waiter.line, line);
    if (isResumed) line.resumed.set(requestId, waiter);
    else {
      const lane = line.lanes.get(tenant) ?? new Lane<T>();
      line.lanes.set(tenant, lane);
      lane.add(waiter);
    }
    line.size++;
    account.waiting++;
    this.#byId.set(requestId, waiter);
  }

  /** It waits no more, without having been served. */
  remove(requestId: string): T | undefined {
    const waiter = this.#byId.get(requestId);
    if (waiter === undefined) return undefined;
    this.#byId.delete(requestId);
    const line = this.#lines.get(waiter.line);
    if (line !== undefined) {
      const lane = line.lanes.get(waiter.tenant);
      if (!line.resumed.delete(requestId)) lane?.delete(waiter);
      if (lane?.size === 0) line.lanes.delete(waiter.tenant);
      if (--line.size === 0) this.#lines.delete(waiter.line);
    }
    const account = this.#accounts.get(waiter.tenant);
    if (account !== undefined) account.waiting--;
    this.#forget();
    return waiter;
  }

  /** The next of a line; undefined = nobody waits in it. */
  head(line: string): T | undefined {
    const row = this.#lines.get(line);
    if (row === undefined) return undefined;
    for (const resumed of row.resumed.values()) return resumed;
    let best: { readonly account: Account; readonly lane: Lane<T> } | undefined;
    for (const [tenant, lane] of row.lanes) {
      const account = this.#account(tenant);
      if (best === undefined || compare(account, best.account) < 0) best = { account, lane };
    }
    return best?.lane.head();
  }

  /** The line whose head is served first; undefined = nobody waits in any of these. */
  first(lines: Iterable<string>): T | undefined {
    let best: T | undefined;
    for (const line of lines) {
      const head = this.head(line);
      if (head !== undefined && (best === undefined || this.#compareHeads(head, best) < 0)) {
        best = head;
      }
    }
    return best;
  }

  /** It holds a slot from now on, until {@link end}. */
  serve(requestId: string): void {
    const waiter = this.#byId.get(requestId);
    assert(waiter !== undefined, "Who is served has waited", { requestId });
    const { tenant, costMs } = waiter;
    const account = this.#account(tenant);
    // Before it leaves the queue, or the last one's account would be closed.
    account.running++;
    account.servedMs += costMs / account.weight;
    account.turn = ++this.#turns;
    this.#running.set(requestId, { tenant, costMs });
    this.remove(requestId);
  }

  /** Its slot is free after so long. Milliseconds. */
  end(requestId: string, tookMs: number): void {
    const running = this.#running.get(requestId);
    if (running === undefined) return;
    this.#running.delete(requestId);
    const account = this.#account(running.tenant);
    account.running--;
    account.servedMs += (tookMs - running.costMs) / account.weight;
    this.#forget();
  }

  /**
   * What is served before one that comes now, or before one that waits: each other tenant gets as much as brings it level
   * with this one's turn, or all that it asks for.
   */
  ahead(waiter: Waiter): Ahead {
    const line = this.#lines.get(waiter.line);
    if (line === undefined) return { costMs: 0, count: 0 };
    let [costMs, count] = [0, 0];
    for (const { requestId, costMs: resumedMs } of line.resumed.values()) {
      if (requestId === waiter.requestId) return { costMs, count };
      costMs += resumedMs;
      count++;
    }
    if (waiter.isResumed) return { costMs, count };
    const own = this.#ownAhead(line.lanes.get(waiter.tenant), waiter);
    const account = this.#accounts.get(waiter.tenant);
    const servedMs = account === undefined ? this.#least() : this.#present(account);
    const turnMs = servedMs + own.costMs / (account?.weight ?? waiter.weight);
    costMs += own.costMs;
    count += own.count;
    for (const [tenant, lane] of line.lanes) {
      if (tenant === waiter.tenant) continue;
      const other = this.#account(tenant);
      const all = lane.before("low");
      const share = Math.max(0, (turnMs - other.servedMs) * other.weight);
      const meanMs = all.costMs / all.count;
      // Whole requests: one that began before this one's turn goes on past it.
      const others = Math.min(all.count, Math.ceil(share / meanMs));
      costMs += others * meanMs;
      count += others;
    }
    return { costMs, count };
  }

  /** All that wait in a line. */
  *waiters(line: string): Generator<T> {
    const row = this.#lines.get(line);
    if (row === undefined) return;
    yield* row.resumed.values();
    for (const lane of row.lanes.values()) yield* lane.values();
  }

  /** Everyone who waits or is served, least served first. */
  tenants(): readonly TenantView[] {
    return [...this.#accounts.values()].sort(compare)
      .map(({ tenant, weight, waiting, running }) => ({ tenant, weight, waiting, running }));
  }

  /** All of its state. */
  keep(keeper: StateKeeper): void {
    const lines = keeper.keep(
      [...this.#lines].map(([line, { resumed, lanes, size }]) => ({
        ...{ line, resumed, size },
        tenants: [...lanes.keys()],
      })),
    );
    for (const { line, resumed, size, tenants } of keeper.restores ? lines : []) {
      const lanes = new Map(tenants.map((tenant) => [tenant, new Lane<T>()]));
      this.#lines.set(line, { resumed, lanes, size });
    }
    for (const { lanes } of this.#lines.values()) {
      for (const lane of lanes.values()) lane.keep(keeper);
    }
    keepMap(keeper, this.#accounts);
    keepMap(keeper, this.#byId);
    keepMap(keeper, this.#running);
    this.#turns = keeper.keep(this.#turns);
  }

  #ownAhead(lane: Lane<T> | undefined, waiter: Waiter): Ahead {
    if (lane === undefined) return { costMs: 0, count: 0 };
    const isWaiting = this.#byId.has(waiter.requestId);
    return isWaiting ? lane.beforeOne(waiter) : lane.before(waiter.priority);
  }

  #enter(tenant: string, weight: number): Account {
    const known = this.#accounts.get(tenant);
    const servedMs = known === undefined ? this.#least() : this.#present(known);
    const account = known ?? { tenant, weight, servedMs, waiting: 0, running: 0, turn: 0 };
    account.servedMs = servedMs;
    account.weight = weight;
    this.#accounts.set(tenant, account);
    return account;
  }

  /** What it counts as having got: one that had nothing to ask for is owed nothing for that. */
  #present(account: Account): number {
    if (account.waiting > 0) return account.servedMs;
    return Math.max(account.servedMs, this.#least(account));
  }

  /** What the least served of the others has: of those that wait, or else of those that are served. */
  #least(but?: Account): number {
    let [waiting, running] = [Infinity, Infinity];
    for (const account of this.#accounts.values()) {
      if (account === but) continue;
      if (account.waiting > 0) waiting = Math.min(waiting, account.servedMs);
      else running = Math.min(running, account.servedMs);
    }
    const least = Number.isFinite(waiting) ? waiting : running;
    return Number.isFinite(least) ? least : but?.servedMs ?? 0;
  }

  /** Accounts last as long as anyone has something to do: then nobody owes anybody anything. */
  #forget(): void {
    if (this.#byId.size === 0 && this.#running.size === 0) return this.#accounts.clear();
    if (this.#accounts.size <= ACCOUNTS_MAX) return;
    for (const [tenant, { waiting, running }] of this.#accounts) {
      if (waiting === 0 && running === 0) this.#accounts.delete(tenant);
    }
  }

  #account(tenant: string): Account {
    const account = this.#accounts.get(tenant);
    assert(account !== undefined, "Who waits or runs has an account", { tenant });
    return account;
  }

  #compareHeads(a: T, b: T): number {
    if (a.isResumed !== b.isResumed) return a.isResumed ? -1 : 1;
    if (a.tenant !== b.tenant) return compare(this.#account(a.tenant), this.#account(b.tenant));
    return PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority) || a.arrival - b.arrival;
  }
}

/** Accounts of those that neither wait nor run are forgotten beyond these. */
const ACCOUNTS_MAX = 1_024;

/** Least served first; of equals the one whose last turn is longer ago. */
function compare(a: Account, b: Account): number {
  return a.servedMs - b.servedMs || a.turn - b.turn || (a.tenant < b.tenant ? -1 : 1);
}
