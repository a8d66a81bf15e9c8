import assert from "node:assert/strict";
import fc from "fast-check";
import { imageToken, isImageToken } from "../../protocol/mod.ts";
import { keptTokens, replayWindow, shiftRange, shiftTokens, truncatePrompt } from "./window.ts";

const count = (length: number, first = 0) => Array.from({ length }, (_, index) => first + index);

Deno.test("truncatePrompt() keeps the front and the newest tokens, and leaves half of the rest free", () => {
  const cut = truncatePrompt(count(20), { contextTokens: 10, keepTokens: 4 });
  assert.deepEqual(cut, [0, 1, 2, 3, 17, 18, 19]);
  // What is recorded of an Ollama with a window of 512.
  assert.equal(truncatePrompt(count(9_000), { contextTokens: 512, keepTokens: 4 }).length, 258);
});

Deno.test("truncatePrompt() leaves a prompt that fits as it is", () => {
  assert.deepEqual(truncatePrompt(count(10), { contextTokens: 10, keepTokens: 4 }), count(10));
});

Deno.test("keptTokens() of -1 keeps the whole prompt but leaves room to go on", () => {
  assert.equal(keptTokens(7, { contextTokens: 100, keepTokens: -1 }), 7);
  assert.equal(keptTokens(500, { contextTokens: 100, keepTokens: -1 }), 96);
});

Deno.test("replayWindow() drops the older half behind the kept tokens when one more does not fit", () => {
  const window = replayWindow(count(8), count(3, 100), { contextTokens: 10, keepTokens: 4 });
  assert.deepEqual(window, [0, 1, 2, 3, 7, 100, 101, 102]);
});

Deno.test("replayWindow() ends where an uninterrupted answer stands, wherever it was interrupted", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 8, max: 40 }),
      fc.integer({ min: -1, max: 50 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 0, max: 200 }),
      (contextTokens, keepTokens, promptCount, emittedCount) => {
        const limits = { contextTokens, keepTokens };
        const prompt = truncatePrompt(count(promptCount), limits);
        const emitted = count(emittedCount, 1000);
        // A slot does the same one token at a time.
        const slot = [...prompt];
        const kept = keptTokens(prompt.length, limits);
        for (const token of emitted) {
          const isFull = slot.length >= contextTokens;
          slot.push(token);
          if (isFull) slot.splice(kept, shiftTokens(kept, contextTokens));
        }
        const window = replayWindow(prompt, emitted, limits);
        assert.deepEqual(window, slot);
        assert.ok(window.length <= contextTokens);
      },
    ),
  );
});

Deno.test("shiftRange() tears no image: it drops the whole of one that lies across its ends", () => {
  const eye = (count: number) => Array<number>(count).fill(imageToken(0, 0));
  const window = [...count(2), ...eye(4), ...count(14, 2)];
  assert.deepEqual(shiftRange(window, 4, 10), { from: 2, to: 7 });
  assert.deepEqual(shiftRange(window, 0, 8), { from: 0, to: 6 });
  assert.deepEqual(shiftRange(count(20), 4, 10), { from: 4, to: 7 });
  const left = replayWindow([...count(2), ...eye(4), 2, 3], count(4, 100), {
    contextTokens: 10,
    keepTokens: 3,
  });
  assert.deepEqual(left.filter(isImageToken), []);
});
