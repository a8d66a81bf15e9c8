import assert from "node:assert/strict";
import { StrictUtf8 } from "./strict_utf8.ts";

function fitsBytewise(bytes: readonly number[]): boolean {
  const text = new StrictUtf8();
  return bytes.every((byte) => {
    const piece = Uint8Array.of(byte);
    if (!text.fits(piece)) return false;
    text.take(piece);
    return true;
  });
}

Deno.test("StrictUtf8 agrees with the platform's decoder on every two bytes, and at the borders of longer ones", () => {
  const isText = (bytes: readonly number[]) => {
    try {
      // A streaming decoder takes beginnings.
      new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(bytes), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  for (let first = 0; first < 256; first++) {
    for (let second = 0; second < 256; second++) {
      assert.equal(fitsBytewise([first, second]), isText([first, second]), `${first} ${second}`);
    }
  }
  const edges = [0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xf4, 0xff];
  for (const first of [0xe0, 0xe1, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5]) {
    for (const second of edges) {
      for (const third of edges) {
        for (const fourth of edges) {
          const bytes = [first, second, third, fourth];
          assert.equal(fitsBytewise(bytes), isText(bytes), bytes.join(" "));
        }
      }
    }
  }
});

Deno.test("StrictUtf8 remembers a character that goes on in the next token", () => {
  const text = new StrictUtf8();
  text.take(Uint8Array.of(0x41, 0xe6, 0xbc));
  assert.ok(!text.fits(Uint8Array.of(0x41)));
  assert.ok(text.fits(Uint8Array.of(0xa2, 0x41)));
  assert.ok(text.fits(new Uint8Array()));
});
