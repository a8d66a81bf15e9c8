import assert from "node:assert/strict";
import { PeerError, Random } from "../../base/mod.ts";
import { encodeStreamHeader, STREAM_END_LENGTH } from "../../protocol/mod.ts";
import {
  type ByteSource,
  FrameReader,
  STREAM_ENDED,
  withLength,
  writeLength,
} from "./frame_reader.ts";

/** Gives `bytes` in pieces of `pieceBytes`, then stops. */
function sourceOf(bytes: Uint8Array, pieceBytes: number): ByteSource {
  let at = 0;
  return {
    read: () => {
      if (at >= bytes.length) return Promise.resolve({ done: true });
      const value = new Uint8Array(bytes.subarray(at, at += pieceBytes));
      return Promise.resolve({ done: false, value });
    },
  };
}

function concat(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function readerOf(bytes: Uint8Array, pieceBytes = 7): FrameReader {
  return new FrameReader(sourceOf(bytes, pieceBytes), { frameBytesMax: 100_000, nowMs: () => 0 });
}

const END = new Uint8Array(4);
writeLength(END, { at: 0, length: STREAM_END_LENGTH });

Deno.test("FrameReader finds the same frames however the bytes are cut", async () => {
  const frames = [0, 1, 3, 5, 70_000, 0, 12].map((size) => new Uint8Array(size).fill(size));
  const bytes = concat(encodeStreamHeader("stream"), ...frames.map(withLength), END);
  for (const pieceBytes of [1, 2, 5, 64, 4096, 1_000_000]) {
    const reader = readerOf(bytes, pieceBytes);
    assert.equal(await reader.header(), "stream");
    const found = [];
    for (let index = 0; index < frames.length; index++) found.push(await reader.next());
    assert.deepEqual(found, frames);
    assert.equal(await reader.next(), STREAM_ENDED);
    assert.equal(await reader.next(), undefined);
  }
});

Deno.test("FrameReader never writes to a frame it gave away", async () => {
  const frames = [[1, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 4]].map((values) =>
    new Uint8Array(values)
  );
  const reader = readerOf(concat(...frames.map(withLength)), 5);
  const found = [];
  for (let index = 0; index < 4; index++) found.push(await reader.next());
  assert.deepEqual(found, frames);
});

Deno.test("FrameReader refuses a length beyond the limit before its bytes arrive", async () => {
  const bytes = new Uint8Array(4);
  writeLength(bytes, { at: 0, length: 100_001 });
  await assert.rejects(readerOf(bytes).next(), PeerError);
});

Deno.test("FrameReader finds nothing more where the bytes stop", async () => {
  for (const bytes of [[], [1, 0, 0], [2, 0, 0, 0, 9]]) {
    assert.equal(await readerOf(new Uint8Array(bytes)).next(), undefined);
  }
});

Deno.test("FrameReader refuses unknown versions and kinds of a stream", async () => {
  await assert.rejects(readerOf(new Uint8Array([9, 1])).header(), { code: "unknown_version" });
  await assert.rejects(readerOf(new Uint8Array([1, 200])).header(), { code: "malformed_frame" });
});

Deno.test("FrameReader knows since when the rest of a frame is missing", async () => {
  let nowMs = 5;
  let give: (value: Uint8Array<ArrayBuffer>) => void = () => {};
  const source: ByteSource = {
    read: () => new Promise((resolve) => give = (value) => resolve({ done: false, value })),
  };
  const reader = new FrameReader(source, { frameBytesMax: 10, nowMs: () => nowMs });
  const next = reader.next();
  assert.equal(reader.stalledSinceMs, undefined, "nothing has begun");
  nowMs = 8;
  const first = give;
  first(new Uint8Array([1, 0]));
  // The reader asks again once the piece has reached it.
  while (give === first) await Promise.resolve();
  assert.equal(reader.stalledSinceMs, 8);
  give(new Uint8Array([0, 0, 42]));
  assert.deepEqual(await next, new Uint8Array([42]));
  assert.equal(reader.stalledSinceMs, undefined);
});

Deno.test("FrameReader takes any bytes: frames within the limit, or a PeerError", async () => {
  const random = new Random(7);
  for (let round = 0; round < 300; round++) {
    const bytes = new Uint8Array(random.below(400)).map(() =>
      random.chance(2, 3) ? random.below(3) : random.below(256)
    );
    const reader = readerOf(bytes, 1 + random.below(50));
    try {
      await reader.header();
      for (let found = await reader.next(); found !== undefined; found = await reader.next()) {
        assert.ok(found === STREAM_ENDED || found.length <= 100_000);
      }
    } catch (error) {
      assert.ok(error instanceof PeerError, String(error));
    }
  }
});
