import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeValue, encodeValue } from "./mod.ts";

Deno.test("decodeValue() reads back what encodeValue() wrote", () => {
  const value = {
    text: "é",
    list: [1, -1, 0.5, Infinity, -Infinity, true, null],
    bytes: Uint8Array.of(1, 2),
    none: undefined,
  };
  assert.deepEqual(decodeValue(encodeValue(value)), value);
});

Deno.test("decodeValue() fails with malformed_frame or gives a value, whatever the bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
    try {
      decodeValue(bytes);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "malformed_frame");
    }
  }));
});

Deno.test("decodeValue() refuses nesting that would exhaust the stack", () => {
  assert.throws(() => decodeValue(new Uint8Array(1_000_000).fill(0x81)), {
    code: "malformed_frame",
  });
});

Deno.test("decodeValue() gives a key named __proto__ no power over the value", () => {
  const bytes = Uint8Array.of(
    0xa1,
    0x69,
    ...new TextEncoder().encode("__proto__"),
    ...[0xa1, 0x61, 0x61, 1],
  );
  const value = decodeValue(bytes) as Record<string, unknown>;
  assert.equal(Object.hasOwn(value, "a"), false);
});
