import assert from "node:assert/strict";
import fc from "fast-check";
import { tokenizeEnds } from "./long_text.ts";

/** A token per word or space, so that a cut through a word changes the tokens beside it. */
function countingTokenizer() {
  const seen = { characters: 0 };
  const tokenize = (text: string) => {
    seen.characters += text.length;
    return (text.match(/[a-z]+| /g) ?? []).map((word) => word.length + word.charCodeAt(0) * 1000);
  };
  return { seen, tokenize };
}

Deno.test("tokenizeEnds() gives all tokens, or the wanted ones of both ends and then more than fit", () => {
  const words = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { maxLength: 4000 });
  fc.assert(
    fc.property(words, fc.nat(200), fc.nat(200), (list, first, last) => {
      const { tokenize } = countingTokenizer();
      const text = list.join(" ");
      const whole = tokenize(text);
      const tokens = tokenizeEnds(text, { first, last }, tokenize);
      if (tokens.length === whole.length) return assert.deepEqual(tokens, whole);
      assert.ok(tokens.length > first + last);
      assert.deepEqual(tokens.slice(0, first), whole.slice(0, first));
      if (last > 0) assert.deepEqual(tokens.slice(-last), whole.slice(-last));
    }),
    { numRuns: 50 },
  );
});

Deno.test("tokenizeEnds() reads no more of a very long text than of a long one", () => {
  const { seen, tokenize } = countingTokenizer();
  tokenizeEnds("word ".repeat(4_000_000), { first: 4, last: 1024 }, tokenize);
  assert.ok(seen.characters < 50_000, String(seen.characters));
});

Deno.test("tokenizeEnds() goes on where tokens are long", () => {
  const { tokenize } = countingTokenizer();
  const text = `${"x".repeat(5_000)} `.repeat(300);
  assert.ok(tokenizeEnds(text, { first: 100, last: 0 }, tokenize).length > 100);
});
