import type { NodeId } from "../../../src/base/mod.ts";
import type { RaftView } from "../../../src/core/raft/mod.ts";
import type { Entry, GroupConfiguration } from "../../../src/protocol/mod.ts";
import type { Replica } from "./replica.ts";

/** What is promised and was broken, with the figures. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** What the checker remembers of one replica. */
interface Seen {
  term: number;
  committed: number;
  life: number;
  leadsTerm: number;
}

/** Raft's safety properties (paper, figure 3), looked at after every step of every replica. */
export class Invariants {
  elections = 0;
  readonly #leaders = new Map<number, NodeId>();
  /** Term and history hash of every index any machine ever applied. */
  readonly #applied = new Map<number, { readonly term: number; readonly hash: number }>();
  readonly #seen = new Map<NodeId, Seen>();
  readonly #replicas: readonly Replica[];
  #committedMax = 0;

  constructor(replicas: readonly Replica[]) {
    this.#replicas = replicas;
  }

  /** Highest index that any replica ever called committed. */
  get committedMax(): number {
    return this.#committedMax;
  }

  checkStep(replica: Replica): void {
    const view = replica.raft.view();
    const seen = this.#seenOf(replica);
    this.#checkMonotone(view, seen);
    if (view.role === "leader" && seen.leadsTerm !== view.term) {
      seen.leadsTerm = view.term;
      this.#checkElection(replica, view);
    }
    if (view.committed > this.#committedMax) {
      this.#committedMax = view.committed;
      if (view.role === "leader") this.#checkQuorumHolds(view);
    }
  }

  /** State machine safety: equal indexes hold equal entries after equal histories. */
  checkApplied(replica: Replica, entry: Entry): void {
    const { hash } = replica.machine;
    const before = this.#applied.get(entry.index);
    if (before === undefined) this.#applied.set(entry.index, { term: entry.term, hash });
    else if (before.hash !== hash) {
      throw new Violation(
        `state machine safety: ${replica.id} applied another history at ${entry.index} (term ${entry.term}, was ${before.term})`,
      );
    }
  }

  /** A restored machine must be one that some history made. */
  checkRestored(replica: Replica): void {
    const before = this.#applied.get(replica.machine.index);
    if (before !== undefined && before.hash !== replica.machine.hash) {
      throw new Violation(
        `snapshot safety: ${replica.id} restored another history at ${replica.machine.index}`,
      );
    }
  }

  #seenOf(replica: Replica): Seen {
    let seen = this.#seen.get(replica.id);
    if (seen === undefined) {
      seen = { term: 0, committed: 0, life: 0, leadsTerm: -1 };
      this.#seen.set(replica.id, seen);
    }
    if (seen.life !== replica.life) {
      // The commit index may be lost in a crash, because it is found again; the term may not.
      seen.life = replica.life;
      seen.committed = 0;
      seen.leadsTerm = -1;
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
    seen.term = view.term;
    seen.committed = view.committed;
  }

  /** Election safety and leader completeness. */
  #checkElection(replica: Replica, view: RaftView): void {
    const other = this.#leaders.get(view.term);
    if (other !== undefined && other !== view.id) {
      throw new Violation(`election safety: ${other} and ${view.id} both lead term ${view.term}`);
    }
    if (other === undefined) this.elections++;
    this.#leaders.set(view.term, view.id);
    if (view.lastIndex < this.#committedMaxOf(view.term)) {
      throw new Violation(
        `leader completeness: ${replica.id} leads term ${view.term} with a log to ${view.lastIndex}, ` +
          `but ${this.#committedMax} is committed`,
      );
    }
  }

  /** A leader elected late in an old term may lack what a newer term committed. */
  #committedMaxOf(term: number): number {
    const newest = Math.max(...this.#leaders.keys());
    return newest > term ? 0 : this.#committedMax;
  }

  /** What a leader calls committed is durable on a quorum: crashed and paused nodes' disks count. */
  #checkQuorumHolds(view: RaftView): void {
    const held = (id: NodeId) => {
      const disk = this.#replicas.find((replica) => replica.id === id)?.disk;
      return disk !== undefined && (disk.lastIndex() >= view.committed);
    };
    const isQuorum = (voters: readonly NodeId[]) =>
      voters.length === 0 || voters.filter(held).length * 2 > voters.length;
    const { voters, votersOutgoing }: GroupConfiguration = view.configuration;
    if (!isQuorum(voters) || !isQuorum(votersOutgoing)) {
      throw new Violation(
        `commitment: ${view.id} calls ${view.committed} committed in term ${view.term} without a durable quorum of ${voters}`,
      );
    }
  }
}
