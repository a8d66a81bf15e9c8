import assert from "node:assert/strict";
import { Random } from "../../src/base/mod.ts";
import type { ExactProof, SequenceRequest } from "../../src/protocol/mod.ts";
import { askTiny, GREEDY, loadTiny, readAnswer } from "../integration/engine_harness.ts";

const SAMPLED = { ...GREEDY, temperature: 1, topK: 40, topP: 0.95, seed: 4711 };
const LETTERS = `root ::= [a-zA-Z ,.]+\n`;

/** Of the first load, for all others. */
const proofs: ExactProof[] = [];

/** Wherever an answer is cut, its next logits are the same bits. */
async function loadExact() {
  const model = await loadTiny({ exact: "on", proofs });
  if (model.proof !== undefined) proofs.push(model.proof);
  return model;
}

const CASES: Readonly<Record<string, SequenceRequest>> = {
  "a sampled answer": askTiny("Tell me a story about a fox.", { sampler: SAMPLED }),
  "a sampled answer with penalties": askTiny("Tell me a story about a bear.", {
    sampler: { ...SAMPLED, repeatPenalty: 1.3, presencePenalty: 0.5, frequencyPenalty: 0.3 },
  }),
  "a sampled answer under a grammar": askTiny("Tell me a story about a cat.", {
    sampler: SAMPLED,
    grammar: LETTERS,
    predictTokensMax: 60,
  }),
  "a greedy answer": askTiny("Tell me a story about a dog."),
};

for (const [name, request] of Object.entries(CASES)) {
  Deno.test(`${name} stopped at a random token goes on the same in a fresh runner`, async () => {
    await using first = await loadExact();
    const whole = await readAnswer(first, request);
    const random = new Random(whole.tokens.length);
    for (let round = 0; round < 3; round++) {
      const stopAfter = random.between(1, whole.tokens.length);
      await using second = await loadExact();
      const emittedTokens = whole.tokens.slice(0, stopAfter).map(({ token }) => token);
      const rest = await readAnswer(second, {
        ...request,
        prompt: { kind: "tokens", tokens: whole.promptTokens },
        emittedTokens,
      });
      const wanted = whole.tokens.slice(stopAfter).map(({ token }) => token);
      assert.deepEqual(rest.tokens.map(({ token }) => token), wanted, `stopped at ${stopAfter}`);
      assert.equal(rest.reason, whole.reason);
    }
  });
}

Deno.test("an answer that had used up its tokens ends at once", async () => {
  await using model = await loadTiny();
  const request = askTiny("Hello!", { predictTokensMax: 5 });
  const { tokens, reason } = await readAnswer(model, request);
  assert.deepEqual([tokens.length, reason], [5, "length"]);
  const emittedTokens = tokens.map(({ token }) => token);
  const again = await readAnswer(model, { ...request, emittedTokens });
  assert.deepEqual([again.tokens.length, again.reason], [0, "length"]);
});

Deno.test("tokens that the grammar never allowed are refused, and the runner lives on", async () => {
  await using model = await loadTiny();
  const digits = await model.tokenize("123", { addSpecial: false });
  const request = askTiny("Hello!", { grammar: LETTERS, emittedTokens: digits });
  await assert.rejects(readAnswer(model, request), { code: "invalid_request" });
  assert.notEqual((await readAnswer(model, askTiny("Hello!"))).text, "");
});
