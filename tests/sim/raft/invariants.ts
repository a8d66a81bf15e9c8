import type { NodeId } from "../../../src/base/mod.ts";
import type { AppendOrder, RaftView } from "../../../src/core/raft/mod.ts";
import type { Entry, GroupConfiguration, RaftMessage } from "../../../src/protocol/mod.ts";
import { describeGroup, expectedGroup, holdsQuorum } from "./group_changes.ts";
import type { Replica } from "./replica.ts";

/** What is promised and was broken, with the figures. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** What the checker remembers of one replica. */
interface Seen {
  committed: number;
  life: number;
  leadsTerm: number;
  role: RaftView["role"];
  /** The configuration behind the last applied entry. */
  group: GroupConfiguration | undefined;
  /** As a leader: what its followers hold, and in which term it knew that. */
  matches: ReadonlyMap<NodeId, number>;
  matchesTerm: number;
}

/** A configuration and the entry that made it; 0 = the first one. */
interface GroupAt {
  readonly index: number;
  readonly group: GroupConfiguration;
}

/** Raft's safety properties (paper, figure 3), looked at after every step of every replica and before every write. */
export class Invariants {
  elections = 0;
  readonly #leaders = new Map<number, NodeId>();
  /** Term and history hash of every index any machine ever applied. */
  readonly #applied = new Map<number, { readonly term: number; readonly hash: number }>();
  /** Configurations in the order in which they were first applied. */
  readonly #groups: GroupAt[] = [];
  readonly #seen = new Map<NodeId, Seen>();
  readonly #replicas: readonly Replica[];
  #committedMax = 0;
  #appliedMax = 0;
  /** The last entry that a leader called committed. */
  #committedTop = { term: 0, index: 0 };

  constructor(replicas: readonly Replica[]) {
    this.#replicas = replicas;
  }

  /** Highest index that any machine ever applied. */
  get appliedMax(): number {
    return this.#appliedMax;
  }

  /** Highest index that any replica ever called committed. */
  get committedMax(): number {
    return this.#committedMax;
  }

  checkStep(replica: Replica, view: RaftView): void {
    const seen = this.#seenOf(replica);
    this.#checkMonotone(view, seen);
    if (view.role === "leader" && seen.leadsTerm !== view.term) {
      seen.leadsTerm = view.term;
      this.#checkElection(replica, view);
    }
    this.#checkProgress(view, seen);
    if (view.role !== seen.role) this.#checkRole(replica, view);
    seen.role = view.role;
    if (view.role === "leader" && !belongs(view)) {
      throw new Violation(`group: ${view.id} leads a group that it does not belong to`);
    }
    if (view.committed > this.#committedMax) {
      this.#committedMax = view.committed;
      if (view.role === "leader") this.#checkQuorumHolds(view);
    }
  }

  /** State machine safety: equal indexes hold equal entries after equal histories, and lead to equal groups. */
  checkApplied(replica: Replica, entry: Entry): void {
    const { hash } = replica.machine;
    this.#appliedMax = Math.max(this.#appliedMax, entry.index);
    const before = this.#applied.get(entry.index);
    if (before === undefined) this.#applied.set(entry.index, { term: entry.term, hash });
    else if (before.hash !== hash) {
      throw new Violation(
        `state machine safety: ${replica.id} applied another history at ${entry.index} (term ${entry.term}, was ${before.term})`,
      );
    }
    if (entry.kind === "group_change") this.#checkChange(replica, entry);
  }

  /** What a process starts with must be what some history made, and so must its group. */
  checkRestored(replica: Replica): void {
    const { index, hash } = replica.machine;
    const before = this.#applied.get(index);
    if (before !== undefined && before.hash !== hash) {
      throw new Violation(`snapshot safety: ${replica.id} restored another history at ${index}`);
    }
    // Raft is ahead of its disk when another snapshot is on its way there already.
    if (replica.writing.some(({ snapshot }) => snapshot !== undefined)) return;
    const { configuration } = replica.raft.view();
    this.#seenOf(replica).group = configuration;
    const expected = this.#groupAt(index);
    if (index > 0 && expected !== undefined) this.#compareGroups(replica, configuration, expected);
  }

  /** Promises are only made about what is durable: a crash may follow right behind the message. */
  checkPromise(replica: Replica, message: RaftMessage): void {
    const { disk } = replica;
    const isVote = message.kind === "vote_response" && !message.preVote;
    if (!isVote && message.kind !== "append_response") return;
    const { hardState: { term, vote }, lastIndex } = disk.durable;
    if (term < message.term) {
      throw new Violation(
        `durability: ${replica.id} answers in term ${message.term}, durable is ${term}`,
      );
    }
    if (term > message.term) return;
    if (isVote && message.granted && vote !== message.to) {
      throw new Violation(`durability: ${replica.id} votes for ${message.to}, durable is ${vote}`);
    }
    const acknowledges = message.kind === "append_response" && message.rejection === undefined;
    if (!acknowledges) return;
    if (message.index > lastIndex) {
      throw new Violation(
        `durability: ${replica.id} acknowledges ${message.index}, durable is ${lastIndex}`,
      );
    }
    this.#checkSameAsLeaders(replica, message.term, message.index);
  }

  /** No write takes away what is committed; terms never fall and votes never change within one. */
  checkWrite(
    replica: Replica,
    order: Pick<AppendOrder, "entries" | "snapshot" | "hardState">,
  ): void {
    const { disk } = replica;
    const { hardState, snapshot, entries } = order;
    const before = disk.hardState;
    if (hardState !== undefined) {
      const votesAgain = hardState.term === before.term && before.vote !== undefined &&
        hardState.vote !== before.vote;
      if (hardState.term < before.term || votesAgain) {
        throw new Violation(
          `vote: ${replica.id} writes term ${hardState.term} vote ${hardState.vote} over ` +
            `term ${before.term} vote ${before.vote}`,
        );
      }
    }
    const restores = snapshot !== undefined && snapshot.id.index > disk.snapshot().id.index;
    const first = restores ? snapshot.id.index + 1 : entries[0]?.index;
    if (first === undefined) return;
    const written = new Map(entries.map(({ index, term }) => [index, term]));
    for (let index = first; index <= Math.min(disk.lastIndex(), this.#committedMax); index++) {
      const committed = this.#applied.get(index)?.term;
      if (committed === undefined || disk.term(index) !== committed) continue;
      if (written.get(index) === committed) continue;
      throw new Violation(`durability: ${replica.id} drops committed entry ${committed}/${index}`);
    }
  }

  /** At the end: whoever holds an index that is committed holds the entry that is committed. */
  checkDisks(): void {
    for (const { id, disk, raft } of this.#replicas) {
      const last = Math.min(disk.lastIndex(), raft.view().committed);
      for (let index = disk.firstIndex(); index <= last; index++) {
        const committed = this.#applied.get(index)?.term;
        if (committed !== undefined && disk.term(index) !== committed) {
          throw new Violation(
            `log matching: ${id} holds ${disk.term(index)}/${index}, not ${committed}`,
          );
        }
      }
    }
  }

  /** What is acknowledged is the leader's entry, not another one at its index. */
  #checkSameAsLeaders(replica: Replica, term: number, index: number): void {
    const leader = this.#replicas.find(({ id, running }) =>
      running && id === this.#leaders.get(term)
    );
    if (leader === undefined || leader.raft.view().term !== term) return;
    const wanted = entryOf(leader, index)?.term;
    const actual = replica.disk.term(index);
    if (wanted !== undefined && actual !== undefined && wanted !== actual) {
      throw new Violation(
        `log matching: ${replica.id} acknowledges ${actual}/${index}, ${leader.id} has ${wanted}`,
      );
    }
  }

  #seenOf(replica: Replica): Seen {
    let seen = this.#seen.get(replica.id);
    if (seen === undefined) {
      const group = replica.raft.view().configuration;
      const matches = new Map<NodeId, number>();
      const role = "follower" as const;
      seen = { committed: 0, life: 0, leadsTerm: -1, role, group, matches, matchesTerm: -1 };
      this.#seen.set(replica.id, seen);
      if (replica.machine.index > 0 && this.#groups.length === 0) {
        this.#groups.push({ index: 0, group: replica.raft.view().configuration });
      }
    }
    if (seen.life !== replica.life) {
      // The commit index may be lost in a crash, because it is found again; the term may not.
      seen.life = replica.life;
      seen.committed = 0;
      seen.leadsTerm = -1;
      seen.role = "follower";
    }
    return seen;
  }

  #checkMonotone(view: RaftView, seen: Seen): void {
    if (view.committed < seen.committed) {
      throw new Violation(
        `commit index of ${view.id} fell from ${seen.committed} to ${view.committed}`,
      );
    }
    if (view.applied > view.committed || view.committed > view.lastIndex) {
      throw new Violation(
        `${view.id}: applied ${view.applied} <= committed ${view.committed} <= last ${view.lastIndex} is broken`,
      );
    }
    seen.committed = view.committed;
  }

  /** Who campaigns must count votes by the newest configuration that it knows to be committed. */
  #checkRole(replica: Replica, view: RaftView): void {
    if (view.role !== "candidate" && view.role !== "pre_candidate") return;
    for (let index = view.applied + 1; index <= view.committed; index++) {
      if (entryOf(replica, index)?.kind !== "group_change") continue;
      throw new Violation(`group: ${view.id} campaigns though a committed change is not applied`);
    }
  }

  /** Votes are durable before they are sent, so the disks say who elected a leader. */
  #checkVotes(view: RaftView): void {
    const electors = this.#replicas.filter(({ id, disk: { hardState: { term, vote } } }) =>
      id === view.id || term > view.term || (term === view.term && vote === view.id)
    );
    if (!holdsQuorum(view.configuration, new Set(electors.map(({ id }) => id)))) {
      throw new Violation(
        `election: ${view.id} leads term ${view.term} elected by ${
          electors.map(({ id }) => id)
        } of ` +
          describeGroup(view.configuration),
      );
    }
  }

  /** A follower holds ever more as long as one leads, and what it holds is not sent again. */
  #checkProgress(view: RaftView, seen: Seen): void {
    if (view.role !== "leader") return;
    const before = seen.matchesTerm === view.term ? seen.matches : new Map<NodeId, number>();
    for (const { id, match, next } of view.peers) {
      if (match >= next || match < (before.get(id) ?? 0)) {
        throw new Violation(
          `progress: ${view.id} believes that ${id} holds ${match}, sends ${next}, ` +
            `and knew of ${before.get(id)}`,
        );
      }
    }
    seen.matches = new Map(view.peers.map(({ id, match }) => [id, match]));
    seen.matchesTerm = view.term;
  }

  /** Election safety and leader completeness. */
  #checkElection(replica: Replica, view: RaftView): void {
    const other = this.#leaders.get(view.term);
    if (other !== undefined && other !== view.id) {
      throw new Violation(`election safety: ${other} and ${view.id} both lead term ${view.term}`);
    }
    if (other === undefined) this.elections++;
    this.#checkVotes(view);
    this.#leaders.set(view.term, view.id);
    const top = this.#committedTop;
    // A leader elected late in an old term may lack what a newer term committed.
    if (top.term >= view.term) return;
    const { disk } = replica;
    // Others may have elected it before its own vote, and what stands in front of that, was written.
    const holds = disk.term(top.index) === top.term || disk.snapshot().id.index >= top.index ||
      replica.writing.some(({ entries, snapshot }) =>
        entries.some(({ index, term }) => index === top.index && term === top.term) ||
        (snapshot !== undefined && snapshot.id.index >= top.index)
      );
    if (!holds) {
      throw new Violation(
        `leader completeness: ${replica.id} leads term ${view.term} with ${
          disk.term(top.index)
        } at ` +
          `${top.index}, but ${top.term} is committed there`,
      );
    }
  }

  /** What a leader calls committed is of its term and durable on a quorum: disks of crashed nodes count, too. */
  #checkQuorumHolds(view: RaftView): void {
    const { committed: index, term } = view;
    this.#committedTop = { term, index };
    const holders = this.#replicas.filter(({ disk }) =>
      disk.term(index) === term || disk.snapshot().id.index >= index
    );
    if (!holdsQuorum(view.configuration, new Set(holders.map(({ id }) => id)))) {
      throw new Violation(
        `commitment: ${view.id} calls ${index} committed in term ${term}, durable on ` +
          `${holders.map(({ id }) => id)} of ${describeGroup(view.configuration)}`,
      );
    }
  }

  #checkChange(replica: Replica, entry: Entry & { kind: "group_change" }): void {
    const seen = this.#seenOf(replica);
    const { configuration } = replica.raft.view();
    const before = seen.group;
    seen.group = configuration;
    // Who was removed and let in again, perhaps within one step, starts from nothing.
    seen.matches = new Map();
    // Leaders look before they write a change down, so one that does not fit must not be in a log.
    const expected = before === undefined ? undefined : expectedGroup(before, entry.change);
    if (expected === undefined) {
      throw new Violation(
        `group: ${replica.id} applies a change that does not fit at ${entry.index}: ` +
          JSON.stringify(entry.change.steps),
      );
    }
    const known = this.#groups.find(({ index }) => index === entry.index);
    if (known === undefined) this.#groups.push({ index: entry.index, group: expected });
    else this.#compareGroups(replica, expected, known.group);
    // The machine is behind a snapshot that Raft has and the disk has not: Raft is where the snapshot is.
    if (replica.writing.some(({ snapshot }) => snapshot !== undefined)) seen.group = expected;
    else this.#compareGroups(replica, configuration, expected);
  }

  /** The group at an index that some machine applied; undefined when nobody did yet. */
  #groupAt(index: number): GroupConfiguration | undefined {
    if (index > 1 && !this.#applied.has(index)) return undefined;
    return this.#groups.findLast((known) => known.index <= index)?.group;
  }

  #compareGroups(
    replica: Replica,
    actual: GroupConfiguration,
    expected: GroupConfiguration,
  ): void {
    const [left, right] = [describeGroup(actual), describeGroup(expected)];
    if (left === right) return;
    throw new Violation(
      `group: ${replica.id} has ${left} at ${replica.machine.index}, expected ${right}`,
    );
  }
}

/** The entry at `index` of a replica's log, with what is still on its way to the disk. */
function entryOf({ disk, writing }: Replica, index: number): Entry | undefined {
  for (const { entries } of writing.toReversed()) {
    const first = entries[0];
    if (first === undefined || first.index > index) continue;
    return entries[index - first.index];
  }
  return disk.entries(index, index + 1, Infinity)?.[0];
}

function belongs({ id, configuration: { voters, votersOutgoing } }: RaftView): boolean {
  return voters.includes(id) || votersOutgoing.includes(id);
}
