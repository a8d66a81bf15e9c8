import assert from "node:assert/strict";
import { IS_LONG } from "../harness/cluster.ts";
import { SleepWorld, type SleepWorldOptions } from "./sleeping/world.ts";

const HALF_HOUR_MS = 30 * 60_000;
/** Each of the faults below is found within 50. */
const SEEDS = IS_LONG ? 200 : 60;

/** Nodes that people send to sleep and wake at random, of which about half sleep. */
function restless(seed: number, changes: Partial<SleepWorldOptions> = {}): SleepWorld {
  return new SleepWorld({
    seed,
    nodes: 4 + seed % 5,
    segments: 1 + seed % 2,
    models: 6,
    sleepAfterMs: seed % 3 === 0 ? undefined : HALF_HOUR_MS,
    demandHours: 8,
    whims: 12,
    ...changes,
  });
}

Deno.test("machines that sleep at random lose no quorum, no request and no model that can be woken", () => {
  let mostShare = 0;
  let woken = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { violations, asleepMost, wokenFor } = restless(seed).run(2);
    assert.deepEqual(violations, [], `seed ${seed}`);
    mostShare = Math.max(mostShare, asleepMost / (4 + seed % 5));
    woken += wokenFor.length;
  }
  assert.ok(mostShare >= 0.5, `at most ${mostShare} of them slept`);
  assert.ok(woken > 100, `${woken} requests woke somebody`);
});

Deno.test("with two hours of demand a day ten machines are awake for a quarter of the time at most", () => {
  const world = restless(1, {
    nodes: 10,
    segments: 1,
    models: 10,
    sleepAfterMs: HALF_HOUR_MS,
    whims: 0,
    demandHours: 2,
  });
  const { violations, awakeShare } = world.run(30);
  assert.deepEqual(violations, []);
  assert.ok(awakeShare <= 0.25, `${awakeShare}`);
});

for (
  const fault of ["sleeps_busy", "keeps_vote", "no_guard", "no_order", "wakes_needlessly"] as const
) {
  Deno.test(`the simulation finds the fault "${fault}"`, () => {
    for (let seed = 1; seed <= 50; seed++) {
      if (restless(seed, { fault }).run(2).violations.length > 0) return;
    }
    assert.fail("not found in 50 seeds");
  });
}
