import type { NodeId } from "../../base/mod.ts";
import type { GroupConfiguration, Recovery } from "../../protocol/mod.ts";
import type { ChangesStanding } from "./changes_standing.ts";
import { couldDecide } from "./quorum.ts";

/** Another member, as who recovers has to see it. */
export interface RecoveryMember {
  readonly nodeId: NodeId;
  readonly name: string;
  readonly isAlive: boolean;
  readonly votes: boolean;
}

/** What {@link planRecovery} goes by. */
export interface RecoveryFacts {
  readonly standing: ChangesStanding;
  /** Since when no quorum has answered; undefined = one may still. */
  readonly lostAtMs: number | undefined;
  /** Why this node's own log can't be gone on with, if it can't. */
  readonly broken: string | undefined;
  readonly configuration: GroupConfiguration;
  readonly self: NodeId;
  /** Of this node's log, whether it is known to be committed or not. */
  readonly lastIndex: number;
  readonly committedIndex: number;
  /** All other admitted members. */
  readonly others: readonly Omit<RecoveryMember, "votes">[];
}

/** Whether this node may make itself the only voter, and what comes of it. */
export type RecoveryPlan =
  | {
    readonly kind: "possible";
    readonly lastIndex: number;
    readonly committedIndex: number;
    /** None of them is in the recovered cluster before it joins again. */
    readonly leftBehind: readonly RecoveryMember[];
  }
  /** For people. */
  | { readonly kind: "refused"; readonly reason: string };

/**
 * Whether the voters are so far gone that one node may go on without them. What the others have agreed on behind its back
 * is lost, so a quorum that answers, may soon answer, or is alive stands in the way.
 */
export function planRecovery(facts: RecoveryFacts): RecoveryPlan {
  const { standing, lostAtMs, broken, lastIndex, committedIndex, self, configuration } = facts;
  if (broken !== undefined) return refused(`this node's own log can't be gone on with: ${broken}`);
  if (standing.kind === "possible") return refused("the cluster takes changes: nothing is lost");
  if (lastIndex === 0) return refused("this node has not heard yet what its cluster agreed on");
  if (lostAtMs === undefined) {
    return refused("a quorum may still answer: ask again in a few seconds");
  }
  const votes = new Set([...configuration.voters, ...configuration.votersOutgoing]);
  const leftBehind = facts.others.map((member) => ({ ...member, votes: votes.has(member.nodeId) }))
    .sort((one, other) => one.name < other.name ? -1 : 1);
  const alive = leftBehind.filter(({ isAlive }) => isAlive);
  const isThere = (voter: NodeId) => voter === self || alive.some(({ nodeId }) => nodeId === voter);
  if (votes.size > 0 && couldDecide(configuration, isThere)) {
    const names = alive.filter((member) => member.votes).map(({ name }) => name).sort().join(", ");
    return refused(
      `a quorum of its voters is alive (${names}): see to it that they reach each other`,
    );
  }
  return { kind: "possible", lastIndex, committedIndex, leftBehind };
}

/** What a node is of, and what that came from. */
export interface OwnCluster {
  /** By which it is known. */
  readonly clusterIds: readonly string[];
  /** The recoveries that led to it. */
  readonly recoveries: readonly Recovery[];
}

/**
 * What another node's recovery is to this one. `over`: of its own cluster; `rival`: of one that this node's cluster was
 * recovered from, too, so that there are two; `known`: it led to this node's cluster; `foreign`: none of its business.
 */
export type RecoveryJudgement = "over" | "rival" | "known" | "foreign";

/** Judges a recovery by what it says; whether it may say so is a question of its signature. */
export function judgeRecovery(recovery: Recovery, own: OwnCluster): RecoveryJudgement {
  const isOf = ({ clusterIds }: Pick<Recovery, "clusterIds">) =>
    recovery.clusterIds.some((id) => clusterIds.includes(id));
  const isKnown = own.recoveries.some(({ by, atMs }) =>
    by === recovery.by && atMs === recovery.atMs
  );
  if (isKnown) return "known";
  if (isOf(own)) return "over";
  return own.recoveries.some(isOf) ? "rival" : "foreign";
}

/** What a node knows of its own cluster, by its own clock, in milliseconds since the epoch. */
export interface OwnLife {
  /** Since when a quorum has answered, with no more than an election's pause; undefined = none does now. */
  readonly answersSinceMs: number | undefined;
  /** When the node that tells of a recovery was last alive as a member; undefined = not in this node's present life. */
  readonly tellerAliveMs: number | undefined;
}

/**
 * Whether a cluster goes on although one of its members says that it is over. A quorum that answered all the time was never
 * lost: who went on alone was cut off, or lies. So one machine can end a cluster only that has none.
 */
export function outlives(recovery: Recovery, { answersSinceMs, tellerAliveMs }: OwnLife): boolean {
  if (answersSinceMs === undefined) return false;
  return answersSinceMs < recovery.atMs || (tellerAliveMs ?? -Infinity) > recovery.atMs;
}

function refused(reason: string): RecoveryPlan {
  return { kind: "refused", reason };
}
