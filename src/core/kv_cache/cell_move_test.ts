import assert from "node:assert/strict";
import { computeMsOf, paysToMove } from "./cell_move.ts";

/** 1,000 tokens of a small model: 23 MB over a gigabit, or 6 s of a slow core. */
const MOVE = { bytes: 23_000_000, bytesPerMs: 110_000, savedTokens: 1_000, msPerToken: 6.3 };

Deno.test("cells are moved where they come sooner than they are computed", () => {
  assert.equal(paysToMove(MOVE), true);
  assert.equal(paysToMove({ ...MOVE, bytesPerMs: 1_000 }), false);
  assert.equal(paysToMove({ ...MOVE, msPerToken: 0.1 }), false);
  assert.equal(paysToMove({ ...MOVE, savedTokens: 10 }), false);
});

Deno.test("cells that would take as long either way are computed", () => {
  const tie = { bytes: 1_000, bytesPerMs: 10, savedTokens: 50, msPerToken: 2 };
  assert.equal(paysToMove(tie), false);
  assert.equal(paysToMove({ ...tie, bytes: 999 }), true);
});

Deno.test("what nobody measured moves nothing", () => {
  for (const unknown of [undefined, NaN, 0, -1]) {
    assert.equal(paysToMove({ ...MOVE, bytesPerMs: unknown }), false, `bandwidth ${unknown}`);
    assert.equal(paysToMove({ ...MOVE, msPerToken: unknown }), false, `prefill ${unknown}`);
  }
  assert.equal(paysToMove({ ...MOVE, msPerToken: Infinity }), false);
  assert.equal(computeMsOf({ savedTokens: 3, msPerToken: undefined }), undefined);
  assert.equal(computeMsOf({ savedTokens: 3, msPerToken: 2 }), 6);
});
