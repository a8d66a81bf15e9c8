import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import { type ChangesFacts, describeMissing, judgeChanges } from "./changes_standing.ts";

const idOf = (digit: string) => digit.repeat(16) as NodeId;

function facts(voters: string, down: string, changes: Partial<ChangesFacts> = {}): ChangesFacts {
  return {
    self: idOf("1"),
    fenced: undefined,
    configuration: {
      voters: [...voters].map(idOf),
      votersOutgoing: [],
      learners: [],
      learnersNext: [],
      autoLeave: false,
    },
    hasLeader: false,
    lostAtMs: 7,
    isAlive: (voter) => ![...down].map(idOf).includes(voter),
    nameOf: (voter) => `n${voter[0]}`,
    ...changes,
  };
}

function said(given: ChangesFacts): string {
  const standing = judgeChanges(given);
  return standing.kind === "possible" ? "possible" : describeMissing(standing);
}

Deno.test("Changes are possible while there is a leader and a quorum answers", () => {
  assert.equal(said(facts("123", "", { hasLeader: true, lostAtMs: undefined })), "possible");
  // A leader that is only believed in is none.
  assert.notEqual(said(facts("123", "23", { hasLeader: true })), "possible");
});

Deno.test("What is missing for changes is counted and named", () => {
  const again = "again, or see to it that it can be reached";
  assert.equal(said(facts("2", "2")), `1 of 1 voter is down: start n2 ${again}`);
  assert.equal(said(facts("12", "2")), `1 of 2 voters is down: start n2 ${again}`);
  assert.equal(said(facts("123", "32")), `2 of 3 voters are down: start n2 or n3 ${again}`);
  assert.equal(said(facts("123", "")), "no quorum of 3 voters answers");
  assert.match(said(facts("", "")), /has not heard of its cluster's voters/);
});

Deno.test("A joint configuration lacks what either half lacks", () => {
  const configuration = { ...facts("1", "").configuration, votersOutgoing: [idOf("2")] };
  assert.match(said(facts("1", "2", { configuration })), /^1 of 2 voters is down: start n2/);
});

Deno.test("A fenced node says so whatever the voters do", () => {
  const standing = judgeChanges(
    facts("123", "2", { fenced: "its log is damaged", hasLeader: true }),
  );
  assert.deepEqual(standing, {
    kind: "impossible",
    reason: "this node takes no part: its log is damaged",
    missing: [],
    sinceMs: undefined,
  });
});
