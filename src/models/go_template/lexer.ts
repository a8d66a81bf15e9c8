/** What a piece of a template is. `error` is always the last token; its text is the message. */
export type GoTokenKind =
  | "text"
  | "left"
  | "right"
  | "space"
  | "identifier"
  | "field"
  | "variable"
  | "dot"
  | "number"
  | "string"
  | "character"
  | "|"
  | "("
  | ")"
  | ","
  | "="
  | ":="
  | "other"
  | "eof"
  | "error";

/** A token; `at` is its index in the source, `line` counts from 1. */
export interface GoToken {
  readonly kind: GoTokenKind;
  readonly text: string;
  readonly at: number;
  readonly line: number;
}

const SPACE = /[ \t\r\n]/;
const WORD = /[\p{L}\p{Nd}_]/u;
const NUMBER =
  /[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:[0-9_]+\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?)/y;

/**
 * Cuts a Go template into tokens. Trim markers and comments are resolved here, so the parser sees only text and actions.
 * A mistake ends the list with an `error` token instead of throwing, because an earlier mistake of the parser's comes first.
 */
export function lexGoTemplate(source: string): readonly GoToken[] {
  return new GoLexer(source).run();
}

class GoLexer {
  readonly #source: string;
  readonly #tokens: GoToken[] = [];
  #at = 0;
  #line = 1;
  #lineCountedTo = 0;
  #parens = 0;
  #failed = false;

  constructor(source: string) {
    this.#source = source;
  }

  run(): readonly GoToken[] {
    let trimNext = false;
    while (!this.#failed) {
      const open = this.#source.indexOf("{{", this.#at);
      const end = open === -1 ? this.#source.length : open;
      const trimsBefore = open !== -1 && /^\{\{-[ \t\r\n]/.test(this.#source.slice(open, open + 4));
      this.#text(end, { start: trimNext, end: trimsBefore });
      if (open === -1) {
        this.#push("eof", this.#at, "");
        break;
      }
      trimNext = this.#action(trimsBefore ? 4 : 2);
    }
    return this.#tokens;
  }

  #text(end: number, trim: { start: boolean; end: boolean }): void {
    let start = this.#at;
    let stop = end;
    if (trim.start) { while (start < stop && this.#isSpace(start)) start++; }
    if (trim.end) { while (stop > start && this.#isSpace(stop - 1)) stop--; }
    if (stop > start) this.#push("text", start, this.#source.slice(start, stop));
    this.#at = end;
  }

  /** One `{{…}}`; true when its end trims the text that follows. */
  #action(openLength: number): boolean {
    const bodyAt = this.#at + openLength;
    if (this.#source.startsWith("/*", bodyAt)) return this.#comment(bodyAt);
    this.#push("left", this.#at, "{{");
    this.#at = bodyAt;
    this.#parens = 0;
    while (!this.#failed) {
      const closing = this.#closingLength(this.#at);
      if (closing > 0) {
        if (this.#parens > 0) {
          this.#fail("unclosed left paren");
          return false;
        }
        this.#push("right", this.#at, "}}");
        this.#at += closing;
        return closing > 2;
      }
      this.#token();
    }
    return false;
  }

  #comment(bodyAt: number): boolean {
    const end = this.#source.indexOf("*/", bodyAt + 2);
    if (end === -1) {
      this.#fail("unclosed comment");
      return false;
    }
    this.#at = end + 2;
    const closing = this.#closingLength(this.#at);
    if (closing === 0) this.#fail("comment ends before closing delimiter");
    this.#at += closing;
    return closing > 2;
  }

  /** 2 for `}}`, 4 for ` -}}` at this place, else 0. */
  #closingLength(at: number): number {
    if (this.#source.startsWith("}}", at)) return 2;
    return this.#isSpace(at) && this.#source.startsWith("-}}", at + 1) ? 4 : 0;
  }

  /** One token inside an action. */
  #token(): void {
    const at = this.#at;
    const character = this.#source.charAt(at);
    if (character === "") return this.#fail("unclosed action");
    if (this.#isSpace(at)) return this.#spaces();
    if (character === '"') return this.#quoted({ quote: '"', what: "quoted string" });
    if (character === "'") return this.#quoted({ quote: "'", what: "character constant" });
    if (character === "`") return this.#rawString();
    if (character === "$") return this.#word("variable", at + 1);
    if (character === "." && !/[0-9]/.test(this.#source.charAt(at + 1))) return this.#dot();
    if (/[0-9.+-]/.test(character)) return this.#number();
    if (WORD.test(character)) return this.#word("identifier", at);
    this.#sign(character);
  }

  #spaces(): void {
    const start = this.#at;
    // The last space may belong to ` -}}`, which the caller must see whole.
    do this.#at++; while (this.#isSpace(this.#at) && this.#closingLength(this.#at) === 0);
    this.#push("space", start, this.#source.slice(start, this.#at));
  }

  #sign(character: string): void {
    const at = this.#at;
    if (character === ":") {
      if (!this.#source.startsWith(":=", at)) return this.#fail("expected :=");
      this.#push(":=", at, ":=");
      this.#at += 2;
      return;
    }
    if (character === "(") this.#parens++;
    if (character === ")" && --this.#parens < 0) return this.#fail("unexpected right paren");
    if (
      character === "|" || character === "(" || character === ")" || character === "," ||
      character === "="
    ) {
      this.#push(character, at, character);
    } else if (/[!-~]/.test(character)) {
      this.#push("other", at, character);
    } else {
      return this.#fail(`unrecognized character in action: ${codePoint(this.#source, at)}`);
    }
    this.#at++;
  }

  #dot(): void {
    const at = this.#at;
    if (this.#wordEnd(at + 1) > at + 1) return this.#word("field", at + 1);
    if (!this.#terminatesWord(at + 1)) {
      return this.#fail(`bad character ${codePoint(this.#source, at + 1)}`);
    }
    this.#push("dot", at, ".");
    this.#at++;
  }

  #word(kind: "identifier" | "variable" | "field", from: number): void {
    const end = this.#wordEnd(from);
    if (!this.#terminatesWord(end)) {
      return this.#fail(`bad character ${codePoint(this.#source, end)}`);
    }
    this.#push(kind, this.#at, this.#source.slice(this.#at, end));
    this.#at = end;
  }

  #wordEnd(from: number): number {
    let end = from;
    while (end < this.#source.length && WORD.test(this.#source.charAt(end))) end++;
    return end;
  }

  #terminatesWord(at: number): boolean {
    return at >= this.#source.length || /[ \t\r\n.,|:)(]/.test(this.#source.charAt(at)) ||
      this.#closingLength(at) > 0;
  }

  #number(): void {
    NUMBER.lastIndex = this.#at;
    const text = NUMBER.exec(this.#source)?.[0] ?? this.#source.charAt(this.#at);
    const end = this.#at + text.length;
    if (!/[0-9]/.test(text) || WORD.test(this.#source.charAt(end))) {
      const shown = this.#source.slice(this.#at, this.#wordEnd(end));
      return this.#fail(`bad number syntax: ${JSON.stringify(shown)}`);
    }
    this.#push("number", this.#at, text);
    this.#at = end;
  }

  #quoted(options: { quote: string; what: string }): void {
    let end = this.#at + 1;
    while (this.#source.charAt(end) !== options.quote) {
      const character = this.#source.charAt(end);
      if (character === "" || character === "\n") {
        return this.#fail(`unterminated ${options.what}`);
      }
      end += character === "\\" ? 2 : 1;
    }
    this.#push(
      options.quote === '"' ? "string" : "character",
      this.#at,
      this.#source.slice(this.#at, end + 1),
    );
    this.#at = end + 1;
  }

  #rawString(): void {
    const end = this.#source.indexOf("`", this.#at + 1);
    if (end === -1) return this.#fail("unterminated raw quoted string");
    this.#push("string", this.#at, this.#source.slice(this.#at, end + 1));
    this.#at = end + 1;
  }

  #isSpace(at: number): boolean {
    return SPACE.test(this.#source.charAt(at));
  }

  #push(kind: GoTokenKind, at: number, text: string): void {
    for (; this.#lineCountedTo < at; this.#lineCountedTo++) {
      if (this.#source.charAt(this.#lineCountedTo) === "\n") this.#line++;
    }
    this.#tokens.push({ kind, text, at, line: this.#line });
  }

  #fail(message: string): void {
    this.#failed = true;
    this.#push("error", this.#at, message);
  }
}

/** `U+0041 'A'`, as Go prints a rune. */
function codePoint(source: string, at: number): string {
  const value = source.codePointAt(at) ?? 0;
  return `U+${
    value.toString(16).toUpperCase().padStart(4, "0")
  } '${(String.fromCodePoint(value))}'`;
}
