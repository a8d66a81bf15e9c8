import type { CallableTool, SegmentFormat } from "./call_format.ts";
import { parseObject, type WrittenCall } from "./read_tool_call.ts";
import { partialMatchLength } from "./text_search.ts";
import { TOOL_CALL_CHARS_MAX } from "./call_source.ts";
import { ToolNames } from "./tool_names.ts";

/** A longer text is no header. */
const HEADER_CHARS_MAX = 256;
/** Openings inside the arguments of one call at most: each costs a look at all of them. */
const FALSE_OPENS_MAX = 16;

/** A piece of an answer in parts. `text` is never empty. */
export type SegmentPiece =
  | { readonly kind: "thinking" | "content"; readonly text: string }
  | { readonly kind: "tool_call"; readonly call: WrittenCall };

/** Whom a part is for. */
type Route =
  | { readonly kind: "thinking" | "content" }
  | { readonly kind: "tool"; readonly tool: CallableTool };

/**
 * Splits an answer whose parts each stand behind a header: thinking, content, and the arguments of a call. What is no
 * header is content.
 */
export class SegmentParser {
  readonly #format: SegmentFormat;
  readonly #tools: ToolNames;
  readonly #toolNames: readonly string[];
  #phase: "header" | "body";
  #route: Route = { kind: "content" };
  /** What began the header that is being read. */
  #opened = "";
  #held = "";
  /** Characters of `#held` in which nothing begins: what looked like a header there was none. */
  #searchFrom = 0;
  #falseOpens = 0;
  /** Characters of the answer before `#held`. */
  #passed = 0;
  #firstContentAt: number | undefined;

  constructor(format: SegmentFormat, tools: readonly CallableTool[]) {
    this.#format = format;
    this.#tools = new ToolNames(tools);
    this.#toolNames = tools.map((tool) => tool.name);
    this.#phase = format.startsInHeader ? "header" : "body";
  }

  /** Where the first content began, in characters of the answer. */
  get firstContentAt(): number | undefined {
    return this.#firstContentAt;
  }

  push(text: string): readonly SegmentPiece[] {
    this.#held += text;
    const pieces: SegmentPiece[] = [];
    while (
      this.#held !== "" && (this.#phase === "header" ? this.#readHeader() : this.#read(pieces))
    );
    return pieces;
  }

  /** Gives out what was held back. */
  flush(): readonly SegmentPiece[] {
    const pieces: SegmentPiece[] = [];
    if (this.#phase === "header") {
      // A header that nothing follows says nothing.
      if (this.#opened !== "" && this.#mayBeHeader()) this.#held = "";
      this.#phase = "body";
    }
    if (this.#route.kind === "tool") this.#closeCall(pieces, this.#held.length);
    else this.#give(pieces, this.#held.length);
    return pieces;
  }

  /** What was read beyond the first content is written again by another run. */
  dropHeld(): void {
    this.#held = "";
    this.#searchFrom = 0;
    this.#phase = "body";
    this.#route = { kind: "content" };
  }

  #readHeader(): boolean {
    const end = this.#held.indexOf(this.#format.headerEnd);
    const route = end === -1 ? undefined : this.#routeOf(this.#held.slice(0, end));
    if (route !== undefined) {
      this.#skip(end + this.#format.headerEnd.length);
      this.#route = route;
      this.#falseOpens = 0;
      this.#opened = "";
    } else if (end === -1 && this.#mayBeHeader()) {
      return false;
    } else {
      // What looked like one belongs to the part it stands in.
      this.#held = this.#opened + this.#held;
      this.#passed -= this.#opened.length;
      this.#searchFrom = Math.max(1, this.#opened.length);
      this.#opened = "";
    }
    this.#phase = "body";
    return true;
  }

  #mayBeHeader(): boolean {
    if (this.#held.length > HEADER_CHARS_MAX) return false;
    const begun = this.#held.trimStart();
    const starts = {
      channels: ["<|channel|>", "to=", "<|constrain|>"],
      recipients: ["all", ...this.#toolNames],
      names: this.#toolNames,
      addressees: ["to=", this.#format.headerEnd],
    }[this.#format.headers];
    return starts.some((start) => start.startsWith(begun) || begun.startsWith(start));
  }

  #routeOf(header: string): Route | undefined {
    if (this.#format.headers === "addressees") return addressee(header.trim());
    if (this.#format.headers !== "channels") return this.#recipient(header.trim());
    const tool = /\bto=([^\s<]+)/.exec(header)?.[1];
    const named = tool === undefined ? undefined : this.#tools.find(tool);
    if (named !== undefined) return { kind: "tool", tool: named };
    const channel = /<\|channel\|>\s*(\w+)/.exec(header)?.[1];
    if (channel === undefined) return undefined;
    return { kind: channel === "analysis" ? "thinking" : "content" };
  }

  #recipient(name: string): Route | undefined {
    const forAll = this.#format.headers === "names" ? "" : "all";
    if (name === forAll) return { kind: "content" };
    const tool = this.#tools.find(name);
    return tool === undefined ? undefined : { kind: "tool", tool };
  }

  /** One step through a part; false when more text is needed. */
  #read(pieces: SegmentPiece[]): boolean {
    const marks = [...this.#format.opens, ...this.#format.ends];
    const next = firstOf(marks, this.#held, this.#searchFrom);
    if (next === undefined) {
      const rest = this.#held.slice(this.#searchFrom);
      const held = Math.max(...marks.map((mark) => partialMatchLength(rest, mark)));
      const length = this.#held.length - held;
      if (this.#route.kind !== "tool") this.#give(pieces, length);
      else if (length > TOOL_CALL_CHARS_MAX) this.#leaveCall();
      else this.#searchFrom = Math.max(this.#searchFrom, length);
      return false;
    }
    const isOpening = this.#format.opens.includes(next.mark);
    const isChannel = isOpening && next.mark === "<|channel|>";
    if (this.#route.kind === "tool") {
      if (isOpening && !this.#endsCall(next.at)) {
        this.#searchFrom = next.at + next.mark.length;
        if (++this.#falseOpens <= FALSE_OPENS_MAX) return true;
        this.#leaveCall();
        this.#give(pieces, this.#held.length);
        return false;
      }
      this.#closeCall(pieces, next.at);
    } else this.#give(pieces, next.at);
    this.#opened = "";
    // The word is part of the header that it begins.
    if (!isChannel) this.#skip(next.mark.length);
    if (isOpening) {
      this.#phase = "header";
      this.#opened = isChannel ? "" : next.mark;
    } else this.#route = { kind: "content" };
    return true;
  }

  /** Whether the arguments are complete there: they may hold what begins a header. */
  #endsCall(at: number): boolean {
    return parseObject(this.#held.slice(0, at).trim()) !== undefined;
  }

  #closeCall(pieces: SegmentPiece[], length: number): void {
    if (this.#route.kind !== "tool") return;
    const { tool } = this.#route;
    const text = this.#held.slice(0, length).trim();
    const found = text === "" ? {} : parseObject(text);
    this.#route = { kind: "content" };
    if (found === undefined) return this.#give(pieces, length);
    this.#skip(length);
    pieces.push({ kind: "tool_call", call: { name: tool.name, arguments: found } });
  }

  /** Too long for a call: then it is text. */
  #leaveCall(): void {
    this.#route = { kind: "content" };
  }

  #give(pieces: SegmentPiece[], length: number): void {
    if (length <= 0) return;
    const { kind } = this.#route;
    if (kind !== "tool") {
      if (kind === "content") this.#firstContentAt ??= this.#passed;
      pieces.push({ kind, text: this.#held.slice(0, length) });
    }
    this.#skip(length);
  }

  #skip(length: number): void {
    this.#held = this.#held.slice(length);
    this.#searchFrom = Math.max(0, this.#searchFrom - length);
    this.#passed += length;
  }
}

/** What is said to a tool holds its call, in tags of its own. */
function addressee(header: string): Route | undefined {
  if (header === "to=self") return { kind: "thinking" };
  return header === "" || /^to=\S+$/.test(header) ? { kind: "content" } : undefined;
}

function firstOf(
  marks: readonly string[],
  text: string,
  from: number,
): { readonly mark: string; readonly at: number } | undefined {
  const found = marks.map((mark) => ({ mark, at: text.indexOf(mark, from) }));
  return found.filter(({ at }) => at !== -1)
    .sort((a, b) => a.at - b.at || b.mark.length - a.mark.length)[0];
}
