import type { CallFormat } from "./call_format.ts";
import { readCalls } from "./read_calls.ts";
import { partialMatchLength } from "./text_search.ts";
import { type CallPiece, type CallSource, TOOL_CALL_CHARS_MAX } from "./call_source.ts";
import type { ToolNames } from "./tool_names.ts";

/** Ends of a block that turn out to stand inside an argument at most, before its text is given out as it is. */
const FALSE_ENDS_MAX = 16;

/**
 * Calls that are read as a whole, once what ends them has come. A block that holds anything but calls of known tools is
 * content, unchanged.
 */
export class CallBlockParser implements CallSource {
  readonly #format: CallFormat;
  readonly #tools: ToolNames;
  /** `plain`: no call can come any more. */
  #phase: "text" | "block" | "after" | "plain" = "text";
  /** Invariant: text not yet given out; in phase `block` it begins with the opening tag. */
  #held = "";
  /** Where the search for the end goes on. */
  #searchedTo = 0;
  #falseEnds = 0;

  constructor(format: CallFormat, tools: ToolNames) {
    this.#format = format;
    this.#tools = tools;
  }

  push(text: string): readonly CallPiece[] {
    this.#held += text;
    const pieces: CallPiece[] = [];
    while (this.#advance(pieces));
    return pieces;
  }

  flush(): readonly CallPiece[] {
    const text = this.#held;
    this.#held = "";
    const calls = this.#phase === "block"
      ? this.#read(text.slice(this.#format.open.length))
      : undefined;
    if (calls !== undefined) return calls;
    return text === "" || this.#phase === "after" ? [] : [{ kind: "content", text }];
  }

  /** One step; false when more text is needed. */
  #advance(pieces: CallPiece[]): boolean {
    if (this.#held === "") return false;
    switch (this.#phase) {
      case "text":
        return this.#format.open === "" ? this.#lookAtStart() : this.#lookForTag(pieces);
      case "block":
        return this.#readBlock(pieces);
      case "after":
        return this.#leaveBlock();
      case "plain":
        this.#release(pieces, this.#held.length);
        return false;
    }
  }

  #lookForTag(pieces: CallPiece[]): boolean {
    const { open } = this.#format;
    const at = this.#held.indexOf(open);
    this.#release(
      pieces,
      at === -1 ? this.#held.length - partialMatchLength(this.#held, open) : at,
    );
    if (at !== -1) this.#begin(open.length);
    return at !== -1;
  }

  /** Without a tag only an answer that begins as a list of calls is looked at. */
  #lookAtStart(): boolean {
    const begun = /^\s*(\[\s*)?([\w.$-]*)(\s*\()?/.exec(this.#held);
    const [all = "", bracket, word = "", paren] = begun ?? [];
    const isOpen = all.length === this.#held.length;
    if (bracket !== undefined && paren !== undefined && this.#tools.find(word) !== undefined) {
      this.#begin(0);
      return true;
    }
    const mayCome = isOpen && paren === undefined && word.length < 128 &&
      (bracket !== undefined || word === "");
    if (!mayCome) this.#phase = "plain";
    return !mayCome;
  }

  #readBlock(pieces: CallPiece[]): boolean {
    const { open, close } = this.#format;
    const end = this.#findEnd();
    if ((end ?? this.#held.length) > TOOL_CALL_CHARS_MAX) return this.#giveUp(pieces);
    if (end === undefined) return false;
    const bodyEnd = close === "" ? end : end - close.length;
    const body = this.#held.slice(open.length, bodyEnd);
    const calls = endsInArgument(body) ? undefined : this.#read(body);
    if (calls === undefined) return this.#tryNextEnd(end, pieces);
    pieces.push(...calls);
    this.#held = this.#held.slice(end);
    this.#phase = "after";
    return true;
  }

  /** The index behind the next end not tried yet. */
  #findEnd(): number | undefined {
    const close = this.#format.close === "" ? "]" : this.#format.close;
    const at = this.#held.indexOf(close, this.#searchedTo);
    if (at === -1) {
      this.#searchedTo = Math.max(this.#searchedTo, this.#held.length - close.length + 1);
      return undefined;
    }
    return at + close.length;
  }

  /** What looks like the end may stand in an argument, as long as the block begins as calls do. */
  #tryNextEnd(end: number, pieces: CallPiece[]): boolean {
    this.#searchedTo = end;
    this.#falseEnds++;
    const body = this.#held.slice(this.#format.open.length, end);
    if (this.#falseEnds > FALSE_ENDS_MAX || !beginsCall(body, this.#tools)) {
      return this.#giveUp(pieces);
    }
    return true;
  }

  #read(body: string): readonly CallPiece[] | undefined {
    // Tags such as `<function=` are part of what is read.
    const { open, close, syntaxes } = this.#format;
    const whole = /[=\s]$/.test(open) ? open + body + close : body;
    return readCalls(whole, syntaxes, this.#tools)?.map((call) => ({ kind: "tool_call", call }));
  }

  /** Only the tag is content for certain: what follows it may hold the tag of a real call. */
  #giveUp(pieces: CallPiece[]): boolean {
    const { open } = this.#format;
    this.#release(pieces, open === "" ? this.#held.length : open.length);
    this.#phase = open === "" ? "plain" : "text";
    return true;
  }

  /** White space behind a call belongs to it. */
  #leaveBlock(): boolean {
    this.#held = this.#held.trimStart();
    if (this.#held === "") return false;
    this.#phase = this.#format.open === "" ? "plain" : "text";
    return true;
  }

  #begin(searchFrom: number): void {
    this.#searchedTo = searchFrom;
    this.#falseEnds = 0;
    this.#phase = "block";
  }

  #release(pieces: CallPiece[], length: number): void {
    if (length > 0) pieces.push({ kind: "content", text: this.#held.slice(0, length) });
    this.#held = this.#held.slice(length);
  }
}

/** Whether an argument was opened and not closed: then what looks like the end of the call is part of it. */
function endsInArgument(body: string): boolean {
  return ["parameter", "param", "arg_value"].some((tag) => {
    const opened = Math.max(...["=", " ", ">"].map((next) => body.lastIndexOf(`<${tag}${next}`)));
    return opened > body.lastIndexOf(`</${tag}>`);
  });
}

/** Whether the text names a known tool where a call would. */
function beginsCall(body: string, tools: ToolNames): boolean {
  const words = body.slice(0, 256).match(/[\w.$:-]+/g) ?? [];
  return words.slice(0, 8).some((word) =>
    tools.find(word) !== undefined || tools.find(word.replace(/^call:/, "")) !== undefined
  );
}
