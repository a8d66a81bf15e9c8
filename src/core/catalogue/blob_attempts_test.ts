import assert from "node:assert/strict";
import type { NodeId } from "../../base/mod.ts";
import { BlobAttempts } from "./mod.ts";

const [A, B, C] = ["a", "b", "c"].map((letter) => letter.repeat(16) as NodeId);
assert.ok(A !== undefined && B !== undefined && C !== undefined);
const LOST = { kind: "lost" } as const;
const corrupt = (senders: readonly NodeId[], isWhole = true) =>
  ({ kind: "corrupt", senders, isWhole }) as const;

Deno.test("BlobAttempts reads from all holders together, once", () => {
  const attempts = new BlobAttempts([A, B, C]);
  assert.deepEqual(attempts.holders(), [A, B, C]);
  assert.equal(attempts.fail(LOST), undefined);
  assert.equal(attempts.holders(), undefined);
  assert.equal(new BlobAttempts([]).holders(), undefined);
});

Deno.test("BlobAttempts finds out one by one who of several has wrong bytes", () => {
  const attempts = new BlobAttempts([A, B, C]);
  assert.equal(attempts.fail(corrupt([A, B])), undefined);
  assert.deepEqual(attempts.holders(), [A]);
  assert.equal(attempts.fail(corrupt([A])), A);
  assert.deepEqual(attempts.holders(), [B]);
  assert.equal(attempts.fail(LOST), undefined);
  assert.deepEqual(attempts.holders(), [C]);
  assert.equal(attempts.fail(corrupt([C])), C);
  assert.equal(attempts.holders(), undefined);
});

Deno.test("BlobAttempts accuses the only sender, and goes on with the others", () => {
  const attempts = new BlobAttempts([A, B]);
  assert.equal(attempts.fail(corrupt([A])), A);
  assert.deepEqual(attempts.holders(), [B]);
});

Deno.test("BlobAttempts accuses nobody of bytes that were there before", () => {
  const attempts = new BlobAttempts([A]);
  assert.equal(attempts.fail(corrupt([A], false)), undefined);
  assert.deepEqual(attempts.holders(), [A]);
  assert.equal(attempts.fail(corrupt([A])), A);
  assert.equal(attempts.holders(), undefined);
});

Deno.test("BlobAttempts asks a holder anew that went on from another's wrong bytes, and the faulty last", () => {
  const attempts = new BlobAttempts([A, B, C]);
  const mixed = { kind: "corrupt", senders: [A, B], isWhole: true, faulted: [A] } as const;
  assert.equal(attempts.fail(mixed), undefined);
  assert.deepEqual(attempts.holders(), [B]);
  attempts.fail({ kind: "lost" });
  assert.deepEqual(attempts.holders(), [C]);
  const leftover = { kind: "corrupt", senders: [C], isWhole: false } as const;
  assert.equal(attempts.fail(leftover), undefined);
  assert.deepEqual(attempts.holders(), [C], "what was wrong may have been the bytes from before");
  assert.equal(attempts.fail(leftover), undefined);
  assert.deepEqual(attempts.holders(), [A]);
});
