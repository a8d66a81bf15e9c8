import assert from "node:assert/strict";
import { picture, png } from "../harness/colour_eye.ts";
import { startNode, type TestNode } from "../harness/node.ts";
import { runnersOf } from "../harness/runners.ts";
import { createSeeing, MISSING_EYES } from "../harness/seeing_model.ts";
import { webpBomb } from "../harness/webp_files.ts";

const MIB = 1024 * 1024;
/** What refusing an image may take of memory. */
const GROWTH_BYTES_MAX = 100 * MIB;
/** What the bomb's data inflate to. */
const INFLATED_BYTES = 1024 * MIB;

/** A gigabyte of zeros, compressed. */
async function zeros(): Promise<Uint8Array<ArrayBuffer>> {
  const chunk = new Uint8Array(MIB);
  const chunks = Array<Uint8Array<ArrayBuffer>>(INFLATED_BYTES / MIB).fill(chunk);
  const packed = ReadableStream.from(chunks).pipeThrough(new CompressionStream("deflate"));
  return await new Response(packed).bytes();
}

/** The most memory that a process has ever had, in bytes. */
async function peakBytes(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

async function ask(node: TestNode, image: Uint8Array) {
  const response = await node.post("/api/generate", {
    ...{ model: "eye", prompt: "Repeat this word: [img]", images: [image.toBase64()] },
    ...{ stream: false, options: { temperature: 0 } },
  });
  return { status: response.status, body: await response.json() };
}

Deno.test({
  name:
    `Images that claim or hold more than they should are refused in less than 100 MB${MISSING_EYES}`,
  ignore: MISSING_EYES !== "" || Deno.build.os !== "linux",
  async fn() {
    await using node = await startNode();
    await createSeeing(node, "eye");
    const data = await zeros();
    assert.equal((await ask(node, picture("red"))).body.response.trim(), "red");
    const [runner = 0] = await runnersOf(node.pid);
    const before = await Promise.all([node.pid, runner].map(peakBytes));
    const bombs: readonly [string, Uint8Array, RegExp][] = [
      ["pixels without end", png({ width: 50_000, height: 50_000, data }), /50000 x 50000 pixels/],
      ["WebP without end", webpBomb(16_384, 16_384), /16384 x 16384 pixels/],
      ["data without end", png({ width: 16, height: 16, data }), /more data than pixels/],
    ];
    for (const [what, bomb, reason] of bombs) {
      const { status, body } = await ask(node, bomb);
      assert.equal(status, 400, what);
      assert.match(body.error, reason, what);
    }
    const after = await Promise.all([node.pid, runner].map(peakBytes));
    const grown = after.map((bytes, index) => bytes - (before[index] ?? 0));
    assert.ok(grown.every((bytes) => bytes < GROWTH_BYTES_MAX), `grew by ${grown} bytes`);
    assert.deepEqual(await runnersOf(node.pid), [runner]);
    assert.equal((await ask(node, picture("blue"))).body.response.trim(), "blue");
  },
});
