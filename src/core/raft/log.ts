import { assert, type StateKeeper } from "../../base/mod.ts";
import type { RaftLogReader } from "../../ports/mod.ts";
import type { Entry, EntryId, GroupChange, Proposal, Snapshot } from "../../protocol/mod.ts";
import { Unstable } from "./unstable.ts";

/** What became of entries offered to a follower's log. */
export type AppendOutcome =
  | { readonly kind: "appended"; readonly lastIndex: number }
  | { readonly kind: "mismatch" }
  | { readonly kind: "conflicts_with_committed"; readonly index: number };

/**
 * The log as Raft sees it: what is durable, then what is not yet.
 *
 * Invariant: applied <= applying <= committed <= lastIndex.
 */
export class RaftLog {
  readonly #stable: RaftLogReader;
  readonly #unstable: Unstable;
  readonly #applyingBytesMax: number;
  #committed: number;
  #applying: number;
  #applied: number;
  #applyingBytes = 0;
  #applyingPaused = false;

  /** `applyingBytesMax`: entries handed out for applying and not yet applied; one entry may go beyond. */
  constructor(stable: RaftLogReader, applyingBytesMax: number) {
    this.#stable = stable;
    this.#applyingBytesMax = applyingBytesMax;
    this.#unstable = new Unstable(stable.lastIndex() + 1);
    this.#committed = stable.firstIndex() - 1;
    this.#applying = this.#committed;
    this.#applied = this.#committed;
  }

  get committed(): number {
    return this.#committed;
  }

  get applied(): number {
    return this.#applied;
  }

  get firstIndex(): number {
    return this.#unstable.firstIndex ?? this.#stable.firstIndex();
  }

  get lastIndex(): number {
    return this.#unstable.lastIndex ?? this.#stable.lastIndex();
  }

  get last(): EntryId {
    const index = this.lastIndex;
    const term = this.term(index);
    assert(term !== undefined, "The last entry has a term", { index });
    return { term, index };
  }

  /** The last entry known to be committed. */
  get lastCommitted(): EntryId {
    const term = this.term(this.#committed);
    assert(term !== undefined, "A committed entry has a term", { index: this.#committed });
    return { term, index: this.#committed };
  }

  /** Term at `index`, undefined where the log has none any more or none yet. */
  term(index: number): number | undefined {
    const unstable = this.#unstable.term(index);
    if (unstable !== undefined) return unstable;
    if (index + 1 < this.firstIndex || index > this.lastIndex) return undefined;
    return this.#stable.term(index);
  }

  has(id: EntryId): boolean {
    return this.term(id.index) === id.term;
  }

  /** True when a log that ends in `other` may lead over this one (paper, 5.4.1). */
  isUpToDate(other: EntryId): boolean {
    const own = this.last;
    return other.term > own.term || (other.term === own.term && other.index >= own.index);
  }

  /** Entries from `low` on, limited in bytes; undefined when `low` is compacted away. */
  entriesFrom(low: number, bytesMax: number): readonly Entry[] | undefined {
    return low > this.lastIndex ? [] : this.slice(low, this.lastIndex + 1, bytesMax);
  }

  /** Entries [low, high), at least one, limited in bytes; undefined when `low` is compacted away. */
  slice(low: number, high: number, bytesMax: number): readonly Entry[] | undefined {
    if (low < this.firstIndex) return undefined;
    assert(high <= this.lastIndex + 1, "Slice must lie inside the log", { low, high });
    if (low >= high) return [];
    const offset = this.#unstable.offset;
    if (low >= offset) return limitEntries(this.#unstable.slice(low, high), bytesMax);
    const cut = Math.min(high, offset);
    const stable = this.#stable.entries(low, cut, bytesMax);
    if (stable === undefined || high <= offset || stable.length < cut - low) return stable;
    const bytes = entriesBytes(stable);
    if (bytes >= bytesMax) return stable;
    const rest = limitEntries(this.#unstable.slice(cut, high), bytesMax - bytes);
    // The limit always lets one entry through, which here would be one too many.
    if (rest.length === 1 && bytes + entriesBytes(rest) > bytesMax) return stable;
    return [...stable, ...rest];
  }

  /** True while a received snapshot is not durable yet. */
  get hasPendingSnapshot(): boolean {
    return this.#unstable.snapshot !== undefined;
  }

  /** What to send to a follower that needs entries this log lacks; undefined while none can be had. */
  snapshot(): Snapshot | undefined {
    return this.#unstable.snapshot ?? this.#stable.snapshot();
  }

  /** Adds a leader's own entries at the end. */
  append(entries: readonly Entry[]): void {
    const first = entries[0]?.index;
    if (first === undefined) return;
    assert(first > this.#committed, "Committed entries must not be overwritten", {
      first,
      committed: this.#committed,
    });
    this.#unstable.truncateAndAppend(entries);
  }

  /**
   * Takes entries of the current leader that follow `previous`. Only a real conflict truncates: a message that is
   * short or late must never remove what was acknowledged (paper, figure 2, AppendEntries 3). `commit` is taken only
   * up to the last entry this very message verified.
   */
  appendAfter(previous: EntryId, entries: readonly Entry[], commit: number): AppendOutcome {
    if (!this.has(previous)) return { kind: "mismatch" };
    const lastIndex = previous.index + entries.length;
    const conflict = entries.findIndex((entry) => !this.has(entry));
    if (conflict >= 0) {
      const index = previous.index + 1 + conflict;
      if (index <= this.#committed) return { kind: "conflicts_with_committed", index };
      this.append(entries.slice(conflict));
    }
    this.commitTo(Math.min(commit, lastIndex));
    return { kind: "appended", lastIndex };
  }

  /**
   * The last position at or before `index` whose term is at most `term`: no later one can agree with a log that has
   * `term` at `index`, so whole terms are skipped instead of single entries (paper, 5.3, end).
   */
  lastBelowTerm(index: number, term: number): EntryId {
    for (let position = index; position > 0; position--) {
      const own = this.term(position);
      // Compacted or unknown: perhaps it agrees; 0 says that nothing is known.
      if (own === undefined) return { term: 0, index: position };
      if (own <= term) return { term: own, index: position };
    }
    return { term: 0, index: 0 };
  }

  /** Raises the commit index; never lowers it. */
  commitTo(index: number): void {
    if (index <= this.#committed) return;
    assert(index <= this.lastIndex, "Cannot commit what the log lacks", {
      index,
      lastIndex: this.lastIndex,
    });
    this.#committed = index;
  }

  /** Starts over behind a snapshot. */
  restore(snapshot: Snapshot): void {
    const { index } = snapshot.id;
    assert(index > this.#committed, "A snapshot takes nothing committed away", {
      index,
      committed: this.#committed,
    });
    this.#committed = snapshot.id.index;
    this.#unstable.restore(snapshot);
  }

  // Writing

  get nextUnstableEntries(): readonly Entry[] {
    return this.#unstable.nextEntries;
  }

  get nextUnstableSnapshot(): Snapshot | undefined {
    return this.#unstable.nextSnapshot;
  }

  /** True while entries wait for their write, or for its confirmation. */
  get hasUnstableEntries(): boolean {
    return this.#unstable.hasEntries;
  }

  acceptUnstable(): void {
    this.#unstable.acceptInProgress();
  }

  stableTo(id: EntryId): void {
    this.#unstable.stableTo(id);
  }

  snapshotStableTo(index: number): void {
    this.#unstable.snapshotStableTo(index);
  }

  // Applying

  /**
   * Committed entries that nobody was told to apply yet. Not those whose own write is not confirmed, although a quorum
   * holds them: what is applied must still be there after a crash.
   */
  nextCommitted(): readonly Entry[] {
    // A pending snapshot comes first: applying entries behind it would skip what it contains.
    if (this.#applyingPaused || this.#unstable.snapshot !== undefined) return [];
    const low = this.#applying + 1;
    const high = this.#appliableTo + 1;
    if (low >= high) return [];
    const entries = this.slice(low, high, this.#applyingBytesMax - this.#applyingBytes);
    assert(entries !== undefined, "Committed entries must not be compacted before applying", {
      low,
    });
    return entries;
  }

  get hasNextCommitted(): boolean {
    if (this.#applyingPaused || this.#unstable.snapshot !== undefined) return false;
    return this.#applying < this.#appliableTo;
  }

  /** Entries up to `index` were handed out for applying. */
  acceptApplying(index: number, bytes: number): void {
    const isNext = index > this.#applying && index <= this.#appliableTo;
    assert(isNext, "Entries are handed out once, and when they are durable here", {
      index,
      applying: this.#applying,
      appliableTo: this.#appliableTo,
    });
    this.#applying = index;
    this.#applyingBytes += bytes;
    // Handing out fewer than there were means that the next one does not fit the limit.
    this.#applyingPaused = this.#applyingBytes >= this.#applyingBytesMax ||
      index < this.#appliableTo;
  }

  /** Entries up to `index` were applied; `bytes` is what {@link acceptApplying} counted for them. */
  appliedTo(index: number, bytes: number): void {
    assert(index >= this.#applied && index <= this.#committed, "Applied index out of range", {
      index,
      applied: this.#applied,
      committed: this.#committed,
    });
    this.#applied = index;
    this.#applying = Math.max(this.#applying, index);
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);
    this.#applyingPaused = this.#applyingBytes >= this.#applyingBytesMax;
  }

  /** All of its state that is not on disk. */
  keep(keeper: StateKeeper): void {
    this.#unstable.keep(keeper);
    this.#committed = keeper.keep(this.#committed);
    this.#applying = keeper.keep(this.#applying);
    this.#applied = keeper.keep(this.#applied);
    this.#applyingBytes = keeper.keep(this.#applyingBytes);
    this.#applyingPaused = keeper.keep(this.#applyingPaused);
  }

  get #appliableTo(): number {
    return Math.min(this.#committed, this.#unstable.offset - 1);
  }
}

/**
 * The size of an entry, in bytes, for all limits on messages and on entries handed out for applying: what a compact
 * tag-and-varint encoding of it takes. Every node must compute the same, whatever it stores; so it is computed, not
 * measured.
 */
export function entryBytes(entry: Entry): number {
  const payload = entry.kind === "command" ? entry.data.length : changeBytes(entry.change);
  const carried = entry.kind === "command" && payload === 0
    ? 0
    : 1 + varintBytes(payload) + payload;
  return 2 + 1 + varintBytes(entry.term) + 1 + varintBytes(entry.index) + carried;
}

/** Bytes of all entries. */
export function entriesBytes(entries: readonly Entry[]): number {
  return entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
}

/** What a proposal counts against the limits of uncommitted and in-flight bytes; 0 for what a leader writes itself. */
export function payloadBytes(proposals: readonly Proposal[]): number {
  return proposals.reduce(
    (sum, proposal) =>
      sum + (proposal.kind === "command" ? proposal.data.length : changeBytes(proposal.change)),
    0,
  );
}

/** The longest prefix of at most `bytesMax`, but never less than one entry. */
export function limitEntries(entries: readonly Entry[], bytesMax: number): readonly Entry[] {
  let bytes = 0;
  for (const [position, entry] of entries.entries()) {
    bytes += entryBytes(entry);
    if (bytes > bytesMax && position > 0) return entries.slice(0, position);
  }
  return entries;
}

function changeBytes(change: GroupChange): number {
  const context = change.context.length;
  const contextBytes = context === 0 ? 0 : 1 + varintBytes(context) + context;
  // Leaving a joint configuration weighs nothing, so that no limit can ever keep a group in it.
  if (change.transition === "auto" && change.steps.length === 0) return contextBytes;
  return 2 + change.steps.length * STEP_BYTES + contextBytes;
}

/** Length byte and tag, action, and a small id. */
const STEP_BYTES = 6;

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}
