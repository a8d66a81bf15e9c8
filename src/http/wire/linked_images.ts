import { invalidRequest } from "../../base/mod.ts";
import { IMAGES_BYTES_MAX } from "../../protocol/mod.ts";
import { isObject } from "./fields.ts";

/** Images of one request that are fetched at most. */
const LINKED_IMAGES_MAX = 16;
const LINK = /^https?:\/\//i;

/** Reads what is at an address; throws RequestError `invalid_request` with the reason. */
export type FetchLinked = (address: string, bytesMax: number) => Promise<Uint8Array>;

/**
 * A body in which data stand where images are named by address: `image_url` of messages and of a response's input, and
 * `source` of Anthropic's blocks. They are fetched one after the other.
 *
 * @throws RequestError `invalid_request` for too many, too large ones, and what can't be fetched.
 */
export async function withLinkedImages(body: unknown, fetch: FetchLinked): Promise<unknown> {
  if (!isObject(body)) return body;
  let count = 0;
  let bytesLeft = IMAGES_BYTES_MAX;
  const dataOf = async (address: string): Promise<string> => {
    if (++count > LINKED_IMAGES_MAX) {
      throw invalidRequest(`at most ${LINKED_IMAGES_MAX} images are fetched for a request`);
    }
    const bytes = await fetch(address, bytesLeft);
    bytesLeft -= bytes.length;
    return `data:;base64,${bytes.toBase64()}`;
  };
  const filled = { ...body };
  for (const name of ["messages", "input"]) {
    const said = body[name];
    if (Array.isArray(said)) filled[name] = await each(said, (item) => withinItem(item, dataOf));
  }
  return filled;
}

/** A message, or an item of a response's input. */
async function withinItem(item: unknown, dataOf: DataOf): Promise<unknown> {
  if (!isObject(item)) return item;
  const filled = { ...item };
  for (const name of ["content", "output"]) {
    const parts = item[name];
    if (Array.isArray(parts)) filled[name] = await each(parts, (part) => withinPart(part, dataOf));
  }
  return filled;
}

async function withinPart(part: unknown, dataOf: DataOf): Promise<unknown> {
  if (!isObject(part)) return part;
  const { image_url: image, source, content } = part;
  if (isLink(image)) return { ...part, image_url: await dataOf(image) };
  if (isObject(image) && isLink(image["url"])) {
    return { ...part, image_url: { ...image, url: await dataOf(image["url"]) } };
  }
  if (part["type"] === "image" && isObject(source) && isLink(source["url"])) {
    return { ...part, source: { ...source, url: await dataOf(source["url"]) } };
  }
  // What a tool showed has parts of its own.
  return part["type"] === "tool_result" && Array.isArray(content)
    ? await withinItem(part, dataOf)
    : part;
}

type DataOf = (address: string) => Promise<string>;

function isLink(value: unknown): value is string {
  return typeof value === "string" && LINK.test(value);
}

async function each(
  items: readonly unknown[],
  fill: (item: unknown) => Promise<unknown>,
): Promise<readonly unknown[]> {
  const filled: unknown[] = [];
  for (const item of items) filled.push(await fill(item));
  return filled;
}
