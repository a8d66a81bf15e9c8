import assert from "node:assert/strict";
import { BATCH, CONTEXT_PARAMS, MODEL_PARAMS } from "./abi.ts";
import { Struct } from "./struct.ts";

Deno.test("Struct places members by natural alignment", () => {
  const struct = new Struct([["flag", "bool"], ["count", "i32"], ["at", "pointer"], [
    "last",
    "bool",
  ]]);
  const bytes = new Uint8Array(struct.size);
  struct.set(bytes, "flag", true);
  struct.set(bytes, "count", -2);
  struct.set(bytes, "at", 0x1122n);
  struct.set(bytes, "last", true);
  assert.equal(struct.size, 24);
  assert.equal(bytes[0], 1);
  assert.deepEqual([...bytes.subarray(4, 8)], [0xfe, 0xff, 0xff, 0xff]);
  assert.deepEqual([...bytes.subarray(8, 10)], [0x22, 0x11]);
  assert.equal(bytes[16], 1);
  assert.deepEqual(
    [struct.get(bytes, "count"), struct.get(bytes, "at"), struct.get(bytes, "last")],
    [-2, 0x1122, 1],
  );
});

Deno.test("the structs of llama.cpp 0.4.0 have the sizes its compilers give them", () => {
  assert.deepEqual([MODEL_PARAMS.size, CONTEXT_PARAMS.size, BATCH.size], [80, 160, 56]);
});

Deno.test("Struct names each member that differs from what llama.cpp puts there", () => {
  const bytes = new Uint8Array(MODEL_PARAMS.size);
  assert.deepEqual(MODEL_PARAMS.differences(bytes), [
    "gpuLayers: wanted -1, got 0",
    "splitMode: wanted 1, got 0",
    "loadMode: wanted -1, got 0",
    "lazyMode: wanted 1, got 0",
    "useExtraBuffers: wanted 1, got 0",
  ]);
  assert.match(MODEL_PARAMS.differences(new Uint8Array(72))[0] ?? "", /^size/);
});
