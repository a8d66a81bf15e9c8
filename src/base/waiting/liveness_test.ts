import assert from "node:assert/strict";
import { HandClock } from "../../../tests/harness/hand_clock.ts";
import { SilenceWatch } from "./liveness.ts";

/** A watch of a second, and how many timers it made. */
function watched() {
  const clock = new HandClock();
  const seen = { timers: 0, silent: 0 };
  const watch = new SilenceWatch({
    monotonicMs: clock.monotonicMs,
    after: (delayMs, run) => (seen.timers++, clock.after(delayMs, run)),
  }, { limitMs: 1_000, onSilent: () => seen.silent++ });
  return { clock, seen, watch };
}

Deno.test("SilenceWatch makes no timer for each pause", async () => {
  const { clock, seen, watch } = watched();
  for (let turn = 0; turn < 500; turn++) {
    watch.pause();
    await clock.advance(1);
    watch.resume();
  }
  assert.equal(seen.timers, 1);
  await clock.advance(999);
  assert.equal(seen.silent, 0);
  await clock.advance(1);
  assert.equal(seen.silent, 1);
  assert.equal(clock.pendingCount, 0);
});

Deno.test("SilenceWatch blames nobody for the silence of a pause, and ends its timer with it", async () => {
  const { clock, seen, watch } = watched();
  watch.pause();
  await clock.advance(5_000);
  assert.deepEqual([seen.silent, clock.pendingCount], [0, 0]);
  watch.resume();
  await clock.advance(999);
  assert.equal(seen.silent, 0);
  await clock.advance(1);
  assert.equal(seen.silent, 1);
});

Deno.test("SilenceWatch bears less silence after a pause in which others doubted the peer", async () => {
  const { clock, seen, watch } = watched();
  watch.pause();
  watch.doubt({ limitMs: 100, forMs: 3_000 });
  watch.resume();
  await clock.advance(99);
  assert.equal(seen.silent, 0);
  await clock.advance(1);
  assert.equal(seen.silent, 1);
});
