import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { askTiny, chatPrompt, loadTiny, readAnswer } from "../integration/engine_harness.ts";

const decode = (bytes: Uint8Array) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);

Deno.test("tokenize and detokenize are inverse, control tokens and all scripts included", async () => {
  await using model = await loadTiny();
  const texts = ["", "Hello, world!", chatPrompt("Ünïcödé 漢字 🦊🏽"), "\0\r\n\t", " leading"];
  for (const text of texts) {
    const tokens = await model.tokenize(text, { addSpecial: false });
    assert.equal(decode(await model.detokenize(tokens)), text);
  }
});

Deno.test("control tokens have no bytes in an answer", async () => {
  await using model = await loadTiny();
  const { tokens, text } = await readAnswer(model, askTiny("Hello!"));
  assert.ok(tokens.length > 3);
  assert.ok(!text.includes("<|"));
});

Deno.test("an embedding runner gives vectors of length 1, alike for like texts", async () => {
  await using model = await loadTiny({ mode: "embed" });
  const options = { onLongInput: "refuse", signal: new AbortController().signal } as const;
  const inputs = ["The fox is red.", "The fox is red.", "2 + 2 = 4", ""];
  const { vectors, promptTokens } = await model.embed(inputs, options);
  assert.equal(vectors.length, 4);
  assert.ok(promptTokens > 10);
  for (const vector of vectors) {
    assert.equal(vector.length, model.facts.embeddingLength);
    const length = Math.hypot(...vector);
    assert.ok(Math.abs(length - 1) < 1e-5, `length ${length}`);
  }
  const [first, same, other] = vectors;
  assert.ok(first && same && other);
  assert.ok(dot(first, same) > 0.999);
  assert.ok(dot(first, other) < dot(first, same));
  assert.ok(!isDeepStrictEqual(first, other));
});

Deno.test("a long embedding input is refused or cut, as asked, and many inputs share batches", async () => {
  await using model = await loadTiny({ mode: "embed", batchTokens: 64 });
  const signal = new AbortController().signal;
  const long = "The fox and the bear walk home. ".repeat(40);
  await assert.rejects(model.embed(["x", long], { onLongInput: "refuse", signal }), {
    code: "prompt_too_long",
  });
  const many = Array.from({ length: 70 }, (_, index) => `Text number ${index}`);
  const { vectors } = await model.embed([long, ...many], { onLongInput: "truncate", signal });
  assert.equal(vectors.length, 71);
  const [single] =
    (await model.embed(["Text number 33"], { onLongInput: "refuse", signal })).vectors;
  const shared = vectors[34];
  assert.ok(single && shared && dot(single, shared) > 0.999);
});

Deno.test("a runner refuses the work it was not loaded for", async () => {
  const signal = new AbortController().signal;
  await using embedder = await loadTiny({ mode: "embed" });
  await assert.rejects(readAnswer(embedder, askTiny("Hello!")), { code: "unsupported_capability" });
  await using generator = await loadTiny();
  await assert.rejects(generator.embed(["x"], { onLongInput: "refuse", signal }), {
    code: "unsupported_capability",
  });
});

Deno.test("every cache type, attention choice and loading mode answers", async () => {
  const variants = [
    { kvCacheType: "q8_0", flashAttention: "on" },
    { kvCacheType: "q4_0", flashAttention: "auto" },
    { kvCacheType: "f16", flashAttention: "off", mmap: false },
  ] as const;
  for (const variant of variants) {
    await using model = await loadTiny(variant);
    assert.notEqual((await readAnswer(model, askTiny("Hello!"))).text, "", JSON.stringify(variant));
  }
});

function dot(left: Float32Array, right: Float32Array): number {
  return left.reduce((sum, value, index) => sum + value * (right[index] ?? 0), 0);
}

Deno.test("a cancelled embedding ends after its batch, and its slot goes to the next", async () => {
  await using model = await loadTiny({ mode: "embed" });
  const abort = new AbortController();
  const endless = Array.from(
    { length: 3_000 },
    (_, index) => `Text ${index} ${"word ".repeat(50)}`,
  );
  const left = model.embed(endless, { onLongInput: "refuse", signal: abort.signal });
  const next = model.embed(["x"], { onLongInput: "refuse", signal: new AbortController().signal });
  abort.abort();
  const startedMs = performance.now();
  await assert.rejects(left, { name: "AbortError" });
  assert.equal((await next).vectors.length, 1);
  // All of them take half a minute.
  assert.ok(performance.now() - startedMs < 10_000);
});
