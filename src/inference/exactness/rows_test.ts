import assert from "node:assert/strict";
import fc from "fast-check";
import { takeRows } from "./rows.ts";

const PAIRED = { pairsRows: true };

Deno.test("takeRows() takes what was asked for where rows may be alone", () => {
  const rows = takeRows({ computed: 7, pending: 9, count: 5 }, { pairsRows: false });
  assert.deepEqual(rows, { from: 7, to: 12 });
});

Deno.test("takeRows() takes the position before a last odd one along, and leaves an odd one of many for later", () => {
  assert.deepEqual(takeRows({ computed: 7, pending: 1, count: 1 }, PAIRED), { from: 6, to: 8 });
  assert.deepEqual(takeRows({ computed: 7, pending: 3, count: 3 }, PAIRED), { from: 6, to: 10 });
  assert.deepEqual(takeRows({ computed: 7, pending: 9, count: 5 }, PAIRED), { from: 7, to: 11 });
  assert.deepEqual(takeRows({ computed: 0, pending: 3, count: 3 }, PAIRED), { from: 0, to: 2 });
});

Deno.test("takeRows() gives each sequence rows in pairs to its end, but for a window of one token", () => {
  fc.assert(
    fc.property(fc.nat(40), fc.integer({ min: 1, max: 200 }), fc.integer({ min: 2, max: 60 }), (
      first,
      pending,
      room,
    ) => {
      const end = first + pending;
      let computed = first;
      for (let round = 0; computed < end; round++) {
        assert.ok(round <= pending, "each round gets on");
        const left = end - computed;
        const rows = takeRows({ computed, pending: left, count: Math.min(room, left) }, PAIRED);
        const isLone = computed === 0 && left === 1;
        assert.ok(rows.from <= computed && rows.to <= end && rows.to > computed);
        assert.equal((rows.to - rows.from) % 2, isLone ? 1 : 0);
        computed = rows.to;
      }
    }),
  );
});
