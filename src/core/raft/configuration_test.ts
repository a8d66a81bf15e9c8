import assert from "node:assert/strict";
import { type NodeId, Random } from "../../base/mod.ts";
import type { GroupChange, GroupStep } from "../../protocol/mod.ts";
import {
  allMembers,
  changeConfiguration,
  changeSimply,
  type Configuration,
  EMPTY_CONFIGURATION,
  enterJoint,
  fromGroup,
  isJoint,
  leaveJoint,
  NO_NODE,
  toGroup,
} from "./configuration.ts";

function idOf(number: number): NodeId {
  return number.toString(16).padStart(16, "0") as NodeId;
}

function step(action: GroupStep["action"], number: number): GroupStep {
  return { action, node: idOf(number) };
}

function must(result: ReturnType<typeof changeSimply>): Configuration {
  assert.equal(result.kind, "changed", JSON.stringify(result));
  assert.ok(result.kind === "changed");
  return result.configuration;
}

function randomSteps(random: Random): GroupStep[] {
  const actions = ["add_voter", "add_learner", "remove", "update"] as const;
  return Array.from({ length: 1 + random.below(6) }, () => {
    const action = random.pick(actions) ?? "update";
    return step(action, 1 + random.below(6));
  });
}

const THREE = must(enterJoint(
  must(changeSimply(EMPTY_CONFIGURATION, [step("add_voter", 1)])),
  [step("add_voter", 2), step("add_voter", 3)],
  { autoLeave: false },
));
const GROUP_OF_THREE = must(leaveJoint(THREE));

Deno.test("A joint change ends where the same steps one by one end, on 2,000 random changes", () => {
  const random = new Random(5);
  let compared = 0;
  for (let round = 0; round < 2_000; round++) {
    const steps = randomSteps(random);
    // Step by step the group may pass through having no voters, where the joint change does not: not comparable.
    let simple = GROUP_OF_THREE;
    const passes = steps.every((one) => {
      const result = changeSimply(simple, [one]);
      if (result.kind === "changed") simple = result.configuration;
      return result.kind === "changed";
    });
    if (!passes) continue;
    compared++;
    const joint = must(enterJoint(GROUP_OF_THREE, steps, { autoLeave: random.chance(1, 2) }));
    assert.ok(isJoint(joint));
    assert.deepEqual(toGroup(must(leaveJoint(joint))), toGroup(simple));
  }
  assert.ok(compared > 1_000, `only ${compared} compared`);
});

Deno.test("Random chains of changes never leave the invariants", () => {
  const random = new Random(6);
  for (let round = 0; round < 300; round++) {
    let current = GROUP_OF_THREE;
    for (let chained = 0; chained < 10; chained++) {
      const transition = random.pick(["auto", "implicit", "explicit"] as const) ?? "auto";
      const steps = random.chance(1, 3) ? [] : randomSteps(random);
      const change: GroupChange = {
        transition,
        steps,
        context: new Uint8Array(),
        form: "batch",
      };
      const result = changeConfiguration(current, change);
      if (result.kind === "refused") continue;
      current = result.configuration;
      assert.notEqual(fromGroup(toGroup(current)), undefined, JSON.stringify(toGroup(current)));
      for (const id of result.fresh) assert.ok(allMembers(current).includes(id));
    }
  }
});

Deno.test("changeSimply() moves at most one voter, so that old and new majorities overlap (thesis, 4.1)", () => {
  const refused = (steps: GroupStep[]) => changeSimply(GROUP_OF_THREE, steps);
  assert.deepEqual(refused([step("add_voter", 4), step("add_voter", 5)]), {
    kind: "refused",
    reason: "changes_several_voters",
  });
  assert.deepEqual(refused([step("remove", 1), step("add_voter", 4)]), {
    kind: "refused",
    reason: "changes_several_voters",
  });
  assert.equal(refused([step("add_voter", 4), step("add_learner", 5)]).kind, "changed");
});

Deno.test("A group never loses its last voter", () => {
  const all = [1, 2, 3].map((number) => step("remove", number));
  const reason = "removes_all_voters";
  assert.deepEqual(changeSimply(GROUP_OF_THREE, all), { kind: "refused", reason });
  assert.deepEqual(enterJoint(GROUP_OF_THREE, all, { autoLeave: true }), {
    kind: "refused",
    reason,
  });
});

Deno.test("A joint configuration admits no second change before it is left (paper, section 6)", () => {
  assert.deepEqual(changeSimply(THREE, []), { kind: "refused", reason: "simple_while_joint" });
  const again = enterJoint(THREE, [], { autoLeave: false });
  assert.deepEqual(again, { kind: "refused", reason: "already_joint" });
  assert.deepEqual(leaveJoint(GROUP_OF_THREE), { kind: "refused", reason: "not_joint" });
  assert.deepEqual(enterJoint(EMPTY_CONFIGURATION, [step("add_voter", 1)], { autoLeave: false }), {
    kind: "refused",
    reason: "no_voters_to_leave",
  });
});

Deno.test("A demoted voter keeps its vote in the old half and becomes a learner on leaving", () => {
  const joint = must(enterJoint(GROUP_OF_THREE, [step("add_learner", 3)], { autoLeave: true }));
  assert.deepEqual(toGroup(joint), {
    voters: [idOf(1), idOf(2)],
    votersOutgoing: [idOf(1), idOf(2), idOf(3)],
    learners: [],
    learnersNext: [idOf(3)],
    autoLeave: true,
  });
  assert.deepEqual(toGroup(must(leaveJoint(joint))), {
    voters: [idOf(1), idOf(2)],
    votersOutgoing: [],
    learners: [idOf(3)],
    learnersNext: [],
    autoLeave: false,
  });
});

Deno.test("A member removed and added by one change starts anew; steps about nobody are ignored", () => {
  const result = changeSimply(GROUP_OF_THREE, [
    step("remove", 3),
    step("add_voter", 3),
    { action: "add_voter", node: NO_NODE },
  ]);
  assert.ok(result.kind === "changed");
  assert.deepEqual([...result.fresh], [idOf(3)]);
  assert.deepEqual(toGroup(result.configuration), toGroup(GROUP_OF_THREE));
});

Deno.test("fromGroup() refuses configurations that no working group has", () => {
  const sound = toGroup(GROUP_OF_THREE);
  const [one] = sound.voters;
  assert.ok(one !== undefined);
  assert.equal(fromGroup({ ...sound, learners: [one] }), undefined);
  assert.equal(fromGroup({ ...sound, learnersNext: [idOf(9)] }), undefined);
  assert.equal(fromGroup({ ...sound, autoLeave: true }), undefined);
  assert.equal(fromGroup({ ...sound, voters: [], learners: [idOf(9)] }), undefined);
  assert.equal(fromGroup({ ...sound, votersOutgoing: [idOf(9)], learnersNext: [one] }), undefined);
  assert.notEqual(fromGroup(sound), undefined);
});
