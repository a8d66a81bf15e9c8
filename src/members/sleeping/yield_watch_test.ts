import assert from "node:assert/strict";
import { HandClock } from "../../../tests/harness/hand_clock.ts";
import { YieldWatch } from "./yield_watch.ts";

Deno.test("YieldWatch counts what others use, not what this node does, and tells each change once", async () => {
  const clock = new HandClock();
  const used = { others: 0, own: 0 };
  let told: boolean[] = [];
  let [othersPerSecond, ownPerSecond] = [0, 0];
  const watch = new YieldWatch({
    power: {
      coreSeconds: async () => ({
        passed: 4 * clock.monotonicMs() / 1_000,
        used: used.others + used.own,
        own: used.own,
      }),
    },
    busyPercent: 50,
    clock,
    log: { log() {} },
    onChanged: (yields) => told.push(yields),
  });
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      used.others += othersPerSecond;
      used.own += ownPerSecond;
      await clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  [othersPerSecond, ownPerSecond] = [0.5, 3.5];
  await pass(60);
  assert.deepEqual(told, [], "all of it is its own");
  [othersPerSecond, ownPerSecond] = [3, 1];
  await pass(30);
  assert.deepEqual(told, [true]);
  told = [];
  othersPerSecond = 0;
  await pass(60);
  assert.deepEqual(told, [false]);
  watch.close();
});
