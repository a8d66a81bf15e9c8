import assert from "node:assert/strict";
import { encode } from "cborg";
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

/** Whatever goes over streams, and lengths on both sides of where a head grows. */
const values = fc.letrec((tie) => ({
  value: fc.oneof(
    fc.constantFrom(null, undefined, true, false, -0, NaN, Infinity, -Infinity),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double(),
    fc.constantFrom(
      23,
      24,
      255,
      256,
      65_535,
      65_536,
      2 ** 32 - 1,
      2 ** 32,
      -24,
      -25,
      -(2 ** 32) - 1,
    ),
    fc.string({ unit: "binary", maxLength: 90 }),
    fc.constantFrom("x".repeat(255), "x".repeat(256), "é".repeat(40_000), "\ud800"),
    fc.uint8Array({ maxLength: 300 }),
    fc.constant(new Uint8Array(70_000).fill(7)),
    fc.array(tie("value"), { maxLength: 30 }),
    fc.dictionary(fc.string({ maxLength: 30 }), tie("value"), { maxKeys: 30 }),
  ),
})).value;

Deno.test("encodeValue() says the same as the library's own encoder, whatever the value", () => {
  fc.assert(fc.property(values, (value) => {
    assert.deepEqual(decodeValue(encodeValue(value)), decodeValue(encode(value)));
  }));
});

Deno.test("encodeValue() leaves no value's bytes in another's", () => {
  const long = encodeValue({ bytes: new Uint8Array(3 * 1024 * 1024).fill(1) });
  const kept = long.slice();
  const short = encodeValue("short");
  encodeValue("other");
  assert.deepEqual([long, short], [kept, encode("short")]);
});

Deno.test("encodeValue() hands on what is not plain", () => {
  assert.deepEqual(decodeValue(encodeValue({ big: 5n, map: new Map([["a", 1]]) })), {
    big: 5,
    map: { a: 1 },
  });
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
