import assert from "node:assert/strict";
import {
  decodeStreamHeader,
  decodeVerdict,
  encodeStreamHeader,
  encodeVerdict,
  type StreamKind,
  type Verdict,
} from "./channels.ts";

Deno.test("decodeStreamHeader() reads back every kind", () => {
  const kinds: StreamKind[] = ["hello", "raft", "membership", "stream"];
  for (const kind of kinds) {
    assert.deepEqual(decodeStreamHeader(encodeStreamHeader(kind)), { kind });
  }
});

Deno.test("decodeStreamHeader() names what it does not know", () => {
  assert.deepEqual(decodeStreamHeader(new Uint8Array([2, 0])), { fault: "unknown_version" });
  assert.deepEqual(decodeStreamHeader(new Uint8Array([1, 4])), { fault: "unknown_kind" });
  assert.deepEqual(decodeStreamHeader(new Uint8Array([1])), { fault: "unknown_kind" });
  assert.deepEqual(decodeStreamHeader(new Uint8Array(0)), { fault: "unknown_version" });
});

Deno.test("decodeVerdict() reads back both verdicts and nothing else", () => {
  const life = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
  const verdicts: Verdict[] = ["keep", "duplicate"];
  for (const verdict of verdicts) {
    assert.deepEqual(decodeVerdict(encodeVerdict(verdict, life)), { verdict, life });
  }
  assert.equal(decodeVerdict(new Uint8Array(0)), undefined);
  assert.equal(decodeVerdict(new Uint8Array(8)), undefined);
  assert.equal(decodeVerdict(new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0, 0])), undefined);
});
