import assert from "node:assert/strict";
import { GrowingBytes } from "./growing_bytes.ts";

Deno.test("GrowingBytes holds what was appended, in order", () => {
  const bytes = new GrowingBytes();
  const parts = Array.from({ length: 300 }, (_, index) => new Uint8Array(index).fill(index));
  for (const part of parts) bytes.append(part);
  assert.deepEqual(bytes.view(), Uint8Array.from(parts.flatMap((part) => [...part])));
});

Deno.test("GrowingBytes keeps no network buffer alive and at most doubles", () => {
  const bytes = new GrowingBytes();
  for (let index = 0; index < 1_000; index++) {
    bytes.append(new Uint8Array(64 * 1024).subarray(0, 100));
  }
  assert.equal(bytes.length, 100_000);
  assert.ok(bytes.view().buffer.byteLength <= 200_000);
});
