import type { NodeId } from "../../base/mod.ts";
import type { GroupConfiguration } from "../../protocol/mod.ts";
import { couldDecide } from "./quorum.ts";

/** Whether the cluster takes changes, as one node knows. */
export type ChangesStanding =
  | { readonly kind: "possible" }
  | {
    readonly kind: "impossible";
    /** For people, without names: such as `1 of 2 voters is down`. */
    readonly reason: string;
    /** Names of the voters that would make a quorum again, if they came back. */
    readonly missing: readonly string[];
    /** Milliseconds since the epoch; undefined = not known. */
    readonly sinceMs: number | undefined;
  };

/** What {@link judgeChanges} goes by. */
export interface ChangesFacts {
  readonly self: NodeId;
  /** Why this node takes no part, if it does not. */
  readonly fenced: string | undefined;
  readonly configuration: GroupConfiguration;
  readonly hasLeader: boolean;
  /** Since when no quorum has answered; undefined = one does, or soon may. */
  readonly lostAtMs: number | undefined;
  readonly isAlive: (voter: NodeId) => boolean;
  readonly nameOf: (voter: NodeId) => string;
}

/** Says why there are no changes, by what gossip knows of the voters: which may be wrong, but is never counted as a vote. */
export function judgeChanges(facts: ChangesFacts): ChangesStanding {
  const { fenced, lostAtMs: sinceMs, hasLeader, self } = facts;
  if (fenced !== undefined) {
    const reason = `this node takes no part: ${fenced}`;
    return { kind: "impossible", reason, missing: [], sinceMs: undefined };
  }
  if (hasLeader && sinceMs === undefined) return { kind: "possible" };
  const { voters, votersOutgoing } = facts.configuration;
  const all = [...new Set([...voters, ...votersOutgoing])];
  if (all.length === 0) {
    const reason = "this node has not heard of its cluster's voters yet";
    return { kind: "impossible", reason, missing: [], sinceMs };
  }
  const missing = all.filter((voter) => voter !== self && !facts.isAlive(voter));
  const isLost = !couldDecide(facts.configuration, (voter) => !missing.includes(voter));
  const reason = isLost
    ? `${missing.length} of ${all.length} ${all.length === 1 ? "voter" : "voters"} ` +
      `${missing.length === 1 ? "is" : "are"} down`
    : `no quorum of ${all.length} voters answers`;
  return { kind: "impossible", reason, missing: missing.map(facts.nameOf).sort(), sinceMs };
}

/** What is missing and how to get it, as the end of a sentence that says what can't be done. */
export function describeMissing(standing: ChangesStanding): string {
  if (standing.kind === "possible") return "no quorum of the cluster's voters answers";
  const { reason, missing } = standing;
  if (missing.length === 0) return reason;
  return `${reason}: start ${missing.join(" or ")} again, or see to it that it can be reached`;
}
