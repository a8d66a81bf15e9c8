import assert from "node:assert/strict";
import fc from "fast-check";
import { sharedTokens } from "./prefix_shelf.ts";
import { sharedBlockTokens, TOKEN_BLOCK, tokenBlocks } from "./token_blocks.ts";

const tokens = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 * TOKEN_BLOCK });

Deno.test("the names of two prefixes tell what they share, to a block", () => {
  fc.assert(fc.property(tokens, tokens, tokens, (trunk, left, right) => {
    const [a, b] = [[...trunk, ...left], [...trunk, ...right]];
    const shared = sharedTokens(a, b);
    const whole = shared - shared % TOKEN_BLOCK;
    assert.equal(sharedBlockTokens(a, tokenBlocks(b)), whole);
  }));
});

Deno.test("each token of a block changes its name, and those of all that follow", () => {
  const plain = Array.from({ length: 3 * TOKEN_BLOCK }, (_, at) => at);
  const names = tokenBlocks(plain);
  for (let at = 0; at < plain.length; at++) {
    const other = tokenBlocks(plain.with(at, plain.length));
    const before = Math.floor(at / TOKEN_BLOCK) * TOKEN_BLOCK;
    assert.equal(sharedBlockTokens(plain, other), before);
    assert.notDeepEqual(other.slice(-8), names.slice(-8));
  }
});
