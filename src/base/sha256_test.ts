import assert from "node:assert/strict";
import { Random, sha256Hex } from "./mod.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);

// FIPS 180-4 and NIST's example values.
const VECTORS: readonly (readonly [name: string, bytes: Uint8Array, digest: string])[] = [
  ["nothing", bytesOf(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
  ["abc", bytesOf("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  [
    "two blocks",
    bytesOf("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
  ],
  [
    "a million a's",
    new Uint8Array(1_000_000).fill(97),
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
  ],
];

for (const [name, bytes, digest] of VECTORS) {
  Deno.test(`sha256Hex() of ${name} is the published value`, () => {
    assert.equal(sha256Hex(bytes), digest);
  });
}

Deno.test("sha256Hex() agrees with the runtime's own at every length around a block", async () => {
  const random = new Random(1);
  for (let length = 0; length < 200; length++) {
    const bytes = Uint8Array.from({ length }, () => random.below(256));
    const expected = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    assert.equal(sha256Hex(bytes), expected, `length ${length}`);
  }
});
