import assert from "node:assert/strict";
import { equalBytes, hexOf, joinBytes } from "./mod.ts";

Deno.test("hexOf() writes two digits a byte", () => {
  assert.equal(hexOf(Uint8Array.of(0, 10, 255)), "000aff");
  assert.equal(hexOf(new Uint8Array(0)), "");
});

Deno.test("equalBytes() tells a beginning from the whole", () => {
  assert.ok(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2)));
  assert.ok(!equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)));
  assert.ok(!equalBytes(Uint8Array.of(1), Uint8Array.of(1, 2)));
  assert.ok(!equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1)));
});

Deno.test("joinBytes() keeps the order, and copies unless there is one part", () => {
  const part = Uint8Array.of(2, 3);
  const whole = joinBytes([Uint8Array.of(1), part, new Uint8Array(0)]);
  assert.equal(joinBytes([part]), part);
  part[0] = 9;
  assert.deepEqual(whole, Uint8Array.of(1, 2, 3));
  assert.equal(joinBytes([]).length, 0);
});
