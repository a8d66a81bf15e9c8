import assert from "node:assert/strict";
import { simulateConversations } from "./conversations/conversation_world.ts";

const SEEDS = [1, 2, 3];
const WISH = { nodes: 4, conversations: 24, turns: 8 };

/** What QUIC carries of it. */
const GIGABIT_BYTES_PER_MS = 110_000;

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

Deno.test("Conversations whose cells move are begun sooner where the choice of a node counts that, and compute no more", () => {
  const run = (countsMoves: boolean) => {
    const runs = [1, 2, 3, 4, 5, 6].map((seed) =>
      simulateConversations({
        ...{
          ...WISH,
          policy: "odist" as const,
          seed,
          countsMoves,
          bytesPerMs: GIGABIT_BYTES_PER_MS,
        },
      })
    );
    const laterMs = runs.flatMap((one) => one.laterMs);
    return {
      meanMs: laterMs.reduce((sum, ms) => sum + ms, 0) / laterMs.length,
      computed: runs.reduce((sum, { recomputedTokens }) => sum + recomputedTokens, 0),
      moved: runs.reduce((sum, { movedTokens }) => sum + movedTokens, 0),
    };
  };
  const [counted, passedOver] = [run(true), run(false)];
  const told = JSON.stringify({ counted, passedOver });
  assert.ok(counted.meanMs < passedOver.meanMs * 0.95, told);
  assert.ok(counted.computed <= passedOver.computed, told);
  assert.ok(counted.moved > passedOver.moved, told);
});

Deno.test("A simulation of conversations under one seed always runs the same", () => {
  const run = () => simulateConversations({ ...WISH, policy: "odist", seed: 7 });
  assert.deepEqual(run(), run());
});
