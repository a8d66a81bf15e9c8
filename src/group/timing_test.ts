import assert from "node:assert/strict";
import { TickGrid, TICKS_CAUGHT_UP_MAX } from "./timing.ts";

/** Ticks made until `untilMs` by an owner that wakes up for every `every`-th, on a clock whose timers can't fire while it stands still. */
function ticksUntil(
  untilMs: number,
  options: {
    readonly every: number;
    readonly stall?: { readonly fromMs: number; readonly toMs: number };
  },
): number {
  const { every, stall } = options;
  const grid = new TickGrid(50, 0);
  let ticks = 0;
  for (
    let nowMs = grid.wakeAt(every);
    nowMs <= untilMs;
    nowMs = Math.max(nowMs, grid.wakeAt(every))
  ) {
    if (stall !== undefined && nowMs >= stall.fromMs && nowMs < stall.toMs) nowMs = stall.toMs;
    for (let left = grid.passed(nowMs); left > 0; left--, ticks++) grid.take();
  }
  return ticks;
}

Deno.test("TickGrid keeps to its grid when single ticks are late", () => {
  const grid = new TickGrid(50, 0);
  assert.equal(grid.wakeAt(1), 50);
  assert.equal(grid.passed(49), 0);
  assert.equal(grid.passed(62), 1);
  grid.take();
  assert.equal(grid.wakeAt(1), 100);
});

Deno.test("TickGrid counts as many ticks for an owner that wakes up seldom", () => {
  assert.equal(ticksUntil(10_000, { every: 1 }), 200);
  assert.equal(ticksUntil(10_000, { every: 20 }), 200);
});

Deno.test("TickGrid makes up for a few ticks after a stall and forgets the rest", () => {
  for (const every of [1, 9]) {
    const stalled = ticksUntil(10_000, { every, stall: { fromMs: 1_000, toMs: 6_000 } });
    const undisturbed = 200 - 5_000 / 50;
    assert.ok(stalled <= undisturbed + TICKS_CAUGHT_UP_MAX, `${every}: ${stalled}`);
    assert.ok(stalled >= undisturbed - every, `${every}: ${stalled}`);
  }
});
