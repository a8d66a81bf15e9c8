import assert from "node:assert/strict";
import { RED_WEBP_FILES, WIDE_WEBP } from "../../../tests/harness/webp_files.ts";
import { decodeWebp } from "./decode_webp.ts";

Deno.test("decodeWebp() brings every kind of WebP to three bytes a pixel", async () => {
  for (const [kind, file] of Object.entries(RED_WEBP_FILES)) {
    const { width, height, pixels } = await decodeWebp(file);
    assert.deepEqual([width, height, pixels.length], [16, 16, 16 * 16 * 3], kind);
    for (let at = 0; at < pixels.length; at += 3) {
      const [red = 0, green = 0, blue = 0] = pixels.subarray(at, at + 3);
      assert.ok(red > 240 && green < 16 && blue < 16, `${kind}: ${red}, ${green}, ${blue}`);
    }
  }
});

Deno.test("decodeWebp() refuses what is cut or damaged", async () => {
  const { lossless } = RED_WEBP_FILES;
  const damaged = lossless.map((byte, at) => at >= 26 ? byte ^ 0xff : byte);
  for (const file of [lossless.slice(0, 20), lossless.slice(0, 30), damaged, new Uint8Array()]) {
    await assert.rejects(decodeWebp(file), { code: "invalid_request", message: /is broken/ });
  }
});

Deno.test("decodeWebp() ends a worker that takes too long, and lets others work while one decodes", async () => {
  await assert.rejects(decodeWebp(WIDE_WEBP, 1), { code: "invalid_request", message: /1 ms/ });
  let isDone = false;
  let turns = 0;
  const decoding = decodeWebp(WIDE_WEBP).finally(() => isDone = true);
  const channel = new MessageChannel();
  const turned = Promise.withResolvers<void>();
  channel.port1.onmessage = () => {
    turns++;
    if (isDone) turned.resolve();
    else channel.port2.postMessage(0);
  };
  channel.port2.postMessage(0);
  const { width, pixels } = await decoding;
  await turned.promise;
  for (const port of [channel.port1, channel.port2]) port.close();
  assert.deepEqual([width, pixels.length], [2048, 2048 * 2048 * 3]);
  assert.ok(turns > 10, `${turns} turns`);
});
