import assert from "node:assert/strict";
import { askTiny, GREEDY, loadTiny, readAnswer } from "../integration/engine_harness.ts";

const SAMPLED = { ...GREEDY, temperature: 1.2, topK: 0, topP: 1, seed: 99 };
const STORY = "Tell me a long story about a fox.";

Deno.test("a seeded answer repeats, and another seed gives another", async () => {
  await using model = await loadTiny();
  const first = await readAnswer(model, askTiny(STORY, { sampler: SAMPLED }));
  const again = await readAnswer(model, askTiny(STORY, { sampler: SAMPLED }));
  const other = await readAnswer(model, askTiny(STORY, { sampler: { ...SAMPLED, seed: 100 } }));
  assert.equal(first.text, again.text);
  assert.notEqual(first.text, other.text);
});

Deno.test("top_k of 1 is greedy at any temperature", async () => {
  await using model = await loadTiny();
  const greedy = await readAnswer(model, askTiny(STORY));
  const narrow = await readAnswer(model, askTiny(STORY, { sampler: { ...SAMPLED, topK: 1 } }));
  assert.equal(narrow.text, greedy.text);
});

Deno.test("every sampling option narrows or bends the draw", async () => {
  await using model = await loadTiny();
  const plain = await readAnswer(model, askTiny(STORY, { sampler: SAMPLED }));
  const changes = [
    { topP: 0.1 },
    { minP: 0.9 },
    { typicalP: 0.1 },
    { repeatPenalty: 3 },
    { presencePenalty: 2 },
    { frequencyPenalty: 2 },
    { temperature: 3 },
  ];
  for (const change of changes) {
    const sampler = { ...SAMPLED, ...change };
    const changed = await readAnswer(model, askTiny(STORY, { sampler }));
    assert.notEqual(changed.text, plain.text, JSON.stringify(change));
  }
});

Deno.test("the repeat penalty sees the prompt, and a look-back of 0 turns it off", async () => {
  await using model = await loadTiny();
  const message = "Who are you?";
  const plain = await readAnswer(model, askTiny(message));
  const penalised = { ...GREEDY, repeatPenalty: 1000, repeatLastTokens: -1 };
  const bent = await readAnswer(model, askTiny(message, { sampler: penalised }));
  const off = { ...penalised, repeatLastTokens: 0 };
  assert.notEqual(bent.text, plain.text);
  assert.equal((await readAnswer(model, askTiny(message, { sampler: off }))).text, plain.text);
});

Deno.test("log probabilities are those of the raw distribution, the greedy token first", async () => {
  await using model = await loadTiny();
  const { tokens } = await readAnswer(model, askTiny("Who are you?", { topLogprobs: 5 }));
  assert.ok(tokens.length > 5);
  for (const { token, logprob, topLogprobs = [] } of tokens) {
    assert.equal(topLogprobs.length, 5);
    assert.equal(topLogprobs[0]?.token, token);
    assert.equal(topLogprobs[0]?.logprob, logprob);
    const sum = topLogprobs.reduce((total, row) => total + Math.exp(row.logprob), 0);
    assert.ok(sum > 0 && sum <= 1.000001, `sum ${sum}`);
    const values = topLogprobs.map((row) => row.logprob);
    assert.deepEqual(values, values.toSorted((a, b) => b - a));
  }
});

const YES_OR_NO =
  `root ::= "{" ws "\\"answer\\":" ws ("\\"yes\\"" | "\\"no\\"") ws "}"\nws ::= " "?\n`;

Deno.test("a grammar binds every answer, greedy or sampled", async () => {
  await using model = await loadTiny();
  for (const sampler of [GREEDY, SAMPLED, { ...SAMPLED, topK: 40, seed: 5 }]) {
    const request = askTiny("Is water wet?", { sampler, grammar: YES_OR_NO });
    const { text, reason } = await readAnswer(model, request);
    assert.match(JSON.parse(text).answer, /^(yes|no)$/);
    assert.equal(reason, "end");
  }
});

Deno.test("a grammar takes no character that is spelled in too many bytes", async () => {
  await using model = await loadTiny();
  const [letter = 0] = await model.tokenize("A", { addSpecial: false });
  // The vocabulary's first tokens are the bytes in their order.
  const tokens = (...bytes: number[]) => bytes.map((byte) => letter - 0x41 + byte);
  const grammar = `root ::= [^A] "B"\n`;
  const askAfter = (...bytes: number[]) =>
    readAnswer(model, askTiny("Hello!", { grammar, emittedTokens: tokens(...bytes) }));
  // U+00A0 in two bytes, and in three.
  assert.equal((await askAfter(0xc2, 0xa0)).text, "B");
  await assert.rejects(askAfter(0xe0, 0x82, 0xa0), { code: "invalid_request" });
});

Deno.test("a grammar that can't be parsed is refused and the runner lives on", async () => {
  await using model = await loadTiny();
  await assert.rejects(readAnswer(model, askTiny("Hello!", { grammar: "root ::= (" })), {
    code: "invalid_format",
  });
  assert.notEqual((await readAnswer(model, askTiny("Hello!"))).text, "");
});
