import assert from "node:assert/strict";
import { DRAFT_TOKENS_MAX, DraftCosts } from "./draft_costs.ts";

/** SmolLM2-135M Q4_1 on one thread, about: rows share little there. */
const SLOW = [1.9, 3, 5, 8.5];
/** Weights that come from memory, once for all rows. */
const FAST = [1.05, 1.1, 1.3, 1.8];

Deno.test("a draft is as long as it pays, and there is none where it doesn't", () => {
  const fast = new DraftCosts(FAST);
  assert.equal(fast.draftTokens(1, DRAFT_TOKENS_MAX), 15);
  assert.equal(fast.draftTokens(0.8, DRAFT_TOKENS_MAX), 7);
  assert.equal(fast.draftTokens(0.3, DRAFT_TOKENS_MAX), 3);
  assert.equal(fast.draftTokens(0.1, DRAFT_TOKENS_MAX), 0);
  const slow = new DraftCosts(SLOW);
  assert.equal(slow.draftTokens(1, DRAFT_TOKENS_MAX), 15);
  assert.equal(slow.draftTokens(0.9, DRAFT_TOKENS_MAX), 0);
});

Deno.test("a draft has no more tokens than there is room for", () => {
  const costs = new DraftCosts(FAST);
  assert.deepEqual([0, 1, 2, 3, 6, 7, 14].map((room) => costs.draftTokens(1, room)), [
    0,
    1,
    1,
    3,
    3,
    7,
    7,
  ]);
});

Deno.test("nothing pays where nobody measured, or each row costs as much as one alone", () => {
  assert.equal(new DraftCosts([]).mayPay, false);
  assert.equal(new DraftCosts([2, 4, 8, 16]).mayPay, false);
  assert.equal(new DraftCosts(SLOW).mayPay, true);
  assert.equal(new DraftCosts([]).draftTokens(1, DRAFT_TOKENS_MAX), 0);
});

Deno.test("what batches take is believed more than what the proof measured", () => {
  const costs = new DraftCosts(FAST);
  costs.took(1, 10);
  for (let batch = 0; batch < 60; batch++) costs.took(16, 170);
  assert.equal(costs.draftTokens(1, DRAFT_TOKENS_MAX), 7, "16 rows take as long as 17 tokens");
  for (let batch = 0; batch < 60; batch++) costs.took(8, 90);
  for (let batch = 0; batch < 60; batch++) costs.took(4, 45);
  for (let batch = 0; batch < 60; batch++) costs.took(2, 22);
  assert.equal(costs.draftTokens(1, DRAFT_TOKENS_MAX), 0);
});

Deno.test("a batch that was held up once changes little, and is forgotten", () => {
  const costs = new DraftCosts(FAST);
  costs.took(1, 10);
  costs.took(16, 100_000);
  assert.equal(costs.draftTokens(1, DRAFT_TOKENS_MAX), 15);
  for (let batch = 0; batch < 100; batch++) costs.took(16, 170);
  assert.equal(costs.draftTokens(1, DRAFT_TOKENS_MAX), 7);
  for (let batch = 0; batch < 300; batch++) costs.took(1, 10);
  assert.equal(costs.draftTokens(1, DRAFT_TOKENS_MAX), 15, "it is tried again");
});

Deno.test("batches that are no draft's, or come before a plain one, say nothing", () => {
  const costs = new DraftCosts(FAST);
  costs.took(16, 1e6);
  costs.took(0, 1e6);
  costs.took(1, 10);
  costs.took(5, 1e6);
  assert.equal(costs.draftTokens(1, DRAFT_TOKENS_MAX), 15);
});
