import { assert, type NodeId, type StateKeeper } from "../../base/mod.ts";
import { allMembers, allVoters, type Configuration, EMPTY_CONFIGURATION } from "./configuration.ts";
import { jointIndex, jointVote, type VoteResult } from "../voting/mod.ts";

/** Bounds of what may be on the way to one follower. */
export interface InflightLimits {
  /** Appends on the way, >= 1. */
  readonly messagesMax: number;
  /** Payload bytes on the way; one append may go beyond. Infinity = unbounded. */
  readonly bytesMax: number;
}

/** The appends on the way to one follower: a queue of (last index, bytes), bounded by count and by bytes. */
export class Inflights {
  readonly #limits: InflightLimits;
  #sent: { readonly index: number; readonly bytes: number }[] = [];
  #bytes = 0;

  constructor(limits: InflightLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#sent.length;
  }

  get full(): boolean {
    return this.#sent.length >= this.#limits.messagesMax || this.#bytes >= this.#limits.bytesMax;
  }

  /** Remembers an append whose last entry is `index`. */
  add(index: number, bytes: number): void {
    assert(!this.full, "Cannot add to a full in-flight window", { index, count: this.count });
    const newest = this.#sent.at(-1)?.index ?? 0;
    assert(index > newest, "Appends go out in the order of the log", { index, newest });
    this.#sent.push({ index, bytes });
    this.#bytes += bytes;
  }

  /** Forgets all appends that an acknowledgement of `index` covers. */
  freeTo(index: number): void {
    let freed = 0;
    for (const { index: last, bytes } of this.#sent) {
      if (last > index) break;
      this.#bytes -= bytes;
      freed++;
    }
    if (freed > 0) this.#sent = this.#sent.slice(freed);
    assert(this.#bytes >= 0, "What is on the way weighs something or nothing", { index });
  }

  clear(): void {
    this.#sent = [];
    // The byte count must go with the queue: one that outlives it stalls the follower for good.
    this.#bytes = 0;
  }

  keep(keeper: StateKeeper): void {
    this.#sent = keeper.keep(this.#sent);
    this.#bytes = keeper.keep(this.#bytes);
  }
}

/**
 * How the leader treats a follower. `probe`: one append per heartbeat, to find where the logs agree; `replicate`:
 * optimistic, as fast as the window allows; `snapshot`: nothing until the snapshot has arrived.
 */
export type ProgressMode = "probe" | "replicate" | "snapshot";

/** What the leader knows about one follower's log. */
export class Progress {
  mode: ProgressMode = "probe";
  /** Highest index known to be durable there. Invariant: match < next. */
  match = 0;
  /** The next index to send. */
  next: number;
  /** In `snapshot` mode the index of the snapshot on its way, else 0. */
  pendingSnapshot = 0;
  /** Heard from since the last quorum check. */
  recentlyActive = false;
  /** How many heartbeats there had been when it was last heard. */
  heardAtBeat = -Infinity;
  isLearner: boolean;
  readonly inflights: Inflights;
  /** No append until the next heartbeat response or acknowledgement. */
  #held = false;
  /** Highest commit index on its way there; regresses when what was sent turns out lost. */
  #commitSent = 0;

  constructor(next: number, limits: InflightLimits, options: { readonly isLearner: boolean }) {
    this.next = next;
    this.isLearner = options.isLearner;
    this.inflights = new Inflights(limits);
  }

  get paused(): boolean {
    return this.mode === "snapshot" || this.#held;
  }

  /** It has answered. */
  hear(beat: number): void {
    this.recentlyActive = true;
    this.heardAtBeat = beat;
  }

  becomeProbe(): void {
    const snapshotIndex = this.mode === "snapshot" ? this.pendingSnapshot : 0;
    this.#enter("probe");
    // After a snapshot the probe goes on right behind it, though it was not acknowledged yet.
    this.next = Math.max(this.match + 1, snapshotIndex + 1);
    this.#commitSent = Math.min(this.#commitSent, this.next - 1);
    this.#check();
  }

  becomeReplicate(): void {
    this.#enter("replicate");
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#enter("snapshot");
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.#commitSent = index;
    this.#check();
  }

  /** A snapshot did not arrive: probing starts again from what is known, not from behind it. */
  snapshotFailed(): void {
    this.pendingSnapshot = 0;
    this.becomeProbe();
  }

  /** Waits for a sign of life before the next append. */
  hold(): void {
    this.#held = true;
  }

  /** A sign of life: one more append may go out, even to a follower whose window is full. */
  release(): void {
    this.#held = false;
  }

  /** Accounts for an append of `count` entries starting at `next`, which carried `commit`. */
  sent(count: number, bytes: number, commit: number): void {
    assert(this.mode !== "snapshot", "Cannot append while a snapshot is on its way");
    if (this.mode === "replicate") {
      if (count > 0) {
        this.next += count;
        this.inflights.add(this.next - 1, bytes);
      }
      // An append that fills the window, or goes beyond a full one, is a probe: wait for its echo.
      this.#held = this.inflights.full;
    } else if (count > 0) {
      this.#held = true;
    }
    this.#commitSent = commit;
  }

  /** The highest commit index on its way there, as far as is known. */
  get commitSent(): number {
    return this.#commitSent;
  }

  /** Accounts for a commit index sent with a heartbeat. */
  sentCommit(commit: number): void {
    this.#commitSent = commit;
  }

  /** True when telling `commit` now can move the follower's commit index before the next heartbeat would. */
  learnsFrom(commit: number): boolean {
    return commit > this.#commitSent && this.#commitSent < this.next - 1;
  }

  /** Takes an acknowledgement; false for one that says nothing new. */
  acknowledge(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.#held = false;
    this.#check();
    return true;
  }

  /** Takes a rejection of the append behind `rejected`; false when it is stale and so says nothing. */
  reject(rejected: number, hint: number): boolean {
    if (this.mode === "replicate") {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
    } else {
      // A probe sends one append at a time, so any other rejection answers an older probe.
      if (this.next - 1 !== rejected) return false;
      this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
      this.#held = false;
    }
    this.#commitSent = Math.min(this.#commitSent, this.next - 1);
    this.#check();
    return true;
  }

  keep(keeper: StateKeeper): void {
    const { mode, match, next, pendingSnapshot, recentlyActive, heardAtBeat, isLearner } = this;
    const fields = { mode, match, next, pendingSnapshot, recentlyActive, heardAtBeat, isLearner };
    Object.assign(this, keeper.keep(fields));
    this.inflights.keep(keeper);
    this.#held = keeper.keep(this.#held);
    this.#commitSent = keeper.keep(this.#commitSent);
  }

  #check(): void {
    const { mode, match, next } = this;
    assert(match < next, "What a follower holds is not sent again", { mode, match, next });
  }

  #enter(mode: ProgressMode): void {
    this.#held = false;
    this.pendingSnapshot = 0;
    this.mode = mode;
    this.inflights.clear();
  }
}

/** The group as this node sees it: the configuration, a progress per member, and the votes of the running election. */
export class Peers {
  readonly #limits: InflightLimits;
  #configuration = EMPTY_CONFIGURATION;
  #ids: readonly NodeId[] = [];
  #progress = new Map<NodeId, Progress>();
  #votes = new Map<NodeId, boolean>();

  constructor(limits: InflightLimits) {
    this.#limits = limits;
  }

  get configuration(): Configuration {
    return this.#configuration;
  }

  /** Everyone replicated to, sorted by id: the order in which messages are made. */
  get ids(): readonly NodeId[] {
    return this.#ids;
  }

  /** Voters of either half, sorted. */
  get voters(): readonly NodeId[] {
    return allVoters(this.#configuration);
  }

  find(id: NodeId): Progress | undefined {
    return this.#progress.get(id);
  }

  get(id: NodeId): Progress {
    const progress = this.#progress.get(id);
    assert(progress !== undefined, "Every member has a progress", { id });
    return progress;
  }

  isVoter(id: NodeId): boolean {
    return this.#configuration.incoming.has(id) || this.#configuration.outgoing.has(id);
  }

  /** True when `id` needs nobody else to decide, in neither half of a joint configuration. */
  decidesAlone(id: NodeId): boolean {
    return jointVote(this.#configuration, new Map([[id, true]])) === "won";
  }

  /**
   * Takes over a configuration. Progress of members in `fresh`, or never seen, starts at `lastIndex`: probing from
   * the end finds a caught-up log at once, and a rejection's hint an empty one.
   */
  switchTo(
    configuration: Configuration,
    lastIndex: number,
    fresh: ReadonlySet<NodeId> = new Set(),
  ): void {
    const before = this.#progress;
    this.#configuration = configuration;
    this.#ids = allMembers(configuration);
    this.#progress = new Map();
    for (const id of this.#ids) {
      const isLearner = configuration.learners.has(id);
      const known = fresh.has(id) ? undefined : before.get(id);
      const progress = known ?? new Progress(Math.max(lastIndex, 1), this.#limits, { isLearner });
      progress.isLearner = isLearner;
      // Newcomers count as active, else the next quorum check could end a leadership that just grew.
      if (known === undefined) progress.recentlyActive = true;
      this.#progress.set(id, progress);
    }
  }

  /** Forgets what was known about the logs of others: a new term, or a new role, starts from `lastIndex`. */
  restart(self: NodeId, lastIndex: number): void {
    for (const [id, known] of this.#progress) {
      const progress = new Progress(lastIndex + 1, this.#limits, { isLearner: known.isLearner });
      if (id === self) progress.match = lastIndex;
      this.#progress.set(id, progress);
    }
  }

  /** The highest index that a quorum holds; counts a member only through its voters' seats. */
  quorumIndex(): number {
    return jointIndex(this.#configuration, (id) => this.#progress.get(id)?.match);
  }

  /** The highest value of `acknowledged` that a quorum has reached. */
  quorumOf(acknowledged: (id: NodeId) => number | undefined): number {
    return jointIndex(this.#configuration, acknowledged);
  }

  /** True when a quorum was heard from since the last {@link markAllInactive}. */
  get quorumActive(): boolean {
    const votes = new Map<NodeId, boolean>();
    for (const [id, progress] of this.#progress) {
      if (!progress.isLearner) votes.set(id, progress.recentlyActive);
    }
    return jointVote(this.#configuration, votes) === "won";
  }

  markAllInactive(except: NodeId): void {
    for (const [id, progress] of this.#progress) {
      if (id !== except) progress.recentlyActive = false;
    }
  }

  clearVotes(): void {
    this.#votes = new Map();
  }

  /** Who granted this node's running election, sorted. */
  get granted(): readonly NodeId[] {
    return this.#ids.filter((id) => this.#votes.get(id) === true);
  }

  /** Who refused it, sorted. */
  get denied(): readonly NodeId[] {
    return this.#ids.filter((id) => this.#votes.get(id) === false);
  }

  /** All of its state. */
  keep(keeper: StateKeeper): void {
    this.#configuration = keeper.keep(this.#configuration);
    this.#ids = keeper.keep(this.#ids);
    this.#votes = keeper.keep(this.#votes);
    const ids = keeper.keep([...this.#progress.keys()]);
    if (keeper.restores) {
      const made = () => new Progress(1, this.#limits, { isLearner: false });
      this.#progress = new Map(ids.map((id) => [id, made()]));
    }
    for (const progress of this.#progress.values()) progress.keep(keeper);
  }

  /** Counts a vote; only a node's first one in an election counts. */
  countVote(id: NodeId, granted: boolean): VoteResult {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
    return jointVote(this.#configuration, this.#votes);
  }
}
