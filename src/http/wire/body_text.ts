import { RequestError } from "../../base/mod.ts";
import { JsonScan } from "./json_scan.ts";
import { ITEM, MEDIA_PLACES, type MediaPlace } from "./media_paths.ts";
import { isObject } from "./fields.ts";
import { InlineMedia } from "./inline_media.ts";

/** A shorter string stays in the text: it is what it costs to tell where it went. */
const MEDIA_CHARS_MIN = 1_024;

/** Images and recordings in one body at most: each is a buffer of its own. */
const MEDIA_MAX = 1_024;

/** Bytes of a body at most. */
export interface BodyBounds {
  /** Of its text. */
  readonly bodyBytesMax: number;
  /** Of its images and audio, as they are sent. */
  readonly mediaBytesMax: number;
}

const latin1 = new TextDecoder("latin1");

/** A string that stands where images and audio do, as far as it came. */
interface OpenString {
  /** Its beginning, until it is known what it is. */
  readonly opening: GrowingBytes;
  base64: Base64Bytes | undefined;
  /** Too long for a name and no base64: an address. */
  isText: boolean;
}

/**
 * Takes a body apart while it comes in: its text, and the images and audio in it, which are decoded at once. So they are
 * held once, as bytes, and never as strings.
 */
export class BodyText {
  readonly #bounds: BodyBounds;
  /** Drawn anew for each body: no client can send a stand-in. */
  readonly #mark = `media-${crypto.randomUUID()}-`;
  readonly #text = new GrowingBytes();
  readonly #media: Uint8Array[] = [];
  readonly #scan: JsonScan;
  #fed: Uint8Array = new Uint8Array();
  /** How far of {@link #fed} was taken. */
  #taken = 0;
  #open: OpenString | undefined;
  #mediaBytes = 0;

  constructor(bounds: BodyBounds) {
    this.#bounds = bounds;
    this.#scan = new JsonScan(({ from, to, ended }) => {
      this.#takeText(from);
      this.#takeMedia(this.#fed.subarray(from, to), ended);
      this.#taken = to;
    });
  }

  /** @throws RequestError `body_too_large` above a bound, `invalid_request` for broken base64. */
  feed(bytes: Uint8Array): void {
    this.#fed = bytes;
    this.#taken = 0;
    this.#takeText(this.#scan.feed(bytes));
  }

  /** The text, with stand-ins. */
  get text(): string {
    return new TextDecoder().decode(this.#text.view());
  }

  /** Puts the media where their stand-ins are in what the text was parsed to. */
  withMedia(value: unknown): unknown {
    if (this.#media.length === 0) return value;
    return putMedia(value, MEDIA_PLACES, { mark: this.#mark, items: this.#media });
  }

  #takeText(to: number): void {
    if (to > this.#taken) this.#keep(this.#fed.subarray(this.#taken, to));
    this.#taken = to;
  }

  #keep(bytes: Uint8Array): void {
    const { bodyBytesMax } = this.#bounds;
    if (this.#text.length + bytes.length > bodyBytesMax) {
      throw tooLarge("request body", bodyBytesMax);
    }
    this.#text.append(bytes);
  }

  #takeMedia(bytes: Uint8Array, ended: boolean): void {
    const open = this.#open ??= { opening: new GrowingBytes(64), base64: undefined, isText: false };
    if (open.isText) this.#keep(bytes);
    else if (open.base64 !== undefined) this.#decode(open.base64, bytes);
    else this.#begin(open, bytes);
    if (!ended) return;
    this.#open = undefined;
    if (open.base64 === undefined) {
      if (!open.isText) this.#keep(open.opening.view());
      return;
    }
    if (this.#media.length === MEDIA_MAX) {
      const text = `request body too large: at most ${MEDIA_MAX} images are accepted`;
      throw new RequestError("body_too_large", text);
    }
    this.#media.push(open.base64.end());
    this.#keep(new TextEncoder().encode(`${this.#mark}${this.#media.length - 1}`));
  }

  #begin(open: OpenString, bytes: Uint8Array): void {
    const { opening } = open;
    opening.append(bytes);
    if (opening.length < MEDIA_CHARS_MIN) return;
    const begun = latin1.decode(opening.view().subarray(0, MEDIA_CHARS_MIN));
    const head = /^data:[^,]*,/.exec(begun)?.[0] ?? "";
    if (/^https?:/i.test(begun)) {
      open.isText = true;
      this.#keep(opening.view());
      return;
    }
    this.#keep(opening.view().subarray(0, head.length));
    open.base64 = new Base64Bytes();
    this.#decode(open.base64, opening.view().subarray(head.length));
  }

  #decode(base64: Base64Bytes, bytes: Uint8Array): void {
    const { mediaBytesMax } = this.#bounds;
    this.#mediaBytes += bytes.length;
    if (this.#mediaBytes > mediaBytesMax) throw tooLarge("images and audio", mediaBytesMax);
    base64.append(latin1.decode(bytes));
  }
}

/** 413, with the limit. */
export function tooLarge(what: string, bytesMax: number): RequestError {
  return new RequestError(
    "body_too_large",
    `${what} too large: at most ${bytesMax} bytes are accepted`,
  );
}

/** Decodes base64 as it comes in. */
class Base64Bytes {
  readonly #bytes = new GrowingBytes();
  #rest = "";

  /** @throws RequestError `invalid_request` on anything but the alphabet. */
  append(text: string): void {
    // Some encoders escape the slash of the alphabet.
    const all = (this.#rest + text).replaceAll("\\/", "/");
    const room = this.#bytes.room(Math.ceil(all.length * 3 / 4));
    const whole = all.endsWith("\\") ? all.slice(0, -1) : all;
    const { read, written } = decoded(() =>
      room.setFromBase64(whole, { lastChunkHandling: "stop-before-partial" })
    );
    this.#bytes.take(written);
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
function putMedia(
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

/** Bytes that a buffer begins with; most requests fit. */
const FIRST_BYTES = 4 * 1024;

/** Collects bytes in one buffer that is never more than twice as long as what came in. */
export class GrowingBytes {
  #buffer: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(firstBytes = FIRST_BYTES) {
    this.#buffer = new Uint8Array(firstBytes);
  }

  get length(): number {
    return this.#length;
  }

  /** Copies the bytes: a part of a network buffer would keep all of that buffer alive. */
  append(bytes: Uint8Array): void {
    this.room(bytes.length).set(bytes);
    this.take(bytes.length);
  }

  /** Where the next `count` bytes may be written, before {@link take}; valid as {@link view} is. */
  room(count: number): Uint8Array<ArrayBuffer> {
    const length = this.#length + count;
    if (length > this.#buffer.length) this.#grow(length);
    return this.#buffer.subarray(this.#length, length);
  }

  /** The first `count` bytes of the room that was given last are written. */
  take(count: number): void {
    this.#length += count;
  }

  /** What came in so far, as a view: valid until the next call of `append` or `room`. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length);
  }

  #grow(length: number): void {
    const bytes = Math.max(length, this.#buffer.length * 2);
    // What it was is free at once, and not when somebody collects it.
    this.#buffer = new Uint8Array(this.#buffer.buffer.transfer(bytes));
  }
}
