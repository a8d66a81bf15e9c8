import assert from "node:assert/strict";
import fc from "fast-check";
import { type KeyToken, KeyTokenizer } from "./key_tokens.ts";

/** Tokens in short: keys as they are, the others in brackets; neighbouring keys joined. */
function tokensOf(...pieces: readonly string[]): string {
  const tokenizer = new KeyTokenizer();
  return pieces.flatMap((piece) => tokenizer.push(piece)).map(shown).join("");
}

function shown(token: KeyToken): string {
  return token.kind === "keys" ? token.text : `[${token.kind}]`;
}

Deno.test("KeyTokenizer tells the keys that are not the line editor's", () => {
  assert.equal(
    tokensOf("ab\rc\x03d\x04\x07\x1a\n"),
    "ab[enter]c[interrupt]d[end][editor][suspend][soft_enter]",
  );
});

Deno.test("KeyTokenizer hands arrows and other sequences to the line editor whole", () => {
  assert.deepEqual(new KeyTokenizer().push("\x1b[A\x1bb"), [{ kind: "keys", text: "\x1b[A\x1bb" }]);
});

Deno.test("KeyTokenizer never lets pasted text send or control anything", () => {
  assert.equal(
    tokensOf("\x1b[200~one\r\ntwo\rthree\n\x03four\x1b[201~!\r"),
    "one[soft_enter]two[soft_enter]three[soft_enter]four![enter]",
  );
});

Deno.test("KeyTokenizer does not care how its input is cut", () => {
  const text = "a\x1b[200~b\r\nc\x1b[201~d\x1b[A\r";
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: text.length - 1 })), (cuts) => {
    const edges = [0, ...cuts.toSorted((a, b) => a - b), text.length];
    const pieces = edges.slice(1).map((end, index) => text.slice(edges[index], end));
    assert.equal(tokensOf(...pieces), tokensOf(text));
  }));
});
