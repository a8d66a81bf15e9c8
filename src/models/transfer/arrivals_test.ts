import assert from "node:assert/strict";
import type { Digest } from "../../base/mod.ts";
import { Arrivals } from "./arrivals.ts";

const layer = (digit: string, size: number) => ({
  mediaType: "application/vnd.ollama.image.model",
  digest: `sha256:${digit.repeat(64)}` as Digest,
  size,
});
const WEIGHTS = layer("1", 100);
const CONFIG = layer("2", 10);

Deno.test("Arrivals tell what is here of all layers of a model, until it is here or given up", () => {
  const arrivals = new Arrivals();
  {
    using arrival = arrivals.begin("m:latest", [WEIGHTS, CONFIG]);
    assert.deepEqual(arrivals.rows(), [{ model: "m:latest", total: 110, completed: 0 }]);
    arrival.note(CONFIG, 10);
    arrival.note(WEIGHTS, 40);
    arrival.note(WEIGHTS, 60);
    assert.deepEqual(arrivals.rows(), [{ model: "m:latest", total: 110, completed: 70 }]);
    // A layer is never more than there is of it.
    arrival.note(WEIGHTS, 170);
    assert.deepEqual(arrivals.rows(), [{ model: "m:latest", total: 110, completed: 110 }]);
  }
  assert.deepEqual(arrivals.rows(), []);
});

Deno.test("Arrivals tell a model once that several wait for, and of so many models at most", () => {
  const arrivals = new Arrivals();
  const [early] = ["m", "m"].map((model) => arrivals.begin(model, [WEIGHTS]));
  early?.note(WEIGHTS, 5);
  assert.deepEqual(arrivals.rows(), [{ model: "m", total: 100, completed: 5 }]);
  for (let at = 0; at < 200; at++) arrivals.begin(`m${at}`, [WEIGHTS]);
  assert.equal(arrivals.rows().length, 64);
  assert.equal(arrivals.rows()[0]?.model, "m199");
});
