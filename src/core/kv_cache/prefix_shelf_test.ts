import assert from "node:assert/strict";
import fc from "fast-check";
import { type KeptPrefix, PrefixShelf } from "./prefix_shelf.ts";

const prefix = (text: string, more: Partial<KeptPrefix> = {}): KeptPrefix => ({
  id: text,
  tokens: tokens(text),
  bytes: text.length,
  computeMs: text.length,
  ...more,
});
const tokens = (text: string) => Int32Array.from(text, (letter) => letter.charCodeAt(0));
const ids = (prefixes: readonly KeptPrefix[]) => prefixes.map(({ id }) => id).sort();

Deno.test("PrefixShelf finds what saves a prompt most, but for its last token", () => {
  const shelf = new PrefixShelf({ bytesMax: 100, canCut: true });
  for (const text of ["abcd", "abx", "z"]) shelf.add(prefix(text));
  assert.deepEqual(shelf.find(tokens("abcz")), { prefix: prefix("abcd"), tokens: 3 });
  assert.equal(shelf.find(tokens("abcd"))?.tokens, 3);
  assert.equal(shelf.find(tokens("y")), undefined);
});

Deno.test("PrefixShelf finds whole prefixes alone where cells can't be cut", () => {
  const shelf = new PrefixShelf({ bytesMax: 100, canCut: false });
  for (const text of ["ab", "abcd"]) assert.deepEqual(shelf.add(prefix(text)), []);
  assert.equal(shelf.find(tokens("abcx"))?.tokens, 2);
  assert.equal(shelf.find(tokens("abcdx"))?.tokens, 4);
  assert.equal(shelf.find(tokens("abcd"))?.tokens, 2);
});

Deno.test("PrefixShelf keeps no beginning of what it keeps", () => {
  const shelf = new PrefixShelf({ bytesMax: 100, canCut: true });
  shelf.add(prefix("ab"));
  shelf.add(prefix("ax"));
  assert.deepEqual(ids(shelf.add(prefix("abc"))), ["ab"]);
  assert.deepEqual([ids(shelf.list()), shelf.bytes], [["abc", "ax"], 5]);
});

Deno.test("PrefixShelf drops what was used longest ago of equals, and what saves less time for its bytes first", () => {
  const shelf = new PrefixShelf({ bytesMax: 6, canCut: true });
  for (const text of ["aa", "bb", "cc"]) shelf.add(prefix(text));
  assert.deepEqual(ids(shelf.add(prefix("dd"))), ["aa"]);
  for (const used of ["bb", "dd"]) shelf.touch(used);
  assert.deepEqual(ids(shelf.add(prefix("ee"))), ["cc"]);
  assert.deepEqual(ids(shelf.add(prefix("ff", { computeMs: 1 }))), ["ff"]);
  assert.deepEqual(ids(shelf.list()), ["bb", "dd", "ee"]);
});

Deno.test("PrefixShelf forgets what was dear once and is never used", () => {
  const shelf = new PrefixShelf({ bytesMax: 4, canCut: true });
  shelf.add(prefix("dear", { computeMs: 40 }));
  let count = 0;
  while (ids(shelf.list()).includes("dear") && count < 100) shelf.add(prefix(`n${count++}`));
  assert.ok(count > 5 && count < 100, `${count}`);
});

Deno.test("PrefixShelf holds its bytes, and a prefix that is larger than all of them is not kept", () => {
  const text = fc.string({ minLength: 1, maxLength: 12 });
  fc.assert(fc.property(fc.array(text), fc.boolean(), (once, canCut) => {
    const texts = [...once, ...once.slice(0, 1)];
    const shelf = new PrefixShelf({ bytesMax: 20, canCut });
    const kept = new Set<string>();
    for (const one of texts) {
      kept.add(one);
      for (const { id } of shelf.add(prefix(one))) kept.delete(id);
      assert.ok(shelf.bytes <= 20);
      assert.deepEqual(ids(shelf.list()), [...kept].sort());
    }
    assert.equal(shelf.bytes, shelf.list().reduce((sum, { bytes }) => sum + bytes, 0));
    assert.deepEqual(ids(shelf.add(prefix("x".repeat(30)))), ["x".repeat(30)]);
    assert.deepEqual(ids(shelf.list()), [...kept].sort());
  }));
});
