import assert from "node:assert/strict";
import { Random } from "../base/mod.ts";
import { ByteReader, ByteWriter } from "./mod.ts";

Deno.test("ByteReader reads back what ByteWriter wrote", () => {
  const random = new Random(1);
  for (let round = 0; round < 500; round++) {
    const number = random.uint32() * 2 ** random.below(22);
    const text = String.fromCodePoint(random.below(0xd800), 0x10000 + random.below(0xfffff));
    const bytes = Uint8Array.from({ length: random.below(300) }, () => random.below(256));
    const written = new ByteWriter(1).varint(number).uint32(round).text(text).bytes(bytes)
      .hex64("00ff00ff0123abcd").finish();
    const reader = new ByteReader(written);
    assert.equal(reader.varint(), number);
    assert.equal(reader.uint32(), round);
    assert.equal(reader.text(100), text);
    assert.deepEqual(reader.bytes(300), bytes);
    assert.equal(reader.hex64(), "00ff00ff0123abcd");
    assert.equal(reader.finish(0).kind, "decoded");
  }
});

Deno.test("ByteReader keeps the first fault and returns empty values after it", () => {
  const reader = new ByteReader(Uint8Array.of(5, 1));
  assert.deepEqual(reader.bytes(10), new Uint8Array(0));
  assert.equal(reader.fault, "truncated at byte 1");
  assert.equal(reader.uint8(), 0);
  assert.equal(reader.remaining, 0);
  assert.deepEqual(reader.finish(1), { kind: "malformed", reason: "truncated at byte 1" });
});

Deno.test("ByteReader refuses what has another, shorter form or is out of range", () => {
  const refusedBy = (bytes: number[], read: (reader: ByteReader) => unknown) => {
    const reader = new ByteReader(Uint8Array.from(bytes));
    read(reader);
    return reader.finish(0);
  };
  const cases = [
    refusedBy([0x80, 0], (reader) => reader.varint()),
    refusedBy(new Array<number>(9).fill(0xff), (reader) => reader.varint()),
    refusedBy([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], (reader) => reader.varint()),
    refusedBy([9], (reader) => reader.varint(8)),
    refusedBy([1, 0xff], (reader) => reader.text(10)),
    refusedBy([1, 2], (reader) => reader.uint8()),
  ];
  const reasons = cases.map((found) => found.kind === "malformed" ? found.reason : "none");
  assert.deepEqual(reasons, [
    "overlong integer at byte 2",
    "integer too long at byte 8",
    "integer out of range at byte 8",
    "integer out of range at byte 1",
    "invalid UTF-8 at byte 2",
    "trailing bytes at byte 1",
  ]);
});

Deno.test("ByteWriter.text() writes one form of a text, whatever its length and letters", () => {
  for (const length of [0, 1, 62, 63, 64, 65, 200]) {
    for (const letter of ["a", "\x7f", "\x80", "é", "😀"]) {
      const text = "x".repeat(length) + letter;
      const utf8 = new TextEncoder().encode(text);
      const bytes = new ByteWriter(4).uint8(9).text(text).finish();
      assert.deepEqual(
        bytes,
        new ByteWriter().uint8(9).bytes(utf8).finish(),
        `${length} ${letter}`,
      );
      const reader = new ByteReader(bytes);
      reader.uint8();
      assert.deepEqual(reader.finish(reader.text(1_000)), { kind: "decoded", value: text });
    }
  }
});

Deno.test("ByteWriter.reset() leaves what was finished before", () => {
  const writer = new ByteWriter().uint32(7);
  const first = writer.finish();
  assert.deepEqual(writer.reset().uint8(1).finish(), Uint8Array.of(1));
  assert.deepEqual(first, Uint8Array.of(7, 0, 0, 0));
});
