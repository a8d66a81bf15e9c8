import { STRING_MARKS } from "./call_format.ts";

/** Lists and objects in each other at most. */
const DEPTH_MAX = 32;
const QUOTES = [...STRING_MARKS, '"""', "'''", '"', "'"];
const WORDS: Readonly<Record<string, unknown>> = {
  True: true,
  False: false,
  None: null,
  true: true,
  false: false,
  null: null,
};
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f" };

/** The text isn't what it was taken for. */
export class Unreadable extends Error {}

/** Reads values as Python, JSON and their relatives write them, from left to right. */
export class ValueReader {
  readonly text: string;
  at: number;

  constructor(text: string, at = 0) {
    this.text = text;
    this.at = at;
  }

  skipSpace(): void {
    while (/\s/.test(this.text.charAt(this.at))) this.at++;
  }

  /** Whether `literal` comes next, white space aside; then it is passed. */
  take(literal: string): boolean {
    this.skipSpace();
    if (!this.text.startsWith(literal, this.at)) return false;
    this.at += literal.length;
    return true;
  }

  /** @throws Unreadable when something else comes. */
  expect(literal: string): void {
    if (!this.take(literal)) throw new Unreadable(literal);
  }

  /**
   * The text before the first of the literals that comes: it is passed, another is left, and where none of several comes,
   * all that is left is the text.
   *
   * @throws Unreadable where the only one doesn't come.
   */
  until([close = "", ...others]: readonly string[]): string {
    const ends = [close, ...others].map((mark) => this.text.indexOf(mark, this.at));
    const end = Math.min(...ends.map((at) => at === -1 ? Infinity : at));
    if (end === Infinity && others.length === 0) throw new Unreadable(close);
    const text = this.text.slice(this.at, end);
    this.at = Math.min(end, this.text.length);
    if (end === ends[0]) this.at += close.length;
    return text;
  }

  /** A name with dots and dashes. @throws Unreadable */
  name(): string {
    this.skipSpace();
    const found = /^[\p{L}_$][\p{L}\p{N}_.$-]*/u.exec(this.text.slice(this.at, this.at + 256))?.[0];
    if (found === undefined) throw new Unreadable("name");
    this.at += found.length;
    return found;
  }

  /** @throws Unreadable */
  value(depth = 0): unknown {
    if (depth > DEPTH_MAX) throw new Unreadable("depth");
    if (this.take("{")) return this.#object(depth);
    if (this.take("[")) return this.#list("]", depth);
    if (this.take("(")) return this.#list(")", depth);
    const quote = QUOTES.find((mark) => this.take(mark));
    return quote === undefined ? this.#bare() : this.#string(quote);
  }

  #object(depth: number): Record<string, unknown> {
    const entries: [string, unknown][] = [];
    while (!this.take("}")) {
      const quote = QUOTES.find((mark) => this.take(mark));
      const key = quote === undefined ? this.name() : this.#string(quote);
      if (!this.take(":")) this.expect("=");
      entries.push([key, this.value(depth + 1)]);
      if (this.take(",")) continue;
      this.expect("}");
      break;
    }
    return Object.fromEntries(entries);
  }

  #list(close: string, depth: number): unknown[] {
    const items: unknown[] = [];
    while (!this.take(close)) {
      items.push(this.value(depth + 1));
      if (this.take(",")) continue;
      this.expect(close);
      break;
    }
    return items;
  }

  #string(quote: string): string {
    // The marks of one family are tokens, so that nothing between them needs escaping.
    if (STRING_MARKS.includes(quote)) return this.until([quote]);
    let text = "";
    for (; this.at < this.text.length; this.at++) {
      if (this.text.startsWith(quote, this.at)) {
        this.at += quote.length;
        return text;
      }
      text += this.text.charAt(this.at) === "\\" ? this.#escape() : this.text.charAt(this.at);
    }
    throw new Unreadable("open string");
  }

  /** Stands on the backslash, and leaves on the last character of what it begins. */
  #escape(): string {
    const character = this.text.charAt(++this.at);
    const digits = { u: 4, x: 2 }[character];
    if (digits === undefined) return ESCAPES[character] ?? character;
    const hex = this.text.slice(this.at + 1, this.at + 1 + digits);
    if (!/^[0-9a-fA-F]+$/.test(hex) || hex.length !== digits) throw new Unreadable("escape");
    this.at += digits;
    return String.fromCharCode(Number.parseInt(hex, 16));
  }

  #bare(): unknown {
    this.skipSpace();
    const word = /^[^\s,:=()[\]{}"'<]+/.exec(this.text.slice(this.at))?.[0] ?? "";
    const known = Object.hasOwn(WORDS, word);
    if (!known && !/^[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(word)) {
      throw new Unreadable(word);
    }
    this.at += word.length;
    return known ? WORDS[word] : Number(word.replaceAll("_", ""));
  }
}
