import { RequestError } from "../../base/mod.ts";
import { GrowingBytes } from "./growing_bytes.ts";
import { isObject } from "./fields.ts";
import { InlineMedia } from "./inline_media.ts";
import { ITEM, type MediaPlace } from "./media_paths.ts";

/** Decodes base64 as it comes in. */
export class Base64Bytes {
  readonly #bytes = new GrowingBytes();
  #rest = "";

  /** @throws RequestError `invalid_request` on anything but the alphabet. */
  append(text: string): void {
    // Some encoders escape the slash of the alphabet.
    const all = (this.#rest + text).replaceAll("\\/", "/");
    const part = new Uint8Array(Math.ceil(all.length * 3 / 4));
    const whole = all.endsWith("\\") ? all.slice(0, -1) : all;
    const { read, written } = decoded(() =>
      part.setFromBase64(whole, { lastChunkHandling: "stop-before-partial" })
    );
    this.#bytes.append(part.subarray(0, written));
    this.#rest = all.slice(read);
  }

  /** @throws RequestError `invalid_request` when the text was cut. */
  end(): Uint8Array {
    this.#bytes.append(
      decoded(() => Uint8Array.fromBase64(this.#rest, { lastChunkHandling: "strict" })),
    );
    return this.#bytes.view();
  }
}

function decoded<T>(decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw new RequestError("invalid_request", "illegal base64 data in an image or audio", {
      cause,
    });
  }
}

/**
 * Puts media where their stand-ins are: strings that end in `mark` and a number. Changes `value`, which was just parsed.
 */
export function putMedia(
  value: unknown,
  place: MediaPlace,
  media: { readonly mark: string; readonly items: readonly Uint8Array[] },
): unknown {
  if (typeof value === "string") {
    const at = value.lastIndexOf(media.mark);
    const bytes = at < 0 ? undefined : media.items[Number(value.slice(at + media.mark.length))];
    return bytes === undefined ? value : new InlineMedia(value.slice(0, at), bytes);
  }
  const item = place.below.get(ITEM);
  if (Array.isArray(value)) {
    return item === undefined ? value : value.map((entry) => putMedia(entry, item, media));
  }
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(([name, entry]) => {
    const deeper = place.below.get(name.toLowerCase());
    return [name, deeper === undefined ? entry : putMedia(entry, deeper, media)];
  });
  return Object.fromEntries(entries);
}
