import assert from "node:assert/strict";
import { simulate } from "./simulation.ts";

const SEEDS = 60;

Deno.test("Raft keeps its promises and recovers under 60 random fault plans", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const nodeCount = 3 + 2 * (seed % 3);
    const { violation } = simulate({ seed, nodeCount, spanMs: 60_000 });
    assert.equal(violation, undefined, `replay: deno task sim --seed ${seed} --trace`);
  }
});

Deno.test("A simulation of one seed always leaves the same trace", () => {
  const options = { seed: 11, nodeCount: 5, spanMs: 60_000 };
  assert.equal(simulate(options).traceHash, simulate(options).traceHash);
});
