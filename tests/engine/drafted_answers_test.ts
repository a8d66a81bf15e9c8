import assert from "node:assert/strict";
import { schemaToGrammar } from "../../src/core/grammar/mod.ts";
import type { LoadedModel } from "../../src/ports/mod.ts";
import type { DraftUse, ExactProof, SequenceRequest } from "../../src/protocol/mod.ts";
import { POINT_KINDS } from "../harness/exact_points.ts";
import { realModel } from "../harness/real_models.ts";
import { askTiny, GREEDY, loadTiny } from "../integration/engine_harness.ts";

const CODE = `def add(a, b):
    return a + b

def subtract(a, b):
    return a - b

def multiply(a, b):
    return a * b
`;
const ANSWER_TOKENS = 70;

/** One whose answers say the same again and again. */
function repeatingGrammar(): string {
  const items = { enum: ["three blind mice", "see how they run"] };
  const words = { type: "array", items, minItems: 6 };
  const result = schemaToGrammar({ type: "object", properties: { words }, required: ["words"] });
  assert.ok(result.kind === "grammar");
  return result.gbnf;
}

const KINDS: Readonly<Record<string, Partial<SequenceRequest>>> = {
  ...POINT_KINDS,
  "under a JSON schema": {
    sampler: { ...GREEDY, temperature: 0.8, seed: 7 },
    grammar: repeatingGrammar(),
  },
};

const { path: modelPath, missing } = await realModel("smollm2");

/** All that is told of an answer but how long it took. */
async function told(model: LoadedModel, request: SequenceRequest) {
  const said: unknown[] = [];
  let drafts: DraftUse | undefined;
  for await (const event of model.generate(request, new AbortController().signal)) {
    if (event.kind === "tokens") said.push(...event.tokens);
    if (event.kind !== "finished") continue;
    said.push(event.reason);
    drafts = event.drafts;
  }
  return { said, drafts };
}

Deno.test({
  name: `smollm2 writes the same bits several tokens at once as one by one${missing}`,
  ignore: missing !== "",
  async fn() {
    // A window this short is soon proven.
    const how = { modelPath, contextTokens: 400, slots: 1, exact: "on" } as const;
    await using single = await loadTiny({ ...how, speculates: false, proofs: [] });
    const proof = single.proof as ExactProof;
    const { draftCosts = [] } = proof;
    assert.ok(
      draftCosts.length > 0 && draftCosts.every((cost, at) => cost > (draftCosts[at - 1] ?? 0)),
    );
    // As if they cost nothing: whether they pay is another matter.
    const free = draftCosts.map(() => 0.001);
    await using several = await loadTiny({
      ...how,
      speculates: true,
      proofs: [{ ...proof, draftCosts: free }],
    });
    assert.deepEqual([single.facts.speculates, several.facts.speculates], [false, true]);
    for (const [kind, changes] of Object.entries(KINDS)) {
      const request = askTiny(`Repeat this code exactly:\n${CODE}`, {
        ...{ predictTokensMax: ANSWER_TOKENS, topLogprobs: 3 },
        ...changes,
      });
      const wanted = await told(single, request);
      const { said, drafts } = await told(several, request);
      assert.deepEqual(said, wanted.said, kind);
      assert.ok((drafts?.accepted ?? 0) > 0, `${kind}: ${JSON.stringify(drafts)}`);
      assert.equal(wanted.drafts, undefined);
    }
  },
});
