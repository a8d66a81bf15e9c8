import { assert, BoundedMap, type NodeId } from "../../base/mod.ts";
import type { AnswerEntry, AnswerKey, AnswerOpening, JournalHead } from "../../protocol/mod.ts";
import {
  JOURNAL_BYTES_MAX,
  JOURNAL_LIFE_MS,
  JOURNAL_LIMITS,
  type JournalLimits,
} from "./limits.ts";

/** What an entry costs besides its bytes. */
const ENTRY_BYTES = 64;
const HEAD_BYTES = 1_024;
/** Its id, and what was drawn for it. */
const NAMES_PER_JOURNAL = 2;

/** `own`: this node makes the answer, or goes on with it when asked. `copy`: another one does. */
export type JournalRole = { readonly kind: "own" } | { readonly kind: "copy"; readonly of: NodeId };

/** Why a journal is not kept. */
export type BookRefusal = "too_large" | "too_many" | "taken_over";

/** One answer, as far as it was made. Only its book changes it. */
export interface Journal {
  readonly head: JournalHead;
  readonly role: JournalRole;
  /** How often the answer changed its node. */
  readonly epoch: number;
  readonly opening: AnswerOpening | undefined;
  readonly entries: readonly AnswerEntry[];
  /** `working`: more is to come. `idle`: nobody works on it. `ended`: nothing is missing. */
  readonly state: "working" | "idle" | "ended";
  /** Of entries, as sent. */
  readonly byteCount: number;
}

interface MutableJournal extends Journal {
  role: JournalRole;
  epoch: number;
  opening: AnswerOpening | undefined;
  entries: AnswerEntry[];
  state: Journal["state"];
  byteCount: number;
  cost: number;
  /** Of the last word about it. */
  atMs: number;
}

interface Owner {
  /** In the order of their beginning. */
  readonly journals: Set<MutableJournal>;
  cost: number;
}

/** The journals of one node, within their limits. Time comes with each call, in milliseconds that never go back. */
export class JournalBook {
  readonly #limits: JournalLimits;
  /** In the order of their beginning. */
  readonly #journals = new Map<string, MutableJournal>();
  /** By what was drawn for them instead of their ids. */
  readonly #drawn = new Map<string, MutableJournal>();
  /** When they were given up, by their names and by what was drawn for them. */
  readonly #lost: BoundedMap<string, number>;
  readonly #owners = new Map<string, Owner>();
  #cost = 0;

  constructor(limits: JournalLimits = JOURNAL_LIMITS) {
    this.#limits = limits;
    this.#lost = new BoundedMap(limits.journalsMax * NAMES_PER_JOURNAL);
  }

  get size(): number {
    return this.#journals.size;
  }

  /** Bytes of all journals, by which they are limited. */
  get cost(): number {
    return this.#cost;
  }

  /** By its id, or by what was drawn for it. */
  find(key: AnswerKey): Journal | undefined {
    return this.#at(key);
  }

  all(): IterableIterator<Journal> {
    return this.#journals.values();
  }

  /**
   * Begins a journal in place of any of the same key, but not of one of a later epoch. What nobody works on makes room for
   * it; what somebody works on never does.
   */
  begin(
    head: JournalHead,
    as: { readonly role: JournalRole; readonly epoch: number; readonly nowMs: number },
  ): Journal | BookRefusal {
    const { role, epoch, nowMs } = as;
    const before = this.#journals.get(nameOf(head));
    if (before !== undefined && role.kind === "copy") {
      const isSame = isSameAnswer(before, head);
      if (isSame && before.epoch > epoch) return "taken_over";
      // Somebody else has called his answer the same meanwhile.
      if (!isSame && isBusy(before)) return "too_many";
    }
    const cost = HEAD_BYTES + head.body.length;
    if (cost > JOURNAL_BYTES_MAX) return "too_large";
    if (before !== undefined) this.#remove(before);
    if (!this.#makeRoom(head.owner, cost)) return "too_many";
    const journal: MutableJournal = {
      ...{ head, role, epoch, cost, opening: undefined, byteCount: 0 },
      entries: [],
      state: "working",
      atMs: nowMs,
    };
    this.#journals.set(nameOf(head), journal);
    this.#lost.delete(nameOf(head));
    this.#drawn.set(drawnNameOf(head), journal);
    const paid = this.#owners.get(head.owner) ?? { journals: new Set(), cost: 0 };
    this.#owners.set(head.owner, paid);
    paid.journals.add(journal);
    this.#pay(journal, cost);
    return journal;
  }

  open(key: AnswerKey, opening: AnswerOpening): void {
    const journal = this.#at(key);
    if (journal !== undefined) journal.opening = opening;
  }

  /** Undefined = it is kept. A journal that grows too large is kept no longer: see {@link isLost}. */
  append(key: AnswerKey, entry: AnswerEntry, nowMs: number): BookRefusal | undefined {
    const journal = this.#at(key);
    if (journal === undefined) return "too_many";
    const cost = ENTRY_BYTES + entry.bytes.length + entry.facts.length;
    const isTooLarge = journal.cost + cost > JOURNAL_BYTES_MAX;
    if (isTooLarge || !this.#makeRoom(journal.head.owner, cost, journal)) {
      this.giveUp(key, nowMs);
      return isTooLarge ? "too_large" : "too_many";
    }
    journal.entries.push(entry);
    journal.byteCount += entry.bytes.length;
    journal.atMs = nowMs;
    journal.cost += cost;
    this.#pay(journal, cost);
    return undefined;
  }

  /** Nobody works on it any more, or again. */
  setState(key: AnswerKey, state: Journal["state"], nowMs: number): void {
    const journal = this.#at(key);
    if (journal === undefined) return;
    journal.state = state;
    journal.atMs = nowMs;
  }

  /** From here on this node goes on with it, and what its last one still says of it is not heard. */
  takeOver(key: AnswerKey, nowMs: number): Journal | undefined {
    const journal = this.#at(key);
    if (journal === undefined || journal.role.kind === "own") return journal;
    if (journal.state !== "ended") journal.state = "idle";
    journal.role = { kind: "own" };
    journal.epoch++;
    journal.atMs = nowMs;
    return journal;
  }

  drop(key: AnswerKey): void {
    const journal = this.#at(key);
    if (journal !== undefined) this.#remove(journal);
  }

  /** Something of it was told, and nobody can come back for it any more. */
  giveUp(key: AnswerKey, nowMs: number): void {
    const journal = this.#at(key);
    if (journal === undefined) return;
    this.#remove(journal);
    for (const name of [nameOf(journal.head), drawnNameOf(journal.head)]) {
      this.#lost.set(name, nowMs);
    }
  }

  /** Whether it was given up, for as long as it could have been come back for. */
  isLost(key: AnswerKey, nowMs: number): boolean {
    const atMs = this.#lost.get(nameOf(key));
    return atMs !== undefined && nowMs - atMs < JOURNAL_LIFE_MS;
  }

  /** Forgets what nobody works on and nobody came for. A copy is worked on elsewhere, as far as is known. */
  expire(nowMs: number): void {
    for (const journal of this.#journals.values()) {
      if (!isBusy(journal) && nowMs - journal.atMs >= JOURNAL_LIFE_MS) this.#remove(journal);
    }
  }

  #at(key: AnswerKey): MutableJournal | undefined {
    return this.#journals.get(nameOf(key)) ?? this.#drawn.get(nameOf(key));
  }

  /**
   * What nobody works on goes, the oldest first: of its owner where he has too much, else of anybody. What grows is no room
   * for itself: a copy is nobody's work here, either.
   */
  #makeRoom(owner: string, cost: number, growing?: MutableJournal): boolean {
    const { journalsMax, bytesMax, perOwnerMax, bytesPerOwnerMax } = this.#limits;
    const ownerIsFull = () => {
      const { journals, cost: paid = 0 } = this.#owners.get(owner) ?? {};
      return (journals?.size ?? 0) >= perOwnerMax || paid + cost > bytesPerOwnerMax;
    };
    const isFull = () => this.#journals.size >= journalsMax || this.#cost + cost > bytesMax;
    const own = this.#owners.get(owner)?.journals ?? [];
    const removeIdle = (journals: Iterable<MutableJournal>, isStillFull: () => boolean) =>
      this.#removeIdle(journals, isStillFull, growing);
    return removeIdle(own, ownerIsFull) && removeIdle(this.#journals.values(), isFull);
  }

  #removeIdle(
    journals: Iterable<MutableJournal>,
    isFull: () => boolean,
    growing: MutableJournal | undefined,
  ): boolean {
    if (!isFull()) return true;
    for (const journal of journals) {
      if (isBusy(journal) || journal === growing) continue;
      this.#remove(journal);
      if (!isFull()) return true;
    }
    return false;
  }

  #remove(journal: MutableJournal): void {
    this.#journals.delete(nameOf(journal.head));
    const drawn = drawnNameOf(journal.head);
    if (this.#drawn.get(drawn) === journal) this.#drawn.delete(drawn);
    this.#pay(journal, -journal.cost);
    const { owner } = journal.head;
    const journals = this.#owners.get(owner)?.journals;
    journals?.delete(journal);
    if (journals?.size === 0) this.#owners.delete(owner);
  }

  #pay(journal: MutableJournal, cost: number): void {
    const { owner } = journal.head;
    const paid = this.#owners.get(owner);
    assert(paid !== undefined, "Whoever pays is known");
    paid.cost += cost;
    this.#cost += cost;
    assert(this.#cost >= 0 && paid.cost >= 0, "Journals are paid back as they were paid");
  }
}

/** Names are not unique, but what was drawn for an answer is. */
export function isSameAnswer({ head }: Journal, { drawn }: Pick<JournalHead, "drawn">): boolean {
  return head.drawn === drawn;
}

/** Somebody on this node waits for it. */
function isBusy({ role, state }: Journal): boolean {
  return state === "working" && role.kind === "own";
}

function nameOf({ id, owner }: AnswerKey): string {
  return `${owner}\n${id}`;
}

function drawnNameOf({ drawn, owner }: JournalHead): string {
  return nameOf({ id: drawn, owner });
}
