import assert from "node:assert/strict";
import type { Fault } from "./faults.ts";
import { simulate } from "./simulation.ts";

const SEEDS = 60;
const SPAN_MS = 8_000;

/** A leader leaves, writing to the last, and nobody else is told that its leaving is committed; twice, then all heal. */
function hushes(seed: number): readonly Fault[] {
  const hush = { kind: "hush", spanMs: 2_500, node: 0, other: 0, side: 0 } as const;
  return [4_000, 6_500].map((atMs) => ({ ...hush, atMs, amount: seed + atMs }));
}

// Seed 6639 of an earlier simulator: the leader had the longest log, so it gave nobody its vote, and those who had not
// heard that it was gone could not do without.
Deno.test("A group goes on when only the leader that left knows that it has", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const options = { seed, nodeCount: 3, spanMs: SPAN_MS, faults: hushes(seed) };
    assert.equal((await simulate(options)).violation, undefined, `seed ${seed}`);
  }
});
