import assert from "node:assert/strict";
import fc from "fast-check";
import {
  IMAGE_INFLATED_BYTES_MAX,
  IMAGE_PIXELS_MAX,
  IMAGE_SIDE_PIXELS_MAX,
  readImageHeader,
} from "./image_header.ts";

function bytesOf(...parts: readonly (string | readonly number[])[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) =>
      typeof part === "string" ? [...part].map((letter) => letter.charCodeAt(0)) : part
    ),
  );
}

const big32 = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
const little32 = (value: number) => big32(value).reverse();
const big16 = (value: number) => big32(value).slice(2);
const little16 = (value: number) => big16(value).reverse();

function png(width: number, height: number, [bits = 8, colours = 2] = []): Uint8Array {
  const header = [...big32(width), ...big32(height), bits, colours, 0, 0, 0];
  return bytesOf("\x89PNG\r\n\x1a\n", big32(13), "IHDR", header, big32(0));
}
function gif(width: number, height: number): Uint8Array {
  return bytesOf("GIF89a", little16(width), little16(height), [0, 0, 0]);
}
function bmp(width: number, height: number, headerBytes = 40): Uint8Array {
  return bytesOf("BM", Array(12).fill(0), little32(headerBytes), little32(width), little32(height));
}
function jpeg(width: number, height: number): Uint8Array {
  const frame = [0xff, 0xc2, 0, 17, 8, ...big16(height), ...big16(width)];
  const application = [0xff, 0xe0, 0, 4, 1, 2];
  return bytesOf([0xff, 0xd8], application, [0xff], [0xff, 0xc4, 0, 3, 9], frame);
}

/** What stands in the first chunk; the size of a lossy one comes last, whatever it is. */
function webpOf(kind: string, ...data: readonly (readonly number[])[]): Uint8Array {
  const rest = Array(10).fill(0);
  return bytesOf("RIFF", little32(99), "WEBP", kind, little32(99), ...data, rest);
}
function webp(width: number, height: number, flags = 0): Uint8Array {
  const sides = [width, height].flatMap((side) => little32((side - 1) >>> 0).slice(0, 3));
  return webpOf("VP8X", [flags, 0, 0, 0], sides);
}
function lossyWebp(width: number, height: number): Uint8Array {
  return webpOf("VP8 ", [0, 0, 0, 0x9d, 1, 0x2a], little16(width), little16(height));
}
function losslessWebp(width: number, height: number): Uint8Array {
  return webpOf("VP8L", [0x2f], little32((width - 1) | (height - 1) << 14));
}

function reasonOf(bytes: Uint8Array): string {
  const read = readImageHeader(bytes);
  return read.kind === "refused" ? read.reason : "";
}

Deno.test("readImageHeader() reads format and size of what it knows", () => {
  for (const [format, make] of Object.entries({ png, gif, bmp, jpeg, webp })) {
    const read = readImageHeader(make(640, 480));
    assert.equal(read.kind, "image", format);
    if (read.kind !== "image") continue;
    const { header } = read;
    assert.deepEqual([header.format, header.width, header.height], [format, 640, 480]);
  }
  for (const make of [lossyWebp, losslessWebp]) {
    const read = readImageHeader(make(640, 480));
    assert.ok(read.kind === "image" && read.header.format === "webp");
    assert.deepEqual([read.header.width, read.header.height], [640, 480]);
    // More bits than a size has are something else.
    assert.match(reasonOf(make(16_383, 16_383)), /16383 x 16383 pixels/);
  }
  const upsideDown = readImageHeader(bmp(4, -6));
  assert.ok(upsideDown.kind === "image" && upsideDown.header.height === 6);
});

Deno.test("readImageHeader() refuses sizes over the limits whatever the format", () => {
  for (const make of [png, gif, bmp, jpeg, webp]) {
    assert.match(reasonOf(make(30_000, 30_000)), /30000 x 30000 pixels/);
    assert.match(reasonOf(make(IMAGE_SIDE_PIXELS_MAX + 1, 1000)), /along one side/);
    assert.match(reasonOf(make(16_000, 79)), /200 times/);
  }
  for (const make of [png, gif, bmp, jpeg, lossyWebp]) {
    assert.match(reasonOf(make(0, 10)), /no pixels/);
  }
  const side = Math.floor(Math.sqrt(IMAGE_INFLATED_BYTES_MAX / 8)) - 1;
  assert.equal(reasonOf(png(side, side, [16, 6])), "");
  assert.match(reasonOf(png(side + 2, side + 2, [16, 6])), /bytes: at most/);
});

Deno.test("readImageHeader() refuses a JPEG that has its decoder go over all pixels again and again", () => {
  const scans = (count: number) =>
    Uint8Array.from([
      ...jpeg(640, 480),
      ...Array(count).fill([0xff, 0xda, 0, 3, 0, 0xff, 0]).flat(),
    ]);
  assert.equal(reasonOf(scans(64)), "");
  assert.match(reasonOf(scans(65)), /over its pixels more than 64 times/);
});

Deno.test("readImageHeader() refuses what no decoder here takes, and headers that are cut", () => {
  assert.match(reasonOf(bytesOf("RIFF", [0, 0, 0, 0], "WEBPVP8 ")), /WEBP header is broken/);
  assert.match(reasonOf(webp(64, 64, 2)), /a WebP that moves/);
  assert.match(reasonOf(webpOf("ABCD", [0x2f])), /broken/);
  assert.match(reasonOf(bytesOf("II*\0")), /no PNG, JPEG, GIF, BMP or WebP/);
  assert.match(reasonOf(new Uint8Array()), /no PNG/);
  // Decoders take a BMP with such a header for a format that has no limits.
  assert.match(reasonOf(bmp(4, 4, 41)), /broken/);
  for (const make of [png, gif, bmp, jpeg, webp, lossyWebp, losslessWebp]) {
    const whole = make(8, 8);
    assert.match(reasonOf(whole.subarray(0, 12)), /broken|no PNG/);
  }
});

Deno.test("readImageHeader() survives any bytes behind a known beginning", () => {
  const beginnings = [
    ...[png, gif, bmp, jpeg].map((make) => make(1, 1).subarray(0, 8)),
    ...[webp, lossyWebp, losslessWebp].map((make) => make(1, 1).subarray(0, 20)),
  ];
  fc.assert(fc.property(fc.constantFrom(...beginnings), fc.uint8Array(), (beginning, rest) => {
    const read = readImageHeader(Uint8Array.from([...beginning, ...rest]));
    if (read.kind === "image") {
      const { width, height } = read.header;
      assert.ok(width >= 1 && height >= 1 && width * height <= IMAGE_PIXELS_MAX);
    }
  }));
});
