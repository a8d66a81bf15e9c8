import assert from "node:assert/strict";
import { IMAGES_BYTES_MAX } from "../../protocol/mod.ts";
import { withLinkedImages } from "./linked_images.ts";

const HI = "data:;base64,aGk=";
const fetch = () => Promise.resolve(new TextEncoder().encode("hi"));

Deno.test("withLinkedImages() puts data where the APIs name images by address, and nowhere else", async () => {
  const url = "HTTPS://example.com/a.png";
  const part = { type: "image_url", image_url: { url, detail: "low" } };
  const block = { type: "image", source: { type: "url", url } };
  const body = {
    model: url,
    messages: [
      { role: "user", content: [part, { type: "text", text: url }] },
      { role: "user", content: [{ type: "tool_result", content: [block] }, block] },
      { role: "user", content: url },
    ],
    input: [{ role: "user", content: [{ type: "input_image", image_url: url }] }],
  };
  const seen = { type: "image", source: { type: "url", url: HI } };
  assert.deepEqual(await withLinkedImages(body, fetch), {
    model: url,
    messages: [
      {
        role: "user",
        content: [{ type: "image_url", image_url: { url: HI, detail: "low" } }, {
          type: "text",
          text: url,
        }],
      },
      { role: "user", content: [{ type: "tool_result", content: [seen] }, seen] },
      { role: "user", content: url },
    ],
    input: [{ role: "user", content: [{ type: "input_image", image_url: HI }] }],
  });
});

Deno.test("withLinkedImages() fetches few images, and no more bytes of all than one request may have", async () => {
  const images = (count: number) => ({
    messages: Array.from({ length: count }, () => ({
      content: [{ type: "image_url", image_url: "http://example.com/" }],
    })),
  });
  const left: number[] = [];
  await withLinkedImages(images(2), (_, bytesMax) => {
    left.push(bytesMax);
    return Promise.resolve(new Uint8Array(100));
  });
  assert.deepEqual(left, [IMAGES_BYTES_MAX, IMAGES_BYTES_MAX - 100]);
  await assert.rejects(withLinkedImages(images(17), fetch), /at most 16 images are fetched/);
});
