import { keepMap, type NodeId, type StateKeeper } from "../../base/mod.ts";
import type { Entry } from "../../protocol/mod.ts";
import type { JointVoters } from "./quorum.ts";

/** Names taken on others' word; a report that lists more is cut. More than any group has voters. */
const VOUCHED_MAX = 64;
/** Members without a vote whose word is needed, together, where no voter speaks any more. */
const VOICES_NEEDED = 2;

/**
 * Who may lead and ask for votes, as far as this node knows; only their terms, entries and snapshots count. The members
 * that vote are not enough: this node may lag behind the change that gave the leader its vote, or have a leader that
 * was taken its vote a moment ago. So also counts
 * - who voted at any time since this node entered its term, because such a node may have campaigned in the next one;
 * - whom a change in this node's own log makes a voter, applied or not;
 * - whom a node of these names as a voter when asked: a lagging node asks those that it knows for those that came since.
 *
 * Where none of them has been heard of for long, the word of two members without a vote stands in for theirs. One alone
 * never does: it could make itself the leader of whoever it can cut off.
 */
export class Electorate {
  #configuration: JointVoters;
  /** Voters of each configuration held in this term. */
  #ofTerm = new Set<NodeId>();
  /** By a report; until the next configuration, which is better news. */
  #vouched = new Set<NodeId>();
  /** Who named whom, of members without a vote. */
  readonly #voices = new Map<NodeId, ReadonlySet<NodeId>>();
  /** When a node of the electorate was last obeyed, and when anybody was last asked, in ticks since start. */
  #heardTicks = 0;
  #askedTicks = -Infinity;

  constructor(configuration: JointVoters) {
    this.#configuration = configuration;
    this.#add(configuration);
  }

  /** A term began. */
  onTerm(): void {
    this.#ofTerm = new Set();
    this.#add(this.#configuration);
  }

  onConfiguration(configuration: JointVoters): void {
    this.#configuration = configuration;
    this.#add(configuration);
    this.#vouched.clear();
    this.#voices.clear();
  }

  onHeard(ticks: number): void {
    this.#heardTicks = ticks;
    if (this.#voices.size > 0) this.#voices.clear();
  }

  /**
   * Known without a look at the log. A node that belongs to no group yet takes the first one's word: who let it in
   * could have told it anything.
   */
  has(id: NodeId): boolean {
    return this.#ofTerm.has(id) || this.#vouched.has(id) || this.#configuration.incoming.size === 0;
  }

  /** True when it is time to ask, which then counts as done. */
  asks(ticks: number, gapTicks: number): boolean {
    if (ticks < this.#askedTicks + gapTicks) return false;
    this.#askedTicks = ticks;
    return true;
  }

  /** A node of the electorate names voters. */
  vouch(names: readonly NodeId[]): void {
    for (const name of names) if (this.#vouched.size < VOUCHED_MAX) this.#vouched.add(name);
  }

  /** A member without a vote names voters; counts once those that have one were silent for `silenceTicks`. */
  hearVoice(
    from: NodeId,
    names: readonly NodeId[],
    by: { ticks: number; silenceTicks: number },
  ): void {
    if (by.ticks < this.#heardTicks + by.silenceTicks) return;
    this.#voices.set(from, new Set(names.slice(0, VOUCHED_MAX)));
    for (const name of names.slice(0, VOUCHED_MAX)) {
      const voices = [...this.#voices.values()].filter((named) => named.has(name)).length;
      if (voices >= VOICES_NEEDED) this.vouch([name]);
    }
  }

  /** All of its state. */
  keep(keeper: StateKeeper): void {
    this.#configuration = keeper.keep(this.#configuration);
    this.#ofTerm = keeper.keep(this.#ofTerm);
    this.#vouched = keeper.keep(this.#vouched);
    keepMap(keeper, this.#voices);
    this.#heardTicks = keeper.keep(this.#heardTicks);
    this.#askedTicks = keeper.keep(this.#askedTicks);
  }

  #add({ incoming, outgoing }: JointVoters): void {
    for (const id of incoming) this.#ofTerm.add(id);
    for (const id of outgoing) this.#ofTerm.add(id);
  }
}

/** Whom changes among these entries give a vote. */
export function votersBy(entries: readonly Entry[]): NodeId[] {
  return entries.flatMap((entry) =>
    entry.kind === "group_change"
      ? entry.change.steps.filter(({ action }) => action === "add_voter").map(({ node }) => node)
      : []
  );
}
