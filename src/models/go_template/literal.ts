import type { GoConstant } from "./ast.ts";

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
};
const ESCAPE = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([\s\S]))/y;

/** The text of a `"…"` or `` `…` `` literal; undefined when an escape is wrong. */
export function unquote(literal: string): string | undefined {
  const body = literal.slice(1, -1);
  if (literal.startsWith("`")) return body.replaceAll("\r", "");
  let text = "";
  // Bytes of \x and \ooo escapes gather here, because together they may be one UTF-8 character.
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length > 0) text += new TextDecoder().decode(Uint8Array.from(bytes));
    bytes = [];
  };
  for (let at = 0; at < body.length;) {
    if (body.charAt(at) !== "\\") {
      flush();
      text += body.charAt(at++);
      continue;
    }
    ESCAPE.lastIndex = at;
    const match = ESCAPE.exec(body);
    if (match === null) return undefined;
    const [whole, hex, short, long, octal, letter] = match;
    const byte = hex !== undefined ? parseInt(hex, 16) : octal && parseInt(octal, 8);
    if (typeof byte === "number") {
      if (byte > 255) return undefined;
      bytes.push(byte);
    } else {
      flush();
      const point = short ?? long;
      const shown = point === undefined
        ? ESCAPES[letter ?? ""]
        : fromCodePoint(parseInt(point, 16));
      if (shown === undefined || letter === "'") return undefined;
      text += shown;
    }
    at += whole.length;
  }
  flush();
  return text;
}

/** A number or character literal; undefined when it isn't one. */
export function parseNumber(literal: string): GoConstant | undefined {
  const plain = literal.replaceAll("_", "");
  if (/^[+-]?0[xXbBoO]/.test(plain)) {
    const negative = plain.startsWith("-");
    const value = Number(plain.replace(/^[+-]/, ""));
    return Number.isNaN(value) ? undefined : { type: "int", value: negative ? -value : value };
  }
  if (/^[+-]?0[0-9]+$/.test(plain)) {
    // A leading zero means octal, so 09 is no number.
    return /[89]/.test(plain) ? undefined : { type: "int", value: parseInt(plain, 8) };
  }
  const value = Number(plain);
  if (plain === "" || Number.isNaN(value)) return undefined;
  return { type: /^[+-]?[0-9]+$/.test(plain) ? "int" : "float", value };
}

/** The code point of a `'x'` literal. */
export function parseCharacter(literal: string): GoConstant | undefined {
  const body = literal.slice(1, -1);
  const text = body === '"' || body === "\\'"
    ? body.slice(-1)
    : body === '\\"'
    ? undefined
    : unquote(`"${body}"`);
  const points = [...text ?? ""];
  return points.length === 1 ? { type: "int", value: points[0]?.codePointAt(0) ?? 0 } : undefined;
}

function fromCodePoint(value: number): string | undefined {
  return value > 0x10ffff || (value >= 0xd800 && value < 0xe000)
    ? undefined
    : String.fromCodePoint(value);
}
