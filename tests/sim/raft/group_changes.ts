import type { NodeId, Random } from "../../../src/base/mod.ts";
import type { GroupChange, GroupConfiguration, GroupStep } from "../../../src/protocol/mod.ts";

/** The change that ends a joint configuration. */
export const LEAVE: GroupChange = changeOf("auto", []);

/**
 * Draws a change that fits `before`: newcomers, promotions, demotions, removals, replacements; undefined = none fits.
 * `least`: how many voters it leaves; default one or two.
 */
export function drawChange(
  random: Random,
  before: GroupConfiguration,
  ids: readonly NodeId[],
  least?: { readonly voters: number },
): GroupChange | undefined {
  if (before.votersOutgoing.length > 0) return before.autoLeave ? undefined : LEAVE;
  const { voters, learners } = before;
  const outside = ids.filter((id) => !voters.includes(id) && !learners.includes(id));
  // Now and then down to one voter, which decides alone and so takes paths of its own.
  const votersMin = least?.voters ?? (random.chance(1, 6) ? 1 : 2);
  const steps = new Map<NodeId, GroupStep>();
  const add = (action: GroupStep["action"], node: NodeId | undefined) => {
    if (node !== undefined) steps.set(node, { action, node });
  };
  if (random.chance(2, 3)) {
    add(random.chance(1, 2) ? "add_voter" : "add_learner", random.pick(outside));
  }
  if (random.chance(1, 2)) add("add_voter", random.pick(learners));
  if (voters.length > votersMin && random.chance(1, 2)) {
    add(random.chance(1, 3) ? "add_learner" : "remove", random.pick(voters));
  }
  if (random.chance(1, 8)) add("remove", random.pick(learners));
  if (steps.size === 0) return undefined;
  const transition = random.pick(["auto", "auto", "auto", "implicit", "explicit"] as const);
  return changeOf(transition ?? "auto", [...steps.values()]);
}

/** Draws a change by which `leaver` leaves, with or without someone in its place; undefined = nobody would be left. */
export function drawHandover(
  random: Random,
  before: GroupConfiguration,
  { leaver, ids }: { readonly leaver: NodeId; readonly ids: readonly NodeId[] },
): GroupChange | undefined {
  const { voters, votersOutgoing } = before;
  if (votersOutgoing.length > 0) return undefined;
  const heir = random.chance(1, 2)
    ? random.pick(ids.filter((id) => !voters.includes(id)))
    : undefined;
  if (heir === undefined && voters.length < 2) return undefined;
  const remove: GroupStep = {
    action: random.chance(3, 4) ? "remove" : "add_learner",
    node: leaver,
  };
  const add: readonly GroupStep[] = heir === undefined ? [] : [{ action: "add_voter", node: heir }];
  return changeOf(random.chance(1, 2) ? "auto" : "implicit", [remove, ...add]);
}

/**
 * What a change makes of a configuration, said a second time in the plainest way, so that the core's answer is compared
 * with something. Undefined = it does not fit.
 */
export function expectedGroup(
  before: GroupConfiguration,
  change: GroupChange,
): GroupConfiguration | undefined {
  const joint = before.votersOutgoing.length > 0;
  if (change.transition === "auto" && change.steps.length === 0) {
    if (!joint) return undefined;
    const learners = sorted([...before.learners, ...before.learnersNext]);
    return { ...before, votersOutgoing: [], learners, learnersNext: [], autoLeave: false };
  }
  if (joint) return undefined;
  const entersJoint = change.transition !== "auto" || change.steps.length > 1;
  const votersOutgoing = entersJoint ? before.voters : [];
  const after = { voters: before.voters, learners: before.learners, learnersNext: [] as NodeId[] };
  for (const { action, node } of change.steps) {
    if (action === "add_learner" && after.learners.includes(node)) continue;
    after.voters = after.voters.filter((id) => id !== node);
    after.learners = after.learners.filter((id) => id !== node);
    after.learnersNext = after.learnersNext.filter((id) => id !== node);
    if (action === "add_voter") after.voters = sorted([...after.voters, node]);
    if (action !== "add_learner") continue;
    if (votersOutgoing.includes(node)) after.learnersNext = sorted([...after.learnersNext, node]);
    else after.learners = sorted([...after.learners, node]);
  }
  const autoLeave = entersJoint && change.transition !== "explicit";
  return { ...after, votersOutgoing, autoLeave };
}

/** One line that is equal for equal configurations. */
export function describeGroup(group: GroupConfiguration): string {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = group;
  const lists = [voters, votersOutgoing, learners, learnersNext].map((ids) => ids.join(","));
  return `${lists.join("|")}${autoLeave ? "|auto" : ""}`;
}

/** True when `ids` hold a majority of both halves. */
export function holdsQuorum(group: GroupConfiguration, ids: ReadonlySet<NodeId>): boolean {
  return [group.voters, group.votersOutgoing].every((half) =>
    half.length === 0 || half.filter((id) => ids.has(id)).length * 2 > half.length
  );
}

function changeOf(
  transition: GroupChange["transition"],
  steps: readonly GroupStep[],
): GroupChange {
  return { transition, steps, context: new Uint8Array(), form: "batch" };
}

function sorted(ids: readonly NodeId[]): NodeId[] {
  return [...ids].sort((left, right) => left < right ? -1 : left > right ? 1 : 0);
}
