import assert from "node:assert/strict";
import { decodeApiKey, decodeJoinToken, encodeApiKey, encodeJoinToken } from "../mod.ts";

const PARTS = {
  secret: new Uint8Array(16).fill(7),
  authorityKey: Uint8Array.fromHex(
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004" + "5a".repeat(64),
  ),
};

Deno.test("An API key survives being pasted, and is no join token", () => {
  const key = { keyId: "0123456789", ...PARTS };
  const text = encodeApiKey(key);
  assert.match(text, /^odist-key-[A-Za-z0-9_-]+$/);
  assert.deepEqual(decodeApiKey(` ${text}\n`), { kind: "decoded", value: key });
  assert.equal(decodeJoinToken(text).kind, "malformed");
});

Deno.test("A join token given as an API key is told what a key begins with", () => {
  const token = encodeJoinToken({ tokenId: "0123456789", ...PARTS });
  const reason = 'an API key begins with "odist-key-"';
  assert.deepEqual(decodeApiKey(token), { kind: "malformed", reason });
});
