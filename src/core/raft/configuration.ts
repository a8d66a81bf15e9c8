import type { NodeId } from "../../base/mod.ts";
import type { GroupChange, GroupConfiguration, GroupStep } from "../../protocol/mod.ts";
import type { JointVoters } from "../voting/mod.ts";

/** The id that names no node. Steps about it are ignored, so that an applier can blank a step it refuses. */
export const NO_NODE = "0000000000000000" as NodeId;

/**
 * Who belongs to the group. A value: changes make another one.
 *
 * Invariants: incoming is never empty once a node was added; learners are disjoint from both halves of the voters;
 * learnersNext is a subset of outgoing and disjoint from incoming; outgoing, learnersNext and autoLeave are only set
 * while joint.
 */
export interface Configuration extends JointVoters {
  readonly learners: ReadonlySet<NodeId>;
  readonly learnersNext: ReadonlySet<NodeId>;
  readonly autoLeave: boolean;
}

/** Why a change does not fit the configuration it meets. */
export type ChangeRefusal =
  | "already_joint"
  | "not_joint"
  | "simple_while_joint"
  | "no_voters_to_leave"
  | "removes_all_voters"
  | "changes_several_voters";

/** A changed configuration, or why there is none. */
export type ChangeResult =
  | {
    readonly kind: "changed";
    readonly configuration: Configuration;
    /** Members whose progress starts anew: just added, or removed and added again by one change. */
    readonly fresh: ReadonlySet<NodeId>;
  }
  | { readonly kind: "refused"; readonly reason: ChangeRefusal };

/** The configuration nobody belongs to: a node that waits to be added starts with it. */
export const EMPTY_CONFIGURATION: Configuration = {
  incoming: new Set(),
  outgoing: new Set(),
  learners: new Set(),
  learnersNext: new Set(),
  autoLeave: false,
};

/** True between entering and leaving a joint change. */
export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.size > 0;
}

/** Voters of either half, sorted. */
export function allVoters(voters: JointVoters): NodeId[] {
  return sortedIds(new Set([...voters.incoming, ...voters.outgoing]));
}

/** Everyone the leader replicates to, sorted. */
export function allMembers(configuration: Configuration): NodeId[] {
  return sortedIds(
    new Set([...configuration.incoming, ...configuration.outgoing, ...configuration.learners]),
  );
}

/** Sorted, because the order of members decides the order of messages, which must replay. */
function sortedIds(ids: ReadonlySet<NodeId>): NodeId[] {
  return [...ids].sort((left, right) => left < right ? -1 : left > right ? 1 : 0);
}

/** The form that snapshots carry. */
export function toGroup(configuration: Configuration): GroupConfiguration {
  return {
    voters: sortedIds(configuration.incoming),
    votersOutgoing: sortedIds(configuration.outgoing),
    learners: sortedIds(configuration.learners),
    learnersNext: sortedIds(configuration.learnersNext),
    autoLeave: configuration.autoLeave,
  };
}

/** Back from the form that snapshots carry; undefined when it breaks an invariant, so is not from a working group. */
export function fromGroup(group: GroupConfiguration): Configuration | undefined {
  const configuration: Configuration = {
    incoming: new Set(group.voters),
    outgoing: new Set(group.votersOutgoing),
    learners: new Set(group.learners),
    learnersNext: new Set(group.learnersNext),
    autoLeave: group.autoLeave,
  };
  return isSound(configuration) ? configuration : undefined;
}

/** Applies a committed change in the way its transition asks for. */
export function changeConfiguration(before: Configuration, change: GroupChange): ChangeResult {
  if (leavesJoint(change)) return leaveJoint(before);
  if (usesJoint(change)) {
    return enterJoint(before, change.steps, { autoLeave: change.transition !== "explicit" });
  }
  return changeSimply(before, change.steps);
}

/** True for the change that ends a joint configuration. */
function leavesJoint(change: GroupChange): boolean {
  return change.transition === "auto" && change.steps.length === 0;
}

function usesJoint(change: GroupChange): boolean {
  // One step moves at most one voter, and old and new majorities then overlap by themselves (thesis, 4.1).
  return change.transition !== "auto" || change.steps.length > 1;
}

/** Changes at most one voter, without a joint phase. */
export function changeSimply(
  before: Configuration,
  steps: readonly GroupStep[],
): ChangeResult {
  if (isJoint(before)) return refused("simple_while_joint");
  const draft = new Draft(before);
  for (const step of steps) draft.take(step);
  if (draft.incoming.size === 0) return refused("removes_all_voters");
  if (countDifferences(before.incoming, draft.incoming) > 1) {
    return refused("changes_several_voters");
  }
  return draft.finish(before.autoLeave);
}

/** Makes `before`'s voters the outgoing half and applies the steps to the incoming one. */
export function enterJoint(
  before: Configuration,
  steps: readonly GroupStep[],
  options: { readonly autoLeave: boolean },
): ChangeResult {
  if (isJoint(before)) return refused("already_joint");
  if (before.incoming.size === 0) return refused("no_voters_to_leave");
  const draft = new Draft({ ...before, outgoing: before.incoming });
  for (const step of steps) draft.take(step);
  if (draft.incoming.size === 0) return refused("removes_all_voters");
  return draft.finish(options.autoLeave);
}

/** Drops the outgoing half; demoted voters become learners now. */
export function leaveJoint(before: Configuration): ChangeResult {
  if (!isJoint(before)) return refused("not_joint");
  return {
    kind: "changed",
    configuration: {
      incoming: before.incoming,
      outgoing: new Set(),
      learners: new Set([...before.learners, ...before.learnersNext]),
      learnersNext: new Set(),
      autoLeave: false,
    },
    fresh: new Set(),
  };
}

/** A configuration under change, and whose progress the change begins anew. */
class Draft {
  readonly incoming: Set<NodeId>;
  readonly #outgoing: ReadonlySet<NodeId>;
  readonly #learners: Set<NodeId>;
  readonly #learnersNext: Set<NodeId>;
  readonly #members: Set<NodeId>;
  readonly #fresh = new Set<NodeId>();

  constructor(before: Configuration) {
    this.incoming = new Set(before.incoming);
    this.#outgoing = before.outgoing;
    this.#learners = new Set(before.learners);
    this.#learnersNext = new Set(before.learnersNext);
    this.#members = new Set(allMembers(before));
  }

  take(step: GroupStep): void {
    if (step.node === NO_NODE) return;
    switch (step.action) {
      case "add_voter":
        return this.#addVoter(step.node);
      case "add_learner":
        return this.#addLearner(step.node);
      case "remove":
        this.#forget(step.node);
        // The old half still needs its progress until the joint configuration is left.
        if (!this.#outgoing.has(step.node)) {
          this.#members.delete(step.node);
          this.#fresh.delete(step.node);
        }
        return;
      case "update":
        return;
    }
  }

  finish(autoLeave: boolean): ChangeResult {
    return {
      kind: "changed",
      configuration: {
        incoming: this.incoming,
        outgoing: this.#outgoing,
        learners: this.#learners,
        learnersNext: this.#learnersNext,
        autoLeave,
      },
      fresh: this.#fresh,
    };
  }

  #addVoter(node: NodeId): void {
    this.#forget(node);
    this.#join(node);
    this.incoming.add(node);
  }

  #addLearner(node: NodeId): void {
    if (this.#learners.has(node)) return;
    this.#forget(node);
    this.#join(node);
    // A voter of the old half may not be a learner at the same time: its vote still counts there.
    if (this.#outgoing.has(node)) this.#learnersNext.add(node);
    else this.#learners.add(node);
  }

  #join(node: NodeId): void {
    if (this.#members.has(node)) return;
    this.#members.add(node);
    this.#fresh.add(node);
  }

  #forget(node: NodeId): void {
    this.incoming.delete(node);
    this.#learners.delete(node);
    this.#learnersNext.delete(node);
  }
}

function refused(reason: ChangeRefusal): ChangeResult {
  return { kind: "refused", reason };
}

function countDifferences(left: ReadonlySet<NodeId>, right: ReadonlySet<NodeId>): number {
  const onlyIn = (one: ReadonlySet<NodeId>, other: ReadonlySet<NodeId>) =>
    [...one].filter((id) => !other.has(id)).length;
  return onlyIn(left, right) + onlyIn(right, left);
}

function isSound(configuration: Configuration): boolean {
  const { incoming, outgoing, learners, learnersNext, autoLeave } = configuration;
  const overlaps = (one: ReadonlySet<NodeId>, other: ReadonlySet<NodeId>) =>
    [...one].some((id) => other.has(id));
  if (overlaps(learners, incoming) || overlaps(learners, outgoing)) return false;
  if (overlaps(learnersNext, incoming)) return false;
  if ([...learnersNext].some((id) => !outgoing.has(id))) return false;
  if (incoming.size === 0 && (outgoing.size > 0 || learners.size > 0)) return false;
  return isJoint(configuration) || (learnersNext.size === 0 && !autoLeave);
}
