import { invalidRequest } from "../../base/mod.ts";
import type { ChatMessage } from "../../protocol/mod.ts";
import { isObject } from "./fields.ts";
import { parseBase64 } from "./inference_fields.ts";
import { InlineMedia } from "./inline_media.ts";

/** Where in a text an image stands. */
const IMAGE_MARK = "[img]";
const IMAGE_URL_PATTERN = /^data:(?:image\/(?:bmp|gif|jpeg|jpg|png|webp))?;base64,/;

/** What was said in parts, texts and images, as one message has it: each image where it was shown. */
export function joinParts(
  parts: readonly (string | Uint8Array)[],
  gap: string,
): Pick<ChatMessage, "content" | "images"> {
  const texts = parts.filter((part) => typeof part === "string");
  const images = parts.filter((part) => typeof part !== "string");
  if (images.length === 0) return { content: texts.join(gap) };
  // Somebody's own text would take the image to its place.
  if (texts.some((text) => text.includes(IMAGE_MARK))) return { content: texts.join(gap), images };
  const marked = parts.map((part) => typeof part === "string" ? part : IMAGE_MARK);
  return { content: marked.join(gap), images };
}

/** An image as a data URL, alone or as `{url}`. @throws RequestError `invalid_request` with the contract's texts. */
export function parseImageUrl(image: unknown): Uint8Array {
  const url = isObject(image) && !(image instanceof InlineMedia) ? image["url"] : image;
  if (url instanceof InlineMedia) {
    if (IMAGE_URL_PATTERN.exec(url.head)?.[0] === url.head) return url.bytes;
    throw invalidRequest("invalid image input");
  }
  if (typeof url !== "string") throw invalidRequest("invalid message format");
  if (/^https?:/i.test(url)) {
    throw invalidRequest(
      "image URLs are not currently supported, please use base64 encoded data instead",
    );
  }
  const head = IMAGE_URL_PATTERN.exec(url);
  if (head === null) throw invalidRequest("invalid image input");
  return parseBase64(url.slice(head[0].length), "image_url");
}
