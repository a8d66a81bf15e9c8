import assert from "node:assert/strict";
import { FrameQueue } from "./frame_queue.ts";

Deno.test("FrameQueue gives everything that waited as one write", () => {
  const queue = new FrameQueue({ framesMax: 10, bytesMax: 100 });
  assert.equal(queue.takeAll(), undefined);
  queue.push(new Uint8Array([7]));
  queue.push(new Uint8Array(0));
  queue.push(new Uint8Array([8, 9]));
  const batch = queue.takeAll();
  assert.equal(batch?.frames, 3);
  assert.deepEqual([...batch?.bytes ?? []], [1, 0, 0, 0, 7, 0, 0, 0, 0, 2, 0, 0, 0, 8, 9]);
  assert.equal(queue.takeAll(), undefined);
});

Deno.test("FrameQueue keeps to its limits, but takes any one frame", () => {
  const queue = new FrameQueue({ framesMax: 2, bytesMax: 20 });
  assert.ok(queue.push(new Uint8Array(500_000)));
  assert.ok(!queue.push(new Uint8Array(1)));
  assert.equal(queue.takeAll()?.bytes.length, 500_004);
  assert.ok(queue.push(new Uint8Array(1)));
  assert.ok(queue.push(new Uint8Array(1)));
  assert.ok(!queue.push(new Uint8Array(0)), "two frames are the limit");
  assert.equal(queue.frames, 2);
});

Deno.test("FrameQueue does not touch a batch that is still being written", () => {
  const queue = new FrameQueue({ framesMax: 10, bytesMax: 100 });
  queue.push(new Uint8Array([1]));
  const first = queue.takeAll();
  assert.ok(first);
  queue.push(new Uint8Array([2]));
  assert.deepEqual([...first.bytes], [1, 0, 0, 0, 1]);
  const second = queue.takeAll(first.bytes);
  queue.push(new Uint8Array([3]));
  assert.deepEqual([...second?.bytes ?? []], [1, 0, 0, 0, 2]);
});
