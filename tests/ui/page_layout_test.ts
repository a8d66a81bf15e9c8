import assert from "node:assert/strict";
import { answerPath, layOut } from "../../src/ui/cluster/layout.ts";

for (const count of [1, 2, 3, 7, 60]) {
  Deno.test(`${count} nodes stand apart and within the picture, wide and on a phone`, () => {
    for (const width of [320, 730, 1_400]) {
      const ids = Array.from({ length: count }, (_, index) => `n${index}`);
      const { places, radius, height } = layOut(ids, width);
      const points = [...places.values()];
      for (const { x, y } of points) {
        assert.ok(x >= radius && x <= width - radius, `${x} of ${width}`);
        assert.ok(y >= radius && y <= height - radius, `${y} of ${height}`);
      }
      for (const [index, one] of points.entries()) {
        for (const other of points.slice(index + 1)) {
          const apart = Math.hypot(one.x - other.x, one.y - other.y);
          assert.ok(apart >= 2 * radius, `${apart} between two of ${radius}, ${width} wide`);
        }
      }
    }
  });
}

Deno.test("an answer's line leads from the clients by the node that took it in to the one that computes it", () => {
  const layout = layOut(["a", "b", "c"], 800);
  const [a, b] = [...layout.places.values()];
  if (a === undefined || b === undefined) throw new Error("three places");
  const own = answerPath(layout, { entry: a, node: a, lane: 0 });
  assert.equal(own.match(/M/g)?.length, 1);
  const carried = answerPath(layout, { entry: a, node: b, lane: 0 });
  assert.equal(carried.match(/M/g)?.length, 2);
  assert.ok(carried.includes(`M ${a.x.toFixed(1)} ${a.y.toFixed(1)}`));
  assert.notEqual(carried, answerPath(layout, { entry: a, node: b, lane: 1 }));
});
