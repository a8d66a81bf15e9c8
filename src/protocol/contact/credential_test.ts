import assert from "node:assert/strict";
import { decodeApiKey, decodeJoinToken, encodeApiKey, encodeJoinToken } from "../mod.ts";
import { Random, sha256 } from "../../base/mod.ts";
import { CREDENTIAL_CHARACTERS_MAX } from "./credential.ts";

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

const HEAD = "3059301306072a8648ce3d020106082a8648ce3d03010703420004";
const TOKEN = {
  tokenId: "0123456789",
  secret: new Uint8Array(16).fill(7),
  authorityKey: Uint8Array.fromHex(HEAD + "5a".repeat(64)),
};

Deno.test("A join token survives being pasted and fits into a line", () => {
  const text = encodeJoinToken(TOKEN);
  assert.match(text, /^odist-[A-Za-z0-9_-]+$/);
  assert.ok(text.length <= CREDENTIAL_CHARACTERS_MAX);
  assert.deepEqual(decodeJoinToken(` ${text}\n`), { kind: "decoded", value: TOKEN });
  const longest = encodeJoinToken({ ...TOKEN, tokenId: "a".repeat(24) });
  assert.ok(longest.length <= CREDENTIAL_CHARACTERS_MAX);
});

Deno.test("A join token with any character changed, missing or doubled is called a typo", () => {
  const text = encodeJoinToken(TOKEN);
  for (let at = 6; at < text.length; at++) {
    const other = text[at] === "A" ? "B" : "A";
    for (const changed of [other, "", `${text[at]}${text[at]}`, "*"]) {
      const decoded = decodeJoinToken(text.slice(0, at) + changed + text.slice(at + 1));
      assert.ok(decoded.kind === "malformed", `position ${at}, "${changed}"`);
      assert.match(decoded.reason, /typo|too long/);
    }
  }
});

Deno.test("A join token of a later version is told from a typo", () => {
  const content = Uint8Array.fromHex("02ab");
  const whole = Uint8Array.from([...content, ...sha256(content).subarray(0, 4)]);
  const text = `odist-${whole.toBase64({ alphabet: "base64url", omitPadding: true })}`;
  const reason = "it is of version 2, this odist reads version 1";
  assert.deepEqual(decodeJoinToken(text), { kind: "malformed", reason });
});

Deno.test("Whatever is given as a join token, decoding it never throws", () => {
  const random = new Random(1);
  for (let round = 0; round < 2_000; round++) {
    const length = random.below(200);
    const characters = Array.from({ length }, () => String.fromCharCode(random.below(300)));
    assert.equal(decodeJoinToken(`odist-${characters.join("")}`).kind, "malformed");
  }
});
