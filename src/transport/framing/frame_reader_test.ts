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

/** Gives `bytes` in pieces of `pieceBytes`, then stops. `wanted`: how long the memory was that each read was given. */
function sourceOf(bytes: Uint8Array, pieceBytes: number, wanted: number[] = []): ByteSource {
  let at = 0;
  return {
    read: (into) => {
      wanted.push(into.length);
      if (at >= bytes.length) return Promise.resolve({ done: true });
      const piece = bytes.subarray(at, at += Math.min(pieceBytes, into.length));
      return Promise.resolve({ done: false, value: fill(into, piece) });
    },
  };
}

/** As a stream does: other views of the memory are gone. */
function fill(into: Uint8Array<ArrayBuffer>, piece: Uint8Array): Uint8Array<ArrayBuffer> {
  const { byteOffset } = into;
  into.set(piece);
  return new Uint8Array(into.buffer.transfer(), byteOffset, piece.length);
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

Deno.test("FrameReader takes memory as a frame's bytes come, and not for its length", async () => {
  const wanted: number[] = [];
  const frame = new Uint8Array(90_000).fill(7);
  const source = sourceOf(withLength(frame), 1_000, wanted);
  const reader = new FrameReader(source, { frameBytesMax: 100_000, nowMs: () => 0 });
  assert.deepEqual(await reader.next(), frame);
  const inTheFrame = wanted.slice(1);
  assert.ok(inTheFrame.length > 80, "the pieces were small");
  for (const [index, length] of inTheFrame.entries()) assert.ok(length <= 65_536 + 1_000 * index);
});

Deno.test("FrameReader puts a frame into the memory it is given, where it is long enough", async () => {
  const frames = [[5_000, 1], [3_000, 2], [6_000, 3]].map(([size, value]) =>
    new Uint8Array(size ?? 0).fill(value ?? 0)
  );
  // Whole in what was read at once, and in pieces.
  for (const pieceBytes of [100, 1_000_000]) {
    const reader = readerOf(concat(...frames.map(withLength)), pieceBytes);
    let spare = new ArrayBuffer(5_000);
    for (const [index, frame] of frames.entries()) {
      const found = await reader.next(spare);
      assert.ok(found instanceof Uint8Array);
      assert.deepEqual(found, frame);
      assert.equal(found.buffer.byteLength, [5_000, 5_000, 6_000][index]);
      spare = found.buffer;
    }
  }
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
  let give: (piece: Uint8Array) => void = () => {};
  const source: ByteSource = {
    read: (into) =>
      new Promise((resolve) => {
        give = (piece) => resolve({ done: false, value: fill(into, piece) });
      }),
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
