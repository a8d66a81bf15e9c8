import assert from "node:assert/strict";
import { mixSeed, Random } from "./mod.ts";

Deno.test("Random gives the same sequence for the same seed", () => {
  const [first, second] = [new Random(7), new Random(7)];
  for (let draw = 0; draw < 100; draw++) assert.equal(first.uint32(), second.uint32());
});

Deno.test("Random.below() spreads evenly over its range", () => {
  const random = new Random(1);
  const counts = new Array<number>(10).fill(0);
  for (let draw = 0; draw < 100_000; draw++) {
    const value = random.below(10);
    counts[value] = (counts[value] ?? 0) + 1;
  }
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 500, `count ${count}`);
});

Deno.test("mixSeed() differs between neighbouring positions", () => {
  const seen = new Set(Array.from({ length: 1000 }, (_, index) => mixSeed(42, index)));
  assert.equal(seen.size, 1000);
});

Deno.test("Random.shuffle() keeps every element", () => {
  const shuffled = new Random(3).shuffle([1, 2, 3, 4, 5]);
  assert.deepEqual(shuffled.toSorted(), [1, 2, 3, 4, 5]);
});
