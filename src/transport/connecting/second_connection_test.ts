import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import { type Arrival, judgeArrival } from "./second_connection.ts";

const SMALL = "00000000000000aa" as NodeId;
const LARGE = "00000000000000bb" as NodeId;
const FIRST: Omit<Arrival, "self" | "peer"> = { life: "1", current: undefined, ownDial: "none" };
const atSmall = (more: Partial<Arrival>) =>
  judgeArrival({ ...FIRST, self: SMALL, peer: LARGE, ...more });
const atLarge = (more: Partial<Arrival>) =>
  judgeArrival({ ...FIRST, self: LARGE, peer: SMALL, ...more });

Deno.test("judgeArrival() keeps a first connection", () => {
  assert.equal(atSmall({}), "keep");
  assert.equal(atLarge({}), "keep");
  assert.equal(atSmall({ ownDial: "unanswered" }), "keep");
});

Deno.test("judgeArrival() lets the smaller id decide when both dial", () => {
  assert.equal(atSmall({ ownDial: "answered" }), "duplicate");
  assert.equal(atLarge({ ownDial: "answered" }), "keep");
  const dialed = { direction: "dialed", life: "1" } as const;
  assert.equal(atSmall({ current: dialed }), "duplicate");
  assert.equal(atLarge({ current: dialed }), "keep");
});

Deno.test("judgeArrival() replaces what leads to an earlier life, and what the peer has lost", () => {
  for (const direction of ["dialed", "accepted"] as const) {
    assert.equal(atSmall({ current: { direction, life: "0" } }), "keep");
    assert.equal(atLarge({ current: { direction, life: "0" } }), "keep");
  }
  assert.equal(atSmall({ current: { direction: "accepted", life: "1" } }), "keep");
  assert.equal(atLarge({ current: { direction: "accepted", life: "1" } }), "keep");
});
