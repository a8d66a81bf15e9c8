import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import type { Recovery } from "../../protocol/mod.ts";
import { judgeRecovery, outlives, planRecovery, type RecoveryFacts } from "./recovery.ts";

const idOf = (digit: string) => digit.repeat(16) as NodeId;

/** Node 1 of a cluster of three voters and a learner, of which those in `alive` live. */
function facts(alive: string, changes: Partial<RecoveryFacts> = {}): RecoveryFacts {
  return {
    standing: { kind: "impossible", reason: "down", missing: [], sinceMs: 7 },
    lostAtMs: 7,
    broken: undefined,
    configuration: {
      voters: ["1", "2", "3"].map(idOf),
      votersOutgoing: [],
      learners: [idOf("4")],
      learnersNext: [],
      autoLeave: false,
    },
    self: idOf("1"),
    lastIndex: 9,
    committedIndex: 8,
    others: ["2", "3", "4"].map((digit) => ({
      nodeId: idOf(digit),
      name: `n${digit}`,
      isAlive: alive.includes(digit),
    })),
    ...changes,
  };
}

function refusal(given: RecoveryFacts): string {
  const plan = planRecovery(given);
  return plan.kind === "refused" ? plan.reason : "none";
}

Deno.test("planRecovery() tells who would be left behind, who of them is alive, and who voted", () => {
  const plan = planRecovery(facts("4"));
  assert.ok(plan.kind === "possible");
  assert.deepEqual([plan.lastIndex, plan.committedIndex], [9, 8]);
  assert.deepEqual(
    plan.leftBehind.map(({ name, isAlive, votes }) => [name, isAlive, votes]),
    [["n2", false, true], ["n3", false, true], ["n4", true, false]],
  );
});

Deno.test("planRecovery() refuses while a quorum answers, may soon, or is alive", () => {
  assert.match(refusal(facts("", { standing: { kind: "possible" } })), /takes changes/);
  assert.match(refusal(facts("", { lostAtMs: undefined })), /may still answer/);
  assert.match(refusal(facts("34")), /a quorum of its voters is alive \(n3\)/);
  assert.equal(refusal(facts("4")), "none");
  // A learner alone: the voters' quorum is theirs.
  const learner = { self: idOf("4"), others: facts("23").others };
  assert.match(refusal(facts("", learner)), /alive \(n2, n3\)/);
});

Deno.test("planRecovery() needs both halves of a joint configuration to see a quorum", () => {
  const configuration = { ...facts("").configuration, votersOutgoing: [idOf("1"), idOf("4")] };
  assert.equal(refusal(facts("2", { configuration })), "none");
  assert.match(refusal(facts("24", { configuration })), /is alive/);
});

Deno.test("planRecovery() refuses what there is nothing to go on with", () => {
  assert.match(refusal(facts("", { lastIndex: 0 })), /not heard yet/);
  assert.match(refusal(facts("", { broken: "it is damaged" })), /can't be gone on with: it is/);
});

const X = "a".repeat(16);
const Y = "b".repeat(16);

function recovery(of: string, by: string, atMs = 1): Recovery {
  return { clusterIds: [of], by: idOf(by), name: `n${by}`, address: "", atMs };
}

Deno.test("judgeRecovery() tells the end of one's own cluster from a rival of it and from others' business", () => {
  const old = { clusterIds: [X], recoveries: [] };
  assert.equal(judgeRecovery(recovery(X, "3"), old), "over");
  assert.equal(judgeRecovery(recovery(Y, "3"), old), "foreign");
  const recovered = { clusterIds: [Y], recoveries: [recovery(X, "3")] };
  assert.equal(judgeRecovery(recovery(X, "3"), recovered), "known");
  assert.equal(judgeRecovery(recovery(X, "4"), recovered), "rival");
  // Twice by one node: its disk was restored in between.
  assert.equal(judgeRecovery(recovery(X, "3", 2), recovered), "rival");
  assert.equal(judgeRecovery(recovery(Y, "4"), recovered), "over");
});

Deno.test("judgeRecovery() knows a cluster by any of its authorities", () => {
  const replaced = { ...recovery(Y, "3"), clusterIds: [Y, X] };
  assert.equal(judgeRecovery(replaced, { clusterIds: [X], recoveries: [] }), "over");
});

Deno.test("outlives() holds for a quorum that answered before the recovery, or whose member told of it too early", () => {
  const told = recovery(X, "3", 100);
  const life = { answersSinceMs: 50, tellerAliveMs: undefined };
  assert.equal(outlives(told, life), true);
  assert.equal(outlives(told, { ...life, answersSinceMs: undefined }), false);
  // Its voters have come back since.
  assert.equal(outlives(told, { ...life, answersSinceMs: 150 }), false);
  // It says to have left when it was still among them.
  assert.equal(outlives(told, { answersSinceMs: 150, tellerAliveMs: 160 }), true);
  assert.equal(outlives(told, { answersSinceMs: 150, tellerAliveMs: 90 }), false);
});
