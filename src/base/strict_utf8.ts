/** What the next byte of a text must be, and how many follow it. */
interface Expected {
  readonly low: number;
  readonly high: number;
  /** Bytes of this character after the next one. */
  readonly more: number;
}

/** Between characters; the first byte says how many follow, and what the second may be (RFC 3629, table of section 4). */
const START: Expected | undefined = undefined;

/** Follows a text in UTF-8 byte by byte, as it comes in pieces that may end inside a character. */
export class StrictUtf8 {
  #expected: Expected | undefined = START;

  /** Whether the bytes may come next. */
  fits(bytes: Uint8Array): boolean {
    return follow(this.#expected, bytes) !== "wrong";
  }

  /** Takes bytes that fit. */
  take(bytes: Uint8Array): void {
    const next = follow(this.#expected, bytes);
    this.#expected = next === "wrong" ? START : next;
  }
}

function follow(from: Expected | undefined, bytes: Uint8Array): Expected | undefined | "wrong" {
  let expected = from;
  for (const byte of bytes) {
    const next = expected === undefined ? firstByte(byte) : laterByte(expected, byte);
    if (next === "wrong") return next;
    expected = next;
  }
  return expected;
}

function firstByte(byte: number): Expected | undefined | "wrong" {
  if (byte < 0x80) return START;
  if (byte < 0xc2 || byte > 0xf4) return "wrong";
  if (byte < 0xe0) return { low: 0x80, high: 0xbf, more: 0 };
  if (byte < 0xf0) {
    return { low: byte === 0xe0 ? 0xa0 : 0x80, high: byte === 0xed ? 0x9f : 0xbf, more: 1 };
  }
  return { low: byte === 0xf0 ? 0x90 : 0x80, high: byte === 0xf4 ? 0x8f : 0xbf, more: 2 };
}

function laterByte({ low, high, more }: Expected, byte: number): Expected | undefined | "wrong" {
  if (byte < low || byte > high) return "wrong";
  return more === 0 ? START : { low: 0x80, high: 0xbf, more: more - 1 };
}
