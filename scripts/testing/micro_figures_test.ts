import assert from "node:assert/strict";
import { compareFigures, figuresOf } from "./micro_figures.ts";

const bench = (name: string, min: number) => ({ name, results: [{ ok: { min } }] });

Deno.test("figuresOf() divides by the reference of the same run", () => {
  const benches = [bench("reference", 50), bench("a", 100), bench("b", 25)];
  assert.deepEqual(figuresOf({ benches }), { a: 2, b: 0.5 });
});

Deno.test("figuresOf() refuses a run without the reference, and one with a failed bench", () => {
  assert.throws(() => figuresOf({ benches: [bench("a", 1)] }), /no bench "reference"/);
  const failed = { name: "a", results: [{}] };
  assert.throws(() => figuresOf({ benches: [bench("reference", 1), failed] }), /"a" failed/);
});

Deno.test("compareFigures() finds what became slower by more than a fifth, is new, or is gone", () => {
  assert.deepEqual(compareFigures({ a: 1.2, b: 0.1 }, { a: 1, b: 1 }), []);
  assert.deepEqual(compareFigures({ a: 1.21, b: 1 }, { a: 1, c: 1 }), [
    "a: 1.21 times the stored figure, at most 1.2",
    "b: has no stored figure; run with --update",
    "c: has a stored figure, but is no bench",
  ]);
});
