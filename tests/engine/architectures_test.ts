import assert from "node:assert/strict";
import type { PrefixUse, SequenceRequest } from "../../src/protocol/mod.ts";
import {
  askTiny,
  GREEDY,
  loadTiny,
  readAnswer,
  startEngine,
  TINY_SETTINGS,
} from "../integration/engine_harness.ts";
import { randomAdapterOfTiny, randomModel } from "./random_model.ts";

Deno.test("a reranker gives each document a figure of its own, and has no vectors", async () => {
  await using file = await randomModel("reranker");
  await using model = await loadTiny({ modelPath: file.path, mode: "embed" });
  const options = { onLongInput: "refuse", signal: new AbortController().signal } as const;
  const documents = ["abc", "the fox walks home", "", "zebra"];
  const rank = (query: string, texts: readonly string[]) =>
    model.embed(texts, { ...options, query });
  const together = (await rank("where is the fox", documents)).vectors;
  assert.deepEqual(together.map((vector) => vector.length), [1, 1, 1, 1]);
  for (const [index, document] of documents.entries()) {
    const [alone] = (await rank("where is the fox", [document])).vectors;
    assert(Math.abs((alone?.[0] ?? NaN) - (together[index]?.[0] ?? NaN)) < 1e-4, document);
  }
  assert.equal(new Set(together.map((vector) => vector[0]?.toFixed(4))).size, 4);
  const [other] = (await rank("who sings", ["abc"])).vectors;
  assert.notEqual(other?.[0]?.toFixed(4), together[0]?.[0]?.toFixed(4), "the query is read, too");
  await assert.rejects(model.embed(["abc"], options), { code: "unsupported_capability" });
  await assert.rejects(rank("q ".repeat(200), ["abc"]), { code: "prompt_too_long" });
});

Deno.test("a model without a ranking head refuses to rank", async () => {
  await using file = await randomModel("bert");
  await using model = await loadTiny({ modelPath: file.path, mode: "embed" });
  const signal = new AbortController().signal;
  await assert.rejects(model.embed(["abc"], { onLongInput: "refuse", signal, query: "a" }), {
    code: "unsupported_capability",
  });
});

Deno.test("an encoder without a KV cache embeds, several texts per batch", async () => {
  await using file = await randomModel("bert");
  await using model = await loadTiny({ modelPath: file.path, mode: "embed" });
  const options = { onLongInput: "truncate", signal: new AbortController().signal } as const;
  const inputs = ["abc", "xyz", "abc", "a ".repeat(500)];
  const { vectors } = await model.embed(inputs, options);
  const [abc, xyz, again, long] = vectors;
  assert.ok(abc && xyz && again && long);
  assert.equal(model.facts.contextTokens, 128);
  for (const vector of vectors) assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-5);
  const [alone] = (await model.embed(["abc"], options)).vectors;
  assert.ok(alone && distance(abc, alone) < 1e-3, "a text's neighbours in the batch change it");
  assert.ok(distance(abc, again) < 1e-5);
  assert.ok(distance(abc, xyz) > 0.05);
});

for (const architecture of ["gemma3", "mamba"] as const) {
  Deno.test(`${architecture} reuses only what its memory still holds, and shifts its window`, async () => {
    await using file = await randomModel(architecture);
    // Small batches make a small memory for the window, so that its oldest cells are given away.
    const settings = { modelPath: file.path, contextTokens: 1024, batchTokens: 32 };
    await using model = await loadTiny(settings);
    await using fresh = await loadTiny(settings);
    const long = "the fox and the bear walk home ".repeat(25);
    const first = ask(`${long} one`);
    const second = ask(`${long.slice(0, 300)} two`);
    const other = ask("zebra");
    const prefixes: (PrefixUse | undefined)[] = [];
    for (const request of [first, second, other, first, second]) {
      const wanted = await readAnswer(fresh, ask("an other text altogether")).then(() =>
        readAnswer(fresh, request)
      );
      const answer = await readAnswer(model, request);
      assert.equal(answer.text, wanted.text);
      prefixes.push(answer.prefix);
    }
    const [, shorter] = prefixes;
    assert.equal(shorter?.end, "uncuttable", JSON.stringify(prefixes));
    assert.ok(shorter.matchedTokens > 60, `${shorter.matchedTokens} tokens were there`);
    const keeping = await startEngine({}, { cacheMemoryBytes: () => 64 * 1024 ** 2 })
      .load({ ...TINY_SETTINGS, ...settings }, { signal: new AbortController().signal });
    for (const request of [first, other]) await readAnswer(keeping, request);
    const { prefix: kept } = await readAnswer(keeping, second);
    await keeping.unload();
    assert.equal(kept?.end, "uncuttable", JSON.stringify(kept));
    const endless = await readAnswer(model, { ...first, predictTokensMax: 400, grammar: ENDLESS });
    assert.deepEqual([endless.tokens.length, endless.reason], [400, "length"]);
  });
}

Deno.test("an adapter changes what its model says", async () => {
  await using file = await randomAdapterOfTiny();
  await using bent = await loadTiny({ adapterPaths: [file.path] });
  await using plain = await loadTiny();
  const request = askTiny("Who are you?");
  assert.notEqual((await readAnswer(bent, request)).text, (await readAnswer(plain, request)).text);
});

const ENDLESS = "root ::= [a-z] root\n";

function ask(text: string): SequenceRequest {
  return askTiny("", {
    prompt: { kind: "text", text, addSpecial: true },
    predictTokensMax: 20,
    sampler: GREEDY,
  });
}

function distance(left: Float32Array, right: Float32Array): number {
  return Math.hypot(...left.map((value, index) => value - (right[index] ?? 0)));
}
