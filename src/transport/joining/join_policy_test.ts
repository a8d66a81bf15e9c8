import assert from "node:assert/strict";
import {
  decideAfterRound,
  JOIN_PATIENCE,
  type JoinAttempt,
  STRANGERS_PATIENCE_MS,
} from "./join_policy.ts";

function attempt(kind: JoinAttempt["kind"], seed = "a:1"): JoinAttempt {
  return { seed, kind, text: kind };
}

function decide(kinds: readonly JoinAttempt["kind"][], number = 1, elapsedMs = 0) {
  const attempts = kinds.map((kind, index) => attempt(kind, `seed${index}:1`));
  return decideAfterRound({ attempts, number }, { ...JOIN_PATIENCE, elapsedMs });
}

Deno.test("A join that was refused for good is not tried again, whatever the other seeds do", () => {
  const text = "seed1:1: refused";
  assert.deepEqual(decide(["unreachable", "refused"]), {
    kind: "give_up",
    because: "refused",
    text,
  });
});

Deno.test("A join gives up soon where every seed is of another cluster, and only then", () => {
  const lateMs = STRANGERS_PATIENCE_MS;
  assert.equal(decide(["other_cluster", "other_cluster"]).kind, "pause");
  assert.equal(decide(["other_cluster", "other_cluster"], 5, lateMs).kind, "give_up");
  assert.equal(decide(["other_cluster", "unreachable"], 5, lateMs).kind, "pause");
});

Deno.test("A join pauses longer each time, up to a limit", () => {
  const pauses = [1, 2, 3, 4, 5, 6, 40].map((number) => {
    const decision = decide(["busy"], number);
    return decision.kind === "pause" ? decision.pauseMs : undefined;
  });
  assert.deepEqual(pauses, [250, 500, 1_000, 2_000, 4_000, 4_000, 4_000]);
});

Deno.test("A join whose patience ends says what each seed said", () => {
  assert.deepEqual(decide(["busy", "unreachable"], 9, 29_000), {
    kind: "give_up",
    because: "busy",
    text: "seed0:1: busy; seed1:1: unreachable",
  });
  const decision = decide(["unreachable"], 9, 29_000);
  assert.ok(decision.kind === "give_up" && decision.because === "unreachable");
});
