import { RequestError } from "../../base/mod.ts";
import { ITEM, MEDIA_PLACES, type MediaPlace } from "./media_paths.ts";

/** Objects and lists in one body at most. Each costs about 60 bytes for 3 on the wire, and its fields more. */
const CONTAINERS_MAX = 65_536;
/** Strings in one body at most, keys among them: an object of as many keys as 8 MiB hold takes 300 ms to build. */
const STRINGS_MAX = 65_536;
/** Commas in one body at most: the longest `context` or token list has a number per token of its window. */
const COMMAS_MAX = 1_048_576;
/** How deep objects and lists may lie in each other: serializers and templates follow them by recursion. */
const DEPTH_MAX = 512;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Bytes of a name that are kept: no name of a media place is longer. */
const NAME_BYTES_MAX = 32;

/** A string that stands where images and audio do; `from` and `to` are where its content lies in the bytes fed. */
export interface MediaPart {
  readonly from: number;
  readonly to: number;
  /** Its closing quote has come. */
  readonly ended: boolean;
}

/**
 * Counts what JSON text is made of while its bytes come in, so that text which would become far more memory and time
 * than it has bytes is refused before any of it is parsed. Whether the text is JSON at all is the parser's to say.
 *
 * It also knows where images and audio stand, and tells of their strings.
 */
export class JsonScan {
  readonly #onMedia: ((part: MediaPart) => void) | undefined;
  #depth = 0;
  #containers = 0;
  #strings = 0;
  #commas = 0;
  #inString = false;
  #isEscaped = false;
  #ended = false;
  /** By depth: the place of the container that is open there, and whether names come next in it. */
  readonly #places: (MediaPlace | undefined)[] = [];
  readonly #isObject: boolean[] = [];
  /** The place of the next value. */
  #place: MediaPlace | undefined = MEDIA_PLACES;
  #isName = false;
  readonly #name: number[] = [];
  #isMedia = false;

  /** @param onMedia is told, part by part, of each string where media stand. */
  constructor(onMedia?: (part: MediaPart) => void) {
    this.#onMedia = onMedia;
  }

  /** Makes ready for another text, whose counts are added to those so far. */
  next(): void {
    this.#depth = 0;
    this.#inString = false;
    this.#isEscaped = false;
    this.#ended = false;
    this.#place = MEDIA_PLACES;
  }

  /**
   * Counts the next bytes and returns how many of them belong to the first value.
   *
   * @throws RequestError `body_too_large` above a limit, with the limit.
   */
  feed(bytes: Uint8Array): number {
    if (this.#ended) return 0;
    for (let index = 0; index < bytes.length; index++) {
      if (this.#inString) {
        index = this.#skipString(bytes, index);
        continue;
      }
      switch (bytes[index]) {
        case QUOTE:
          this.#strings = counted(this.#strings, STRINGS_MAX, "strings");
          this.#openString();
          break;
        case COLON:
          this.#place = this.#places[this.#depth]?.below.get(this.#readName());
          break;
        case COMMA:
          this.#commas = counted(this.#commas, COMMAS_MAX, "values");
          this.#nextEntry();
          break;
        case OPEN_LIST:
        case OPEN_OBJECT:
          this.#containers = counted(this.#containers, CONTAINERS_MAX, "objects and lists");
          this.#depth = counted(this.#depth, DEPTH_MAX, "levels of objects and lists");
          this.#places[this.#depth] = this.#place;
          this.#isObject[this.#depth] = bytes[index] === OPEN_OBJECT;
          this.#nextEntry();
          break;
        case CLOSE_LIST:
        case CLOSE_OBJECT:
          this.#depth--;
          if (this.#depth > 0) break;
          this.#ended = true;
          return index + 1;
      }
    }
    return bytes.length;
  }

  /** After a bracket or a comma. */
  #nextEntry(): void {
    const place = this.#places[this.#depth];
    this.#isName = this.#isObject[this.#depth] === true;
    this.#place = this.#isName ? undefined : place?.below.get(ITEM);
  }

  #openString(): void {
    this.#inString = true;
    this.#isMedia = this.#onMedia !== undefined && !this.#isName && this.#place?.isMedia === true;
    this.#name.length = 0;
  }

  #readName(): string {
    this.#isName = false;
    return String.fromCharCode(...this.#name).toLowerCase();
  }

  /** The index of the quote that ends the string, or of the last byte when it goes on. */
  #skipString(bytes: Uint8Array, from: number): number {
    const to = this.#stringEnd(bytes, from);
    const ended = to < bytes.length;
    if (this.#isMedia) this.#onMedia?.({ from, to, ended });
    if (this.#isName && this.#places[this.#depth] !== undefined) {
      for (let index = from; index < to && this.#name.length < NAME_BYTES_MAX; index++) {
        this.#name.push(bytes[index] ?? 0);
      }
    }
    if (ended) this.#inString = false;
    return to;
  }

  #stringEnd(bytes: Uint8Array, from: number): number {
    for (let index = from; index < bytes.length; index++) {
      const byte = bytes[index];
      if (this.#isEscaped) this.#isEscaped = false;
      else if (byte === BACKSLASH) this.#isEscaped = true;
      else if (byte === QUOTE) return index;
    }
    return bytes.length;
  }
}

function counted(count: number, countMax: number, what: string): number {
  if (count < countMax) return count + 1;
  throw new RequestError(
    "body_too_large",
    `request body too large: at most ${countMax} ${what} are accepted`,
  );
}
