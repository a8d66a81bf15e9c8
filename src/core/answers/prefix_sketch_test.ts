import assert from "node:assert/strict";
import fc from "fast-check";
import { traceOf } from "./peer_beliefs.ts";
import { PrefixBook, sketchedChars } from "./prefix_sketch.ts";

const text = (seed: string, chars: number) =>
  Array.from({ length: Math.ceil(chars / 8) }, (_, at) => `${seed}${at}`.padEnd(8)).join("")
    .slice(0, chars);
const marksOf = (book: PrefixBook, max = 1_000) => new Set(book.marks(max));

Deno.test("A sketch tells how much of a prompt was computed, to a block or an eighth", () => {
  fc.assert(
    fc.property(fc.nat(40_000), fc.nat(40_000), fc.nat(40_000), (shared, rest, other) => {
      const book = new PrefixBook();
      book.note(traceOf(text("s", shared) + text("a", rest)));
      const asked = text("s", shared) + "|" + text("b", other);
      const found = sketchedChars(traceOf(asked), marksOf(book));
      assert.ok(found <= shared, `${found} of ${shared}`);
      const least = shared < 4_096 ? shared - 256 : shared * (8 / 9) - 512;
      assert.ok(found >= Math.min(least, 130_000), `${found} of ${shared}`);
    }),
    { numRuns: 60 },
  );
});

Deno.test("A sketch of a hundred conversations with one scaffold tells the scaffold once, and the newest first", () => {
  const book = new PrefixBook();
  const scaffold = text("s", 4_096);
  for (let count = 0; count < 100; count++) {
    book.note(traceOf(scaffold + text(`c${count}.`, 8_000)));
  }
  const all = marksOf(book, 10_000);
  assert.ok(all.size < 16 + 100 * 12, `${all.size} marks`);
  const few = marksOf(book, 40);
  assert.equal(few.size, 40);
  const found = (count: number, marks: Set<number>) =>
    sketchedChars(traceOf(scaffold + text(`c${count}.`, 8_000)), marks);
  assert.ok(found(99, few) > 10_000);
  assert.equal(found(0, few), 4_096);
  assert.ok(found(0, all) > 10_000);
});

Deno.test("A runner that finds less than was told corrects the sketch, of all that share the beginning", () => {
  const book = new PrefixBook();
  const scaffold = text("s", 2_048);
  const one = traceOf(scaffold + text("one", 6_000));
  const two = traceOf(scaffold + text("two", 6_000));
  book.note(one);
  book.note(two);
  book.correct(one, 2_048);
  assert.equal(sketchedChars(one, marksOf(book)), 2_048);
  assert.ok(sketchedChars(two, marksOf(book)) > 7_000);
  // Characters are only about in step with tokens.
  book.correct(two, 7_000);
  assert.ok(sketchedChars(two, marksOf(book)) > 7_000);
  book.correct(two, 0);
  assert.equal(sketchedChars(one, marksOf(book)), 0);
  assert.equal(book.marks(1_000).length, 0);
});

Deno.test("A book remembers the newest 256 texts, and one that grows once", () => {
  const book = new PrefixBook();
  book.note(traceOf(text("old", 600)));
  for (let chars = 300; chars < 30_000; chars += 100) book.note(traceOf(text("grows", chars)));
  assert.equal(sketchedChars(traceOf(text("old", 600)), marksOf(book)), 512);
  for (let count = 0; count < 256; count++) book.note(traceOf(text(`${count}.`, 300)));
  assert.equal(sketchedChars(traceOf(text("old", 600)), marksOf(book)), 0);
});
