import assert from "node:assert/strict";
import fc from "fast-check";
import { RequestError } from "../../base/mod.ts";
import { readJsonBody } from "./body.ts";
import { InlineMedia } from "./inline_media.ts";
import { GrowingBytes } from "./body_text.ts";

const BOUNDS = { bodyBytesMax: 100_000, mediaBytesMax: 1_000_000, zstd: false };

/** Reads a body that comes in parts of so many bytes. */
async function read(text: string, partBytes = 1_000, bounds = BOUNDS): Promise<unknown> {
  const bytes = new TextEncoder().encode(text);
  async function* parts() {
    for (let from = 0; from < bytes.length; from += partBytes) {
      yield bytes.subarray(from, from + partBytes);
    }
  }
  return await readJsonBody({ headers: new Headers(), body: parts() }, bounds);
}

function image(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) & 255);
}

/** A body as it should read: media in place of the strings that were long enough. */
function bodyWith(wrap: (text: string) => unknown, bytes: Uint8Array): string {
  return JSON.stringify(wrap(bytes.toBase64()));
}

const FORMS: Readonly<Record<string, (it: unknown) => unknown>> = {
  "generate": (it) => ({ prompt: "what?", images: ["short", it, it], after: [1] }),
  "chat": (it) => ({ MESSAGES: [{ content: "a" }, { Images: [it], content: 'b"]' }] }),
};

for (const [name, form] of Object.entries(FORMS)) {
  Deno.test(`images of /api/${name} are decoded as they come in, however they are cut`, async () => {
    const sizes = fc.integer({ min: 768, max: 5_000 });
    const cuts = fc.integer({ min: 1, max: 3_000 });
    await fc.assert(
      fc.asyncProperty(sizes, cuts, async (size, cut) => {
        const bytes = image(size);
        const value = await read(bodyWith(form, bytes), cut);
        assert.deepEqual(value, form(new InlineMedia("", bytes)));
      }),
      { numRuns: 20 },
    );
  });
}

Deno.test("images of /v1 keep the head of their data URL, addresses stay text", async () => {
  const bytes = image(3_000);
  const head = "data:image/png;base64,";
  const address = `https://example.com/${"x".repeat(2_000)}`;
  const form = (inline: unknown, bare: unknown) => ({
    messages: [{
      content: [
        { type: "image_url", image_url: { url: inline } },
        { type: "image_url", image_url: inline },
        { type: "image_url", image_url: { url: address } },
        { type: "input_audio", input_audio: { data: bare } },
      ],
    }],
  });
  const base64 = bytes.toBase64();
  const value = await read(JSON.stringify(form(head + base64, base64)));
  assert.deepEqual(value, form(new InlineMedia(head, bytes), new InlineMedia("", bytes)));
});

Deno.test("slashes may be escaped in an image", async () => {
  const bytes = new Uint8Array(3_000).fill(255);
  const text = bodyWith((it) => ({ images: [it] }), bytes).replaceAll("/", "\\/");
  for (const cut of [1, 2, 3, 777]) {
    assert.deepEqual(await read(text, cut), { images: [new InlineMedia("", bytes)] });
  }
});

Deno.test("strings of that shape elsewhere stay strings", async () => {
  const long = image(3_000).toBase64();
  const body = {
    prompt: long,
    system: { images: [long] },
    tools: [{ images: [long] }],
    messages: [{ content: long, tool_calls: [{ function: { arguments: { images: [long] } } }] }],
    images: { deep: [long] },
  };
  assert.deepEqual(await read(JSON.stringify(body)), body);
});

const isRefused = (code: string, what: RegExp) => (error: unknown) =>
  error instanceof RequestError && error.code === code && what.test(error.message);

Deno.test("images have a bound of their own, and the text keeps its", async () => {
  const bounds = { bodyBytesMax: 1_000, mediaBytesMax: 50_000, zstd: false };
  const form = (it: unknown) => ({ images: [it, it] });
  assert.deepEqual(
    await read(bodyWith(form, image(18_000)), 1_000, bounds),
    form(new InlineMedia("", image(18_000))),
  );
  await assert.rejects(
    read(bodyWith(form, image(19_000)), 1_000, bounds),
    isRefused("body_too_large", /images and audio too large: at most 50000 bytes/),
  );
  await assert.rejects(
    read(JSON.stringify({ prompt: "x".repeat(1_001) }), 100, bounds),
    isRefused("body_too_large", /request body too large: at most 1000 bytes/),
  );
  const many = JSON.stringify({ images: Array(1_025).fill("A".repeat(1_024)) });
  await assert.rejects(
    read(many, 10_000, { ...BOUNDS, mediaBytesMax: 1e7 }),
    isRefused("body_too_large", /at most 1024 images/),
  );
});

for (const broken of ["A".repeat(2_000) + "*", "A".repeat(2_001), "\\u0041".repeat(400)]) {
  Deno.test(`an image that is no base64 is refused: ...${broken.slice(-6)}`, async () => {
    await assert.rejects(
      read(`{"images":["${broken}"]}`, 333),
      isRefused("invalid_request", /illegal base64/),
    );
  });
}

Deno.test("GrowingBytes holds what was appended, in order", () => {
  const bytes = new GrowingBytes();
  const parts = Array.from({ length: 300 }, (_, index) => new Uint8Array(index).fill(index));
  for (const part of parts) bytes.append(part);
  assert.deepEqual(bytes.view(), Uint8Array.from(parts.flatMap((part) => [...part])));
});

Deno.test("GrowingBytes keeps no network buffer alive and at most doubles", () => {
  const bytes = new GrowingBytes();
  for (let index = 0; index < 1_000; index++) {
    bytes.append(new Uint8Array(64 * 1024).subarray(0, 100));
  }
  assert.equal(bytes.length, 100_000);
  assert.ok(bytes.view().buffer.byteLength <= 200_000);
});
