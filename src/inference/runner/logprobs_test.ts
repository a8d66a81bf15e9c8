import assert from "node:assert/strict";
import { scoreChoice } from "./logprobs.ts";

Deno.test("scoreChoice() of equal logits is uniform", () => {
  const { logprob, top } = scoreChoice(new Float32Array(4).fill(700), 2, 2);
  assert.ok(Math.abs(logprob - Math.log(1 / 4)) < 1e-9);
  assert.deepEqual(top.map(({ token }) => token), [0, 1]);
});

Deno.test("scoreChoice() lists the likeliest first and sums to one over the vocabulary", () => {
  const { top } = scoreChoice(new Float32Array([0.5, 3, -1, 2, 2.5]), 0, 5);
  assert.deepEqual(top.map(({ token }) => token), [1, 4, 3, 0, 2]);
  const sum = top.reduce((total, { logprob }) => total + Math.exp(logprob), 0);
  assert.ok(Math.abs(sum - 1) < 1e-6);
});
