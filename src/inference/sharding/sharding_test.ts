import assert from "node:assert/strict";
import { splitOf } from "./sharding.ts";

/** As llama.cpp does it: sums as parts of the whole, and the first that is larger than a layer's own part. */
function deviceOf(layer: number, split: Float32Array, layers: number): number {
  const sums = new Float32Array(split.length);
  let sum = 0;
  for (const [index, part] of split.entries()) sums[index] = sum = Math.fround(sum + part);
  const parts = sums.map((value) => Math.fround(value / sum));
  const part = Math.fround(layer / (layers + 1));
  return parts.findIndex((end) => end > part);
}

Deno.test("Each layer is given to its worker and the output layer to the leader, however they are divided", () => {
  for (const workerLayers of [[1], [15], [80], [1, 1], [7, 13, 9], [20, 21, 19, 20]]) {
    for (const ownLayers of [0, 1, 5, 33]) {
      for (const layers of [undefined, 0, 1, ownLayers]) {
        if (layers !== undefined && layers > ownLayers) continue;
        const ownDevice = layers === undefined ? undefined : { name: "CUDA0", layers, bytes: 1 };
        const split = splitOf({ workerLayers, ownLayers, ...ownDevice && { ownDevice } });
        assert.equal(split.length, 16);
        const own = layers === undefined ? [ownLayers + 1] : [ownLayers - layers, layers + 1];
        const wanted = [...workerLayers, ...own].flatMap((count, device) =>
          Array.from({ length: count }, () => device)
        );
        const given = wanted.map((_, layer) => deviceOf(layer, split, wanted.length - 1));
        assert.deepEqual(given, wanted, `${workerLayers} and ${ownLayers}, ${layers}`);
      }
    }
  }
});
