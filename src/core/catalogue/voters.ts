import { assert, type NodeId } from "../../base/mod.ts";
import type { GroupChange, GroupConfiguration, GroupStep } from "../../protocol/mod.ts";
import { majorityOf } from "../voting/mod.ts";

/** A member of the cluster, as the leader sees it. */
export interface VoterCandidate {
  readonly nodeId: NodeId;
  /** From gossip; `unknown` = never heard of. Speeds up decisions and is never counted as a vote. */
  readonly standing: "alive" | "suspect" | "down" | "left" | "unknown";
  /** When this standing began, on the clock of {@link VotersState.nowMs}. */
  readonly sinceMs: number;
  /** `drained`: votes only while nobody else can; `leaving`: must lose its vote before it goes. */
  readonly duty: "serving" | "drained" | "leaving";
  /** It left its vote to others when it stopped in order, and is back: where not all can vote, it goes before them. */
  readonly claims?: boolean;
}

/** What the leader knows when it looks at the voters. */
export interface VotersState {
  /** The leader. */
  readonly self: NodeId;
  readonly configuration: GroupConfiguration;
  /** Everyone the catalogue admits, the leader included; whoever is not listed must leave the group. */
  readonly members: readonly VoterCandidate[];
  /** Learners that answer and hold all but the newest entries. */
  readonly caughtUp: readonly NodeId[];
  readonly nowMs: number;
}

/** How many vote, and how patient the cluster is with them. */
export interface VotersOptions {
  /** Odd, 1..7. */
  readonly votersMax: number;
  /** A voter that is down this long is replaced, in milliseconds. */
  readonly replaceAfterMs: number;
  /** One that said goodbye: longer than a restart takes, or each update of odist would move votes. */
  readonly leftAfterMs: number;
  /** A learner is promoted when it is alive this long; keeps a node that comes and goes from voting. */
  readonly settleMs: number;
}

/** Values of {@link VotersOptions}. */
export const VOTERS_DEFAULTS: VotersOptions = {
  votersMax: 5,
  replaceAfterMs: 60_000,
  leftAfterMs: 15_000,
  settleMs: 300,
};

/** The one thing to do now. */
export type VotersPlan =
  | { readonly kind: "none" }
  | { readonly kind: "change"; readonly change: GroupChange; readonly why: VotersReason }
  /** The leader must go: `to` leads first (thesis, 3.10), because nobody could tell who has committed its removal. */
  | { readonly kind: "transfer"; readonly to: NodeId };

/** For log lines. */
export type VotersReason =
  | "more_voters"
  | "fewer_voters"
  | "replace_voters"
  | "prepare_handover"
  | "update_learners"
  | "leave_joint";

/** Steps about learners in one change; the rest follows in the next. */
const LEARNER_STEPS_MAX = 32;
const NONE: VotersPlan = { kind: "none" };

/**
 * Decides who votes: one for a single node, then three, then five; never an even number, except for the moment in which
 * a leader without another voter hands over. Everyone else is a learner. No step of it leaves the old or the new voters
 * without a living quorum. To be asked again when anything changes and at {@link nextLookMs}.
 */
export function planVoters(state: VotersState, options: VotersOptions): VotersPlan {
  const { configuration } = state;
  if (configuration.votersOutgoing.length > 0) {
    return configuration.autoLeave ? NONE : changeBy([], "leave_joint");
  }
  const council = new Council(state, options);
  // Nothing can be committed, and gossip that says so may even be right.
  if (!council.quorumLives(configuration.voters)) return NONE;
  const seats = council.chooseSeats();
  const leads = seats.includes(state.self);
  const heir = leads ? undefined : council.findHeir(seats);
  if (heir !== undefined) return { kind: "transfer", to: heir };
  const wanted = leads || seats.length === 0 ? seats : withLeader(seats, state.self);
  const voters = wanted.length > 0 && council.quorumLives(wanted) ? wanted : configuration.voters;
  const isSound = voters.length > 0 && new Set(voters).size === voters.length &&
    council.quorumLives(voters);
  assert(isSound, "A plan leaves a living quorum of different voters", { voters });
  const steps = council.stepsTo(voters);
  return steps.length === 0 ? NONE : changeBy(steps, reasonOf(configuration, voters, leads));
}

/** A follower as the leader sees it. */
interface HeirCandidate {
  readonly id: NodeId;
  /** The last entry that it is known to hold; 0 = not known. */
  readonly match: number;
  readonly recentlyActive: boolean;
}

/**
 * Who should lead when the leader stops: of the other voters that answer, the one that lacks least, then the lowest id.
 * Undefined where nobody can take over at once.
 */
export function chooseHeir(
  self: NodeId,
  group: { readonly voters: readonly NodeId[]; readonly peers: readonly HeirCandidate[] },
): NodeId | undefined {
  const able = group.peers.filter(({ id, match, recentlyActive }) =>
    id !== self && recentlyActive && match > 0 && group.voters.includes(id)
  );
  able.sort((a, b) => b.match - a.match || (a.id < b.id ? -1 : 1));
  return able[0]?.id;
}

/**
 * Whether voters that live would still make a quorum, of both halves of a change under way, once nobody talks to `node`
 * any more. Where they would not, shutting it out would stop the log before its vote can go to another.
 */
export function survivesWithout(
  configuration: GroupConfiguration,
  node: NodeId,
  lives: (voter: NodeId) => boolean,
): boolean {
  return [configuration.voters, configuration.votersOutgoing].every((voters) => {
    const left = voters.filter((voter) => voter !== node && lives(voter)).length;
    return !voters.includes(node) || left >= majorityOf(voters.length);
  });
}

/** When time alone may change the plan; undefined = never. Later than {@link VotersState.nowMs}. */
export function nextLookMs(state: VotersState, options: VotersOptions): number | undefined {
  let nextMs: number | undefined;
  for (const member of state.members) {
    const dueMs = member.sinceMs + patienceWith(member, options);
    if (dueMs > state.nowMs && dueMs < (nextMs ?? Infinity)) nextMs = dueMs;
  }
  return nextMs;
}

/** How long a standing must last before it counts. */
function patienceWith({ standing }: VoterCandidate, options: VotersOptions): number {
  switch (standing) {
    case "alive":
      return options.settleMs;
    case "left":
      return options.leftAfterMs;
    case "suspect":
    case "down":
    case "unknown":
      return options.replaceAfterMs;
  }
}

/** The members of one look, by what they are good for. */
class Council {
  readonly #state: VotersState;
  readonly #options: VotersOptions;
  readonly #members: ReadonlyMap<NodeId, VoterCandidate>;

  constructor(state: VotersState, options: VotersOptions) {
    this.#state = state;
    this.#options = options;
    this.#members = new Map(state.members.map((member) => [member.nodeId, member]));
  }

  /** Whether a majority is known to live. */
  quorumLives(voters: readonly NodeId[]): boolean {
    return voters.filter((voter) => this.#lives(voter)).length >= majorityOf(voters.length);
  }

  /** Who should vote, best first; empty when nobody can. */
  chooseSeats(): readonly NodeId[] {
    const { configuration, members } = this.#state;
    const staying = members.filter(({ duty }) => duty !== "leaving").length;
    const seatsMax = Math.min(this.#options.votersMax, staying);
    const voters = this.#sorted(configuration.voters.filter((voter) => this.#stays(voter)));
    // Whoever votes goes on: a learner that is as good is no reason to move a vote.
    const present = [...voters.filter((voter) => !this.#isGone(voter)), ...this.#promotable()];
    const serving = present.filter((node) => !this.#isDrained(node));
    const usable = [
      ...serving.filter((node) => this.#claims(node)),
      ...serving.filter((node) => !this.#claims(node)),
      ...present.filter((node) => this.#isDrained(node)),
    ];
    const all = [...usable, ...voters.filter((voter) => this.#isGone(voter))];
    const count = oddAtMost(Math.min(seatsMax, usable.length));
    const countWithGone = oddAtMost(Math.min(seatsMax, all.length));
    const spared = countWithGone - Math.max(0, countWithGone - usable.length) -
      majorityOf(countWithGone);
    // The gone keep their votes unless the group survives more deaths without them: of three voters with one dead the
    // two others are no worse than one alone, and what they commit is on two disks.
    return count - majorityOf(count) > spared ? all.slice(0, count) : all.slice(0, countWithGone);
  }

  /** A voter that may lead in the leader's place. */
  findHeir(seats: readonly NodeId[]): NodeId | undefined {
    const { configuration, self } = this.#state;
    return seats.find((seat) =>
      seat !== self && configuration.voters.includes(seat) && this.#lives(seat)
    );
  }

  /** From the present configuration to these voters, and everyone else a learner. */
  stepsTo(voters: readonly NodeId[]): readonly GroupStep[] {
    const { configuration, members } = this.#state;
    const added = voters.filter((voter) => !configuration.voters.includes(voter))
      .map((node) => ({ action: "add_voter", node }) as const);
    const dropped = configuration.voters.filter((voter) => !voters.includes(voter))
      .map((node) =>
        ({ action: this.#members.has(node) ? "add_learner" : "remove", node }) as const
      );
    const known = [...configuration.voters, ...configuration.learners];
    const newcomers = members.filter(({ nodeId }) => !known.includes(nodeId))
      .map(({ nodeId }) => ({ action: "add_learner", node: nodeId }) as const);
    const strangers = configuration.learners.filter((learner) => !this.#members.has(learner))
      .map((node) => ({ action: "remove", node }) as const);
    const learners = [...strangers, ...newcomers].slice(0, LEARNER_STEPS_MAX);
    return [...added, ...dropped, ...learners];
  }

  /** Learners good enough to vote. */
  #promotable(): NodeId[] {
    const { caughtUp, configuration, nowMs } = this.#state;
    const ready = caughtUp.filter((learner) => {
      const member = this.#members.get(learner);
      return configuration.learners.includes(learner) && member?.standing === "alive" &&
        member.duty !== "leaving" && nowMs - member.sinceMs >= this.#options.settleMs;
    });
    return this.#sorted(ready);
  }

  /** The living first, among them the leader; then by id, so that every look agrees. */
  #sorted(nodes: readonly NodeId[]): NodeId[] {
    const rank = (node: NodeId) => node === this.#state.self ? 0 : this.#lives(node) ? 1 : 2;
    return [...nodes].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  }

  #lives(node: NodeId): boolean {
    return node === this.#state.self || this.#members.get(node)?.standing === "alive";
  }

  #stays(node: NodeId): boolean {
    const member = this.#members.get(node);
    return member !== undefined && member.duty !== "leaving";
  }

  #isDrained(node: NodeId): boolean {
    return this.#members.get(node)?.duty === "drained";
  }

  /** One that is still away claims nothing. */
  #claims(node: NodeId): boolean {
    return this.#lives(node) && (this.#members.get(node)?.claims ?? false);
  }

  /** Away for so long that its vote should go to another. */
  #isGone(node: NodeId): boolean {
    const member = this.#members.get(node);
    if (member === undefined) return true;
    if (this.#lives(node) || member.standing === "suspect") return false;
    return this.#state.nowMs - member.sinceMs >= patienceWith(member, this.#options);
  }
}

/** The leader keeps a seat until another voter can lead. */
function withLeader(seats: readonly NodeId[], self: NodeId): readonly NodeId[] {
  return seats.length === 1 ? [self, ...seats] : [self, ...seats.slice(0, -1)];
}

function reasonOf(
  configuration: GroupConfiguration,
  voters: readonly NodeId[],
  leads: boolean,
): VotersReason {
  const before = configuration.voters;
  const stays = voters.every((voter) => before.includes(voter));
  if (stays && voters.length === before.length) return "update_learners";
  if (!leads) return "prepare_handover";
  if (voters.length === before.length) return "replace_voters";
  return voters.length > before.length ? "more_voters" : "fewer_voters";
}

function changeBy(steps: readonly GroupStep[], why: VotersReason): VotersPlan {
  const context = new Uint8Array();
  return { kind: "change", change: { transition: "auto", steps, context, form: "batch" }, why };
}

function oddAtMost(count: number): number {
  return count <= 0 ? 0 : count - 1 + count % 2;
}
