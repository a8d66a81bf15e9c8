import assert from "node:assert/strict";
import { TickGrid, TICKS_CAUGHT_UP_MAX } from "./timing.ts";

/** Ticks a grid makes until `untilMs` on a clock whose timers can't fire while it stands still. */
function ticksUntil(
  untilMs: number,
  stall?: { readonly fromMs: number; readonly toMs: number },
): number {
  const grid = new TickGrid(50, 0);
  let nowMs = 50;
  for (let ticks = 0;; ticks++) {
    if (stall !== undefined && nowMs >= stall.fromMs && nowMs < stall.toMs) nowMs = stall.toMs;
    if (nowMs > untilMs) return ticks;
    nowMs += grid.next(nowMs);
  }
}

Deno.test("TickGrid keeps to its grid when single ticks are late", () => {
  const grid = new TickGrid(50, 0);
  assert.equal(grid.next(62), 38);
  assert.equal(grid.next(100), 50);
  assert.equal(ticksUntil(10_000), 200);
});

Deno.test("TickGrid makes up for a few ticks after a stall and forgets the rest", () => {
  const stalled = ticksUntil(10_000, { fromMs: 1_000, toMs: 6_000 });
  const undisturbed = 200 - 5_000 / 50;
  assert.ok(stalled <= undisturbed + TICKS_CAUGHT_UP_MAX, `${stalled}`);
  assert.ok(stalled >= undisturbed, `${stalled}`);
});
