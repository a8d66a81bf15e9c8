import assert from "node:assert/strict";
import fc from "fast-check";
import { isEdgeError } from "../base/mod.ts";
import { RUNNER_FRAME_BYTES_MAX } from "../protocol/mod.ts";
import { encodeFrame, FrameReader } from "./frames.ts";

const value = fc.letrec((tie) => ({
  node: fc.oneof(
    fc.string(),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie("node"), { maxLength: 4 }),
    fc.dictionary(fc.string({ minLength: 1, maxLength: 5 }), tie("node"), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
  ),
})).node;

Deno.test("FrameReader reads what encodeFrame() wrote, however the bytes are cut", () => {
  fc.assert(
    fc.property(fc.array(value, { maxLength: 6 }), fc.integer({ min: 1, max: 64 }), (
      values,
      chunkBytes,
    ) => {
      const bytes = new Uint8Array(values.flatMap((item) => [...encodeFrame(item)]));
      const reader = new FrameReader();
      const read: unknown[] = [];
      for (let at = 0; at < bytes.length; at += chunkBytes) {
        const chunk = bytes.slice(at, at + chunkBytes);
        read.push(...reader.push(chunk));
        chunk.fill(0xff);
      }
      assert.deepEqual(read, values);
    }),
  );
});

Deno.test("FrameReader takes a frame larger than any chunk", () => {
  const frame = encodeFrame({ bytes: new Uint8Array(1_000_000).fill(7) });
  const reader = new FrameReader();
  const read: unknown[] = [];
  for (let at = 0; at < frame.length; at += 50_000) {
    read.push(...reader.push(frame.subarray(at, at + 50_000)));
  }
  assert.equal(read.length, 1);
});

Deno.test("FrameReader refuses a length over the limit before it waits for the bytes", () => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, RUNNER_FRAME_BYTES_MAX + 1);
  assert.throws(
    () => new FrameReader().push(bytes),
    (error) => isEdgeError(error) && error.code === "malformed_frame",
  );
});

Deno.test("FrameReader answers any bytes with values or `malformed_frame`, nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (body) => {
      const bytes = new Uint8Array(4 + body.length);
      new DataView(bytes.buffer).setUint32(0, body.length);
      bytes.set(body, 4);
      try {
        assert.equal(new FrameReader().push(bytes).length, 1);
      } catch (error) {
        assert.ok(isEdgeError(error) && error.code === "malformed_frame", String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
