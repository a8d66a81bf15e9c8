import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import type { ExactProof } from "../../src/protocol/mod.ts";
import { IS_LONG } from "../harness/cluster.ts";
import { comparedPoints, POINT_KINDS } from "../harness/exact_points.ts";
import { realModel } from "../harness/real_models.ts";
import { loadTiny } from "../integration/engine_harness.ts";

/** Random points of each kind of answer at which another runner goes on; `deno task bench:exact` tries many. */
const POINTS = Number(Deno.env.get("ODIST_TEST_EXACT_POINTS") ?? 3);
const SLOTS = 3;
const ANSWER_TOKENS = IS_LONG ? 80 : 32;
const GOES_ON_TOKENS = 12;
/** What a proof takes grows with the window. */
const CONTEXT_TOKENS = IS_LONG ? 2048 : 768;
const NOT_WANTED = { path: "", missing: " (skipped: wants ODIST_TEST_LONG=true)" };

for (const name of ["smollm2", "gemma3"] as const) {
  // Each takes half a minute of a core: those of one model show every day that the proof is made, and holds.
  const isWanted = name === "smollm2" || IS_LONG;
  // A model of a quarter of a gigabyte is fetched for a test that runs, and for no other.
  const { path: modelPath, missing } = isWanted ? await realModel(name) : NOT_WANTED;
  Deno.test({
    name:
      `${name} writes the same bits alone, in a crowd, after other prompts and in another runner${missing}`,
    ignore: missing !== "",
    async fn() {
      const proofs: ExactProof[] = [];
      const how = { modelPath, contextTokens: CONTEXT_TOKENS, slots: SLOTS, exact: "on" } as const;
      await using first = await loadTiny({ ...how, proofs });
      assert.ok(first.proof !== undefined && first.facts.exactness?.isExact === true);
      await using second = await loadTiny({ ...how, proofs: [first.proof] });
      assert.equal(second.proof, undefined, "what was proven once is not proven again");
      assert.equal(second.facts.exactness?.proofMs, 0);
      assert.equal(second.facts.numericClass, first.facts.numericClass);
      let compared = 0;
      for (const [kind, changes] of Object.entries(POINT_KINDS)) {
        const random = new Random(POINTS + kind.length);
        const wish = {
          ...{ first, second, changes, random },
          ...{ slots: SLOTS, pointsPerAnswer: SLOTS },
          ...{ answerTokens: ANSWER_TOKENS, goesOnTokens: GOES_ON_TOKENS },
        };
        let left = POINTS;
        for await (const { at, beside, got, wanted } of comparedPoints(wish)) {
          assert.deepEqual(got, wanted, `${kind}, token ${at}, beside ${beside}`);
          compared++;
          if (--left === 0) break;
        }
      }
      const { policy, proofMs, prefillRatio, decodeRatio } = first.facts.exactness;
      console.log(
        `${name}: ${compared} of ${compared} the same; ${policy}, proven in ${proofMs} ms, ` +
          `prefill ${prefillRatio.toFixed(2)}, decode ${decodeRatio.toFixed(2)}`,
      );
    },
  });
}
