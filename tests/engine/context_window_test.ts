import assert from "node:assert/strict";
import { askTiny, GREEDY, loadTiny, readAnswer } from "../integration/engine_harness.ts";

const LONG = `Remember: ${"The fox and the bear walk home. ".repeat(80)} Who are you?`;
// Never ends by itself.
const ENDLESS = { grammar: `root ::= [a-z ] root\n`, sampler: { ...GREEDY, temperature: 1 } };

Deno.test("a prompt longer than the window is refused or loses its middle, as asked", async () => {
  await using model = await loadTiny({ contextTokens: 256 });
  await assert.rejects(readAnswer(model, askTiny(LONG, { onLongPrompt: "refuse" })), {
    code: "prompt_too_long",
  });
  const cut = await readAnswer(model, askTiny(LONG, { keepTokens: 8, predictTokensMax: 8 }));
  const whole = await model.tokenize(
    `<|im_start|>user\n${LONG}<|im_end|>\n<|im_start|>assistant\n`,
    {
      addSpecial: true,
    },
  );
  // Half of what is behind the kept front stays free for the answer.
  assert.equal(cut.promptTokens.length, 8 + 124);
  assert.deepEqual(cut.promptTokens.slice(0, 8), whole.slice(0, 8));
  assert.deepEqual(cut.promptTokens.slice(8), whole.slice(-124));
});

Deno.test("a full window ends the answer with length when it must not shift", async () => {
  await using model = await loadTiny({ contextTokens: 64 });
  const request = askTiny("Hi", { ...ENDLESS, onFullContext: "stop", predictTokensMax: 1000 });
  const { tokens, promptTokens, reason } = await readAnswer(model, request);
  assert.equal(reason, "length");
  // The last token needs no place: nothing is computed from it.
  assert.equal(promptTokens.length + tokens.length, 65);
});

Deno.test("a full window shifts and the answer goes on to its limit, again and again", async () => {
  await using model = await loadTiny({ contextTokens: 64, slots: 2 });
  const request = askTiny("Hi", { ...ENDLESS, predictTokensMax: 300 });
  const [first, second] = await Promise.all([
    readAnswer(model, request),
    readAnswer(model, request),
  ]);
  assert.deepEqual([first.tokens.length, first.reason], [300, "length"]);
  assert.equal(second.tokens.length, 300);
  assert.notEqual((await readAnswer(model, askTiny("Hello!"))).text, "");
});

Deno.test("the context window is capped at what the model was trained with", async () => {
  await using model = await loadTiny({ contextTokens: 1_000_000 });
  assert.equal(model.facts.contextTokens, 1024);
});

Deno.test("a prompt of no tokens and an answer of no tokens are both possible", async () => {
  await using model = await loadTiny();
  const nothing = await readAnswer(
    model,
    askTiny("", { prompt: { kind: "tokens", tokens: [] }, predictTokensMax: 3 }),
  );
  assert.ok(nothing.tokens.length <= 3);
  const silent = await readAnswer(model, askTiny("Hello!", { predictTokensMax: 0 }));
  assert.deepEqual([silent.tokens.length, silent.reason], [0, "length"]);
});

Deno.test("tokens the model does not have are refused, and the runner lives on", async () => {
  await using model = await loadTiny();
  for (const token of [-1, 1e9, 0.5]) {
    const prompt = { kind: "tokens", tokens: [token] } as const;
    await assert.rejects(readAnswer(model, askTiny("", { prompt })), { code: "invalid_request" });
  }
  assert.notEqual((await readAnswer(model, askTiny("Hello!"))).text, "");
});

Deno.test("a prompt of megabytes holds up nobody for long, and keeps its front and end", async () => {
  await using model = await loadTiny({ contextTokens: 256 });
  const text = `First. ${"a ".repeat(2_000_000)} Last.`;
  const request = askTiny(text, { keepTokens: 8, predictTokensMax: 1 });
  const whole = await model.tokenize(text.slice(-2_000), { addSpecial: false });
  const startedMs = performance.now();
  const { promptTokens } = await readAnswer(model, request);
  // Tokenizing all of it takes several seconds.
  assert.ok(performance.now() - startedMs < 2_000);
  assert.equal(promptTokens.length, 8 + 124);
  const end = await model.tokenize("<|im_end|>\n<|im_start|>assistant\n", { addSpecial: false });
  const expected = [...whole, ...end].slice(-124);
  assert.deepEqual(promptTokens.slice(8), expected);
});
