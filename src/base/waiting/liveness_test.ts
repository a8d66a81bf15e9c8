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
  watch.doubt({ limitMs: 100, leastMs: 100, forMs: 3_000 });
  watch.resume();
  await clock.advance(99);
  assert.equal(seen.silent, 0);
  await clock.advance(1);
  assert.equal(seen.silent, 1);
});

Deno.test("SilenceWatch bears twice the longest pause of late from a doubted peer, within the doubt's bounds", async () => {
  const doubt = { limitMs: 800, leastMs: 400, forMs: 3_000 };
  for (
    const [pauseMs, laterMs, borneMs] of [[50, 0, 400], [300, 0, 600], [600, 0, 800], [
      300,
      10_100,
      400,
    ]]
  ) {
    const { clock, seen, watch } = watched();
    await clock.advance(pauseMs ?? 0);
    watch.heard();
    // Peers are forgiven what was long ago.
    for (let spentMs = 0; spentMs < (laterMs ?? 0); spentMs += 100) {
      await clock.advance(100);
      watch.heard();
    }
    watch.doubt(doubt);
    await clock.advance((borneMs ?? 0) - 1);
    assert.equal(seen.silent, 0, `after a pause of ${pauseMs} ms`);
    await clock.advance(1);
    assert.equal(seen.silent, 1, `after a pause of ${pauseMs} ms`);
  }
});
