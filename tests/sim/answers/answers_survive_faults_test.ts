import assert from "node:assert/strict";
import { FAULT_KINDS, type FaultKind } from "./faults.ts";
import { simulateAnswers } from "./world.ts";

const SEEDS = 400;

Deno.test("Answers keep their promises under 400 random fault plans on several nodes", () => {
  const struck = new Map<FaultKind, number>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const report = simulateAnswers(seed);
    assert.equal(report.violation, undefined, `replay: deno task sim:answers --seed ${seed}`);
    for (const kind of FAULT_KINDS) {
      struck.set(kind, (struck.get(kind) ?? 0) + report.struck[kind]);
    }
  }
  for (const kind of FAULT_KINDS) {
    assert.ok((struck.get(kind) ?? 0) > SEEDS / 20, `${kind} struck ${struck.get(kind)} times`);
  }
});
