import type { RouteDecision } from "../core/scheduler/mod.ts";
import type {
  PrefixReuse,
  RouteExplanation,
  ServedLease,
  SplitExplanation,
  WakeExplanation,
} from "../ports/mod.ts";
import type { DraftUse } from "../protocol/mod.ts";
import type { LeaseRequest } from "./lease.ts";

/** Decisions kept; the oldest goes. */
const DECISIONS_MAX = 512;
/** Slots lent to other nodes that are remembered; the oldest goes. */
const SERVED_MAX = 512;

/** One decision and what came of it. */
export interface RouteRecord {
  /** What the client's answer is labelled with; undefined where nobody asked for it over HTTP. */
  readonly label: string | undefined;
  readonly requestId: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly model: string;
  readonly standing: LeaseRequest["standing"];
  readonly promptTokens: number;
  readonly decision: RouteDecision;
  /** `pending` until the slot is held; else the code of what it failed with. */
  readonly outcome: string;
  readonly wake: WakeExplanation | undefined;
  readonly split: SplitExplanation | undefined;
  /** Whether the copy that was granted is exact; undefined = it was not granted, or nobody knows. */
  readonly exact: boolean | undefined;
  /** Undefined = the runner has not begun, or doesn't say. */
  readonly reuse: PrefixReuse | undefined;
  readonly drafts: DraftUse | undefined;
}

/** Tells what came of a decision, as far as it is known. */
export type Settle = (
  outcome: string,
  known?: {
    readonly wake?: WakeExplanation | undefined;
    readonly split?: SplitExplanation | undefined;
    readonly exact?: boolean | undefined;
    readonly reuse?: PrefixReuse | undefined;
    readonly drafts?: DraftUse | undefined;
  },
) => void;

const UNKNOWN = {
  wake: undefined,
  split: undefined,
  exact: undefined,
  reuse: undefined,
  drafts: undefined,
};

/** The last routing decisions, so that each can be explained for a while. */
export class RouteJournal {
  /** In the order they were made. */
  readonly #records = new Map<number, RouteRecord>();
  /** Of each label and id here, as every answer asks for its own. */
  readonly #numbers = new Map<string, readonly number[]>();
  #last = 0;
  #served: ServedLease[] = [];

  /** Keeps a decision; call what is returned when its outcome is known, and for each change of a wake that it waits for. */
  record(record: Omit<RouteRecord, "outcome" | keyof typeof UNKNOWN>): Settle {
    const number = ++this.#last;
    this.#records.set(number, { ...record, ...UNKNOWN, outcome: "pending" });
    for (const name of namesOf(record)) {
      this.#numbers.set(name, [...this.#numbers.get(name) ?? [], number]);
    }
    this.#forget(number - DECISIONS_MAX);
    return (outcome, { wake, split, exact, reuse, drafts } = {}) => {
      if (this.#records.has(number)) {
        this.#records.set(number, {
          ...record,
          outcome,
          split,
          exact,
          reuse,
          drafts,
          wake: wake && { position: wake.position, tookMs: wake.tookMs },
        });
      }
    };
  }

  /** All decisions about a request, oldest first: by the label its client knows, or its id here. */
  find(label: string): readonly RouteRecord[] {
    const numbers = this.#numbers.get(label) ?? [];
    return numbers.flatMap((number) => this.#records.get(number) ?? []);
  }

  /** The same as operators are told. */
  explain(label: string): readonly RouteExplanation[] {
    return this.find(label).map((row) => ({
      atMs: row.atMs,
      model: row.model,
      promptTokens: row.promptTokens,
      standing: row.standing,
      chosen: row.decision.route,
      runnersUp: row.decision.runnersUp,
      excluded: row.decision.excluded,
      outcome: row.outcome,
      wake: row.wake,
      split: row.split,
      exact: row.exact,
      reuse: row.reuse,
      drafts: row.drafts,
    }));
  }

  /** Remembers a slot that another node asked for; call what is returned with what becomes of it. */
  noteServed(lease: ServedLease): (known: Partial<ServedLease>) => void {
    let row = lease;
    this.#served.push(row);
    if (this.#served.length > SERVED_MAX) this.#served.shift();
    return (known) => {
      const at = this.#served.indexOf(row);
      row = { ...row, ...known };
      if (at >= 0) this.#served[at] = row;
    };
  }

  /** The slots lent for a request, by the id that its client knows; oldest first. */
  served(label: string): readonly ServedLease[] {
    return this.#served.filter(({ id }) => id === label);
  }

  /** Oldest first. */
  list(): readonly RouteRecord[] {
    return [...this.#records.values()];
  }

  #forget(number: number): void {
    const record = this.#records.get(number);
    if (record === undefined) return;
    this.#records.delete(number);
    for (const name of namesOf(record)) {
      const left = this.#numbers.get(name)?.filter((other) => other !== number) ?? [];
      if (left.length > 0) this.#numbers.set(name, left);
      else this.#numbers.delete(name);
    }
  }
}

/** By which a decision is asked for. */
function namesOf({ label, requestId }: Pick<RouteRecord, "label" | "requestId">): Set<string> {
  return new Set(label === undefined ? [requestId] : [label, requestId]);
}
