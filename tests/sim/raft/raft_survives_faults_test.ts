import assert from "node:assert/strict";
import { simulate } from "./simulation.ts";

const SEEDS = 60;

Deno.test("Raft keeps its promises and recovers under 60 random fault plans", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const nodeCount = 3 + 2 * (seed % 3);
    const { violation } = await simulate({ seed, nodeCount, spanMs: 60_000 });
    assert.equal(violation, undefined, `replay: deno task sim --seed ${seed} --trace`);
  }
});

Deno.test("A simulation of one seed always leaves the same trace", async () => {
  const options = { seed: 11, nodeCount: 5, spanMs: 60_000 };
  assert.equal((await simulate(options)).traceHash, (await simulate(options)).traceHash);
});
