import assert from "node:assert/strict";
import {
  IMAGE_PARTS_MAX,
  IMAGES_MAX,
  imageToken,
  isImageToken,
  splitAtImages,
} from "./image_tokens.ts";

Deno.test("splitAtImages() finds the markers of images that are there", () => {
  const text = (text: string) => ({ kind: "text" as const, text });
  const image = (image: number) => ({ kind: "image" as const, image });
  assert.deepEqual(splitAtImages("a[img-1]b [img-0]", 2), [
    ...[text("a"), image(1), text("b "), image(0), text("")],
  ]);
  assert.deepEqual(splitAtImages("a [img-2] [img-0001] [img]", 2), [
    text("a [img-2] [img-0001] [img]"),
  ]);
  assert.deepEqual(splitAtImages("[img-0]", 0), [text("[img-0]")]);
});

Deno.test("imageToken() gives each part a number of its own that fits into 31 bits", () => {
  const last = imageToken(IMAGES_MAX - 1, IMAGE_PARTS_MAX - 1);
  assert.ok(last <= 0x7fff_ffff);
  assert.notEqual(imageToken(0, 1), imageToken(1, 0));
  assert.ok(isImageToken(imageToken(0, 0)) && !isImageToken(262_144));
});
