import assert from "node:assert/strict";
import { Random } from "../../base/mod.ts";
import {
  answer,
  bytes,
  challenge,
  DISCOVERY_PACKETS,
  HELLO_FRAMES,
  JOIN_FRAMES,
  joinAnswer,
  offer,
  opening,
  speaks,
} from "../../../tests/harness/contact_frames.ts";
import {
  type Decoded,
  decodeDiscovery,
  decodeHello,
  decodeJoin,
  encodeDiscovery,
  encodeHello,
  encodeJoin,
  helloTranscript,
  joinTranscript,
} from "../mod.ts";

interface Codec<T> {
  readonly name: string;
  readonly frames: readonly T[];
  readonly encode: (frame: T) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => Decoded<T>;
}

function testCodec<T>({ name, frames, encode, decode }: Codec<T>): void {
  Deno.test(`Every frame of a ${name} is read as it was written, and in no shorter or longer form`, () => {
    for (const frame of frames) {
      const encoded = encode(frame);
      assert.deepEqual(decode(encoded), { kind: "decoded", value: frame });
      assert.equal(decode(Uint8Array.from([...encoded, 0])).kind, "malformed");
      for (let end = 0; end < encoded.length; end++) {
        assert.equal(decode(encoded.subarray(0, end)).kind, "malformed", `${end} bytes`);
      }
    }
  });

  Deno.test(`What a ${name} decodes has one encoding, whatever the bytes were`, () => {
    const random = new Random(7);
    for (let round = 0; round < 3_000; round++) {
      const source = encode(random.pick(frames) ?? assert.fail()).slice();
      for (let change = random.below(4); change >= 0; change--) {
        source[random.below(source.length)] = random.below(256);
      }
      const decoded = decode(source);
      if (decoded.kind === "malformed") continue;
      assert.deepEqual(decode(encode(decoded.value)), decoded);
    }
  });
}

testCodec({ name: "hello", frames: HELLO_FRAMES, encode: encodeHello, decode: decodeHello });
testCodec({ name: "join", frames: JOIN_FRAMES, encode: encodeJoin, decode: decodeJoin });
testCodec({
  name: "discovery",
  frames: DISCOVERY_PACKETS,
  encode: encodeDiscovery,
  decode: decodeDiscovery,
});

Deno.test("A frame longer than its kind may be is refused unread", () => {
  const long = bytes(5_000, 0);
  for (const decode of [decodeHello, decodeJoin, decodeDiscovery]) {
    assert.equal(decode(long).kind, "malformed");
  }
});

Deno.test("A refusal's text is cut between characters and can't move a cursor", () => {
  const text = `\u001b[2J${"ä".repeat(600)}`;
  const decoded = decodeHello(encodeHello({ kind: "refusal", reason: "revoked", text }));
  assert.ok(decoded.kind === "decoded" && decoded.value.kind === "refusal");
  assert.equal(decoded.value.text, `\ufffd[2J${"ä".repeat(254)}`);
});

Deno.test("A transcript differs in whatever was said and by whose signature it is", () => {
  const hellos = [
    helloTranscript("dialer", { offer, answer }),
    helloTranscript("listener", { offer, answer }),
    helloTranscript("dialer", { offer: { ...offer, versionMax: 2 }, answer }),
    helloTranscript("dialer", { offer, answer, speaks }),
    helloTranscript("dialer", { offer, answer: { ...answer, version: 2, speaks } }),
    helloTranscript("dialer", { offer: { ...offer, nonce: bytes(32, 8) }, answer }),
    helloTranscript("dialer", { offer, answer: { ...answer, nonce: bytes(32, 8) } }),
    helloTranscript("dialer", { offer, answer: { ...answer, certificate: bytes(400, 8) } }),
    helloTranscript("dialer", { offer: { ...offer, certificate: bytes(400, 8) }, answer }),
  ];
  const said = { opening, challenge };
  const joins = [
    joinTranscript("challenge", said),
    joinTranscript("proof", said),
    joinTranscript("answer", { ...said, answer: joinAnswer }),
    joinTranscript("answer", { ...said, answer: { ...joinAnswer, revoked: [] } }),
    joinTranscript("proof", { ...said, opening: { ...opening, name: "m" } }),
    joinTranscript("proof", { ...said, challenge: { ...challenge, nonce: bytes(32, 8) } }),
  ];
  const all = [...hellos, ...joins].map((transcript) => transcript.toHex());
  assert.equal(new Set(all).size, all.length);
});
