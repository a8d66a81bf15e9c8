import assert from "node:assert/strict";
import { simulateConversations } from "./conversations/conversation_world.ts";

const SEEDS = [1, 2, 3];
const WISH = { nodes: 4, conversations: 24, turns: 8 };

function computed(policy: Parameters<typeof simulateConversations>[0]["policy"]): number {
  return SEEDS.map((seed) => simulateConversations({ ...WISH, policy, seed }).recomputedTokens)
    .reduce((sum, tokens) => sum + tokens, 0);
}

Deno.test("Conversations over four nodes, one of which is drained and one killed, compute at most a twentieth more than where all is known", () => {
  const odist = computed("odist");
  const oracle = computed("oracle");
  assert.ok(odist <= oracle * 1.05, `${odist} tokens against ${oracle}`);
  for (const policy of ["random", "round robin", "least loaded"] as const) {
    assert.ok(odist < computed(policy) * 0.6, `${odist} tokens, ${policy}`);
  }
});

Deno.test("A simulation of conversations under one seed always runs the same", () => {
  const run = () => simulateConversations({ ...WISH, policy: "odist", seed: 7 });
  assert.deepEqual(run(), run());
});
