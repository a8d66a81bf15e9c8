import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import { nextSleepStep, type SleepFacts, type SleepLook, whoStays } from "./mod.ts";
import { VOTE_MS_MAX } from "./sleep_plan.ts";

const IDLE: SleepFacts = {
  requests: 0,
  idleMs: 1_800_000,
  sleepAfterMs: 1_800_000,
  isUserHere: undefined,
  onlyHere: [],
  guards: 1,
  heirs: 2,
};

function step(facts: Partial<SleepFacts>, look: Partial<Omit<SleepLook, "facts">> = {}) {
  return nextSleepStep({
    facts: { ...IDLE, ...facts },
    row: undefined,
    rowMs: 0,
    isVoter: false,
    ...look,
  });
}

Deno.test("A node sleeps by itself once it is idle for long enough and nobody is at it", () => {
  assert.equal(step({}).kind, "announce");
  for (
    const facts of [
      { idleMs: 1_799_999 },
      { sleepAfterMs: undefined },
      { isUserHere: true },
      { requests: 1 },
      { onlyHere: ["m"] },
      { guards: 0 },
      { heirs: 0 },
    ]
  ) assert.equal(step(facts).kind, "none", JSON.stringify(facts));
});

Deno.test("A node that is told to sleep says why it won't", () => {
  const asked = (facts: Partial<SleepFacts>) =>
    step({ idleMs: 0, sleepAfterMs: undefined, isUserHere: true, ...facts }, { row: "wished" });
  assert.equal(asked({}).kind, "announce", "whoever says so need not wait, nor leave");
  assert.deepEqual(asked({ requests: 1 }), {
    kind: "refuse",
    reason: "it has 1 request to answer",
  });
  assert.deepEqual(asked({ onlyHere: ["a", "b", "c", "d", "e"] }), {
    kind: "refuse",
    reason: "no other member holds a, b, c and 2 more",
  });
  assert.equal(asked({ guards: 0 }).kind, "refuse");
  assert.equal(asked({ heirs: 0, guards: 0 }).kind, "refuse");
});

Deno.test("A node that goes waits for its vote to be another's, and not for ever", () => {
  assert.equal(step({}, { row: "going", isVoter: true }).kind, "none");
  assert.equal(step({}, { row: "going", isVoter: true, rowMs: VOTE_MS_MAX }).kind, "withdraw");
  assert.equal(step({}, { row: "going" }).kind, "suspend");
  assert.equal(step({ requests: 1 }, { row: "going" }).kind, "withdraw", "something came");
  assert.equal(step({}, { row: "asleep" }).kind, "return", "it runs, so it is awake");
  assert.equal(step({}, { row: "refused", rowMs: 59_999 }).kind, "none");
  assert.equal(step({}, { row: "refused", rowMs: 60_000 }).kind, "return", "nobody read it");
});

Deno.test("Of two that rely on each other the one whose row came later stays", () => {
  const hardware = { cards: [{ mac: "02:00:00:00:00:01", broadcast: "10.0.0.255" }] };
  const other = (state: "going" | "asleep" | "wished", revision: number) =>
    whoStays({ revision: 10, hardware }, [{
      nodeId: "00000000000000bb" as NodeId,
      hardware,
      isAwake: true,
      row: { state, revision },
    }]);
  assert.deepEqual(other("going", 11), { guards: 1, heirs: 1 });
  assert.deepEqual(other("going", 9), { guards: 0, heirs: 0 });
  assert.deepEqual(other("asleep", 11), { guards: 0, heirs: 0 });
  assert.deepEqual(other("wished", 9), { guards: 1, heirs: 1 });
});
