import assert from "node:assert/strict";
import { FAULT_KINDS, type FaultKind } from "./faults.ts";
import { simulateAnswers } from "./world.ts";

const SEEDS = 400;
/** A short run of four requests on several nodes. */
const SHORT_SEED = 9;

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

for (const kind of FAULT_KINDS) {
  Deno.test(`Answers keep their promises when ${kind} strikes whoever serves, at each step of a run`, () => {
    const { steps } = simulateAnswers(SHORT_SEED, []);
    assert.ok(steps > 50, `${steps} steps`);
    for (let count = 0; count < steps; count++) {
      const at = { kind: "step", count } as const;
      const report = simulateAnswers(SHORT_SEED, [{ kind, at, node: undefined, lastsMs: 3_000 }]);
      assert.equal(report.violation, undefined, `at step ${count}`);
      assert.equal(report.struck[kind], 1, `at step ${count}`);
    }
  });
}

Deno.test("A simulation of answers under one seed always runs the same", () => {
  for (let seed = 1; seed <= 20; seed++) {
    assert.deepEqual(simulateAnswers(seed), simulateAnswers(seed), `seed ${seed}`);
  }
});
