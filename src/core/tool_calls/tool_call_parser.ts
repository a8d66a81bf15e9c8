import type { CallFormat } from "./call_format.ts";
import { type CallPiece, type CallSource, TOOL_CALL_CHARS_MAX } from "./call_source.ts";
import { JsonObjectScan } from "./json_object_scan.ts";
import { findToolCall } from "./read_tool_call.ts";
import { partialMatchLength } from "./text_search.ts";
import type { ToolNames } from "./tool_names.ts";

/** Characters between a tag and the JSON object of its call at most; beyond it the tag was ordinary text. */
export const TOOL_CALL_PREFIX_CHARS_MAX = 256;
/** What JSON may stand in. */
const FENCE = "```";

/**
 * Finds tool calls in an answer (contract 1.6). With a tag, each occurrence of it may begin a call anywhere; without one
 * (`""`, `"{"` or `"["`), only an answer that begins with JSON is looked at. Calls come out as soon as they are complete;
 * text that turns out not to be a call is content, unchanged. White space and closing syntax right after a call belong to
 * the call.
 */
export class ToolCallParser implements CallSource {
  readonly #tag: string;
  readonly #closing: string;
  readonly #tools: ToolNames;
  /** `plain`: no call can come any more. */
  #phase: "text" | "call" | "after" | "plain" = "text";
  /** Invariant: text not yet given out, in order; in phase `call` it begins with the tag. */
  #held = "";
  /** Characters at the front of `#held` that are the tag; 0 for calls without one. */
  #tagLength = 0;
  #scan: { readonly start: number; readonly end: JsonObjectScan } | undefined;
  /** A list of calls was opened and not closed. */
  #inList = false;
  /** A call stood in a fence of backticks, which is still to be closed. */
  #inFence = false;

  /** Without a closing text of its own, a tag has the one that goes with it. */
  constructor(format: Pick<CallFormat, "open" | "close">, tools: ToolNames) {
    const tag = format.open.trim();
    this.#tag = tag === "{" || tag === "[" ? "" : tag;
    this.#closing = format.close === "" ? closingTag(this.#tag) : format.close;
    this.#tools = tools;
  }

  push(text: string): readonly CallPiece[] {
    this.#held += text;
    const pieces: CallPiece[] = [];
    while (this.#advance(pieces));
    return pieces;
  }

  /** Releases what was held back; an unfinished call is content. */
  flush(): readonly CallPiece[] {
    const text = this.#phase === "after" ? "" : this.#held;
    this.#held = "";
    return text === "" ? [] : [{ kind: "content", text }];
  }

  /** One step; false when more text is needed. */
  #advance(pieces: CallPiece[]): boolean {
    if (this.#held === "") return false;
    switch (this.#phase) {
      case "text":
        return this.#tag === "" ? this.#lookForJson() : this.#lookForTag(pieces);
      case "call":
        return this.#readCall(pieces);
      case "after":
        return this.#leaveCall();
      case "plain":
        this.#release(pieces, this.#held.length);
        return false;
    }
  }

  #lookForTag(pieces: CallPiece[]): boolean {
    const at = this.#held.indexOf(this.#tag);
    if (at === -1) {
      this.#release(pieces, this.#held.length - partialMatchLength(this.#held, this.#tag));
      return false;
    }
    this.#release(pieces, at);
    this.#beginCall(this.#tag.length);
    return true;
  }

  #lookForJson(): boolean {
    const first = this.#held.trimStart().charAt(0);
    if (first === "") return false;
    if (first === "{" || first === "[") this.#beginCall(0);
    else this.#phase = "plain";
    return true;
  }

  #readCall(pieces: CallPiece[]): boolean {
    if (this.#scan === undefined) {
      const start = this.#held.indexOf("{", this.#tagLength);
      const before = this.#held.slice(this.#tagLength, start === -1 ? undefined : start);
      if (!this.#mayPrecedeCall(before)) return this.#giveUp(pieces);
      if (start === -1) return false;
      this.#scan = { start, end: new JsonObjectScan(start) };
    }
    const { start } = this.#scan;
    const end = this.#scan.end.findEnd(this.#held);
    if ((end ?? this.#held.length) > TOOL_CALL_CHARS_MAX) return this.#giveUp(pieces);
    if (end === undefined) return false;
    const before = this.#held.slice(this.#tagLength, start);
    const call = findToolCall(this.#held.slice(start, end), { before, tools: this.#tools });
    if (call === undefined) return this.#giveUp(pieces);
    pieces.push({ kind: "tool_call", call });
    if (before.includes(FENCE)) this.#inFence = true;
    if (before.trimEnd().endsWith("[")) this.#inList = true;
    this.#held = this.#held.slice(end);
    this.#phase = "after";
    return true;
  }

  #mayPrecedeCall(before: string): boolean {
    if (before.length > TOOL_CALL_PREFIX_CHARS_MAX) return false;
    // A model without a tag must begin with the call: prose between bracket and brace is an ordinary answer.
    if (this.#tagLength === 0) return /^[\s,;]*\[?\s*$/.test(before);
    return this.#closing === "" || !before.includes(this.#closing);
  }

  /** Only the tag is content for certain: what follows it may hold the tag of a real call. */
  #giveUp(pieces: CallPiece[]): boolean {
    this.#release(pieces, this.#tagLength);
    this.#scan = undefined;
    this.#inList = false;
    this.#phase = this.#tag === "" ? "plain" : "text";
    return true;
  }

  /** Skips what closes a call, then decides whether another follows at once. */
  #leaveCall(): boolean {
    let at = this.#skipSpace(0);
    if (this.#inList && this.#held.charAt(at) === "]") {
      this.#inList = false;
      this.#held = this.#held.slice(at + 1);
      at = this.#skipSpace(0);
    }
    const rest = this.#held.slice(at);
    if (rest === "") return false;
    if (this.#inFence && FENCE.startsWith(rest.slice(0, FENCE.length))) {
      if (rest.length < FENCE.length) return false;
      this.#inFence = false;
      this.#held = rest.slice(FENCE.length);
      return true;
    }
    if (this.#closing !== "" && rest.startsWith(this.#closing)) {
      this.#held = rest.slice(this.#closing.length);
      this.#inList = false;
      return true;
    }
    if (this.#closing.startsWith(rest)) return false;
    const next = /^[,;]\s*$/.test(rest) ? "" : rest.replace(/^[,;]\s*/, "").charAt(0);
    if (next === "") return false;
    this.#held = rest;
    if (next === "{" || (this.#tag === "" && next === "[")) this.#beginCall(0);
    else this.#phase = this.#tag === "" ? "plain" : "text";
    return true;
  }

  #beginCall(tagLength: number): void {
    this.#tagLength = tagLength;
    this.#scan = undefined;
    this.#phase = "call";
  }

  #skipSpace(from: number): number {
    return this.#held.length - this.#held.slice(from).trimStart().length;
  }

  #release(pieces: CallPiece[], length: number): void {
    if (length > 0) pieces.push({ kind: "content", text: this.#held.slice(0, length) });
    this.#held = this.#held.slice(length);
  }
}

/** `<tool_call>` closes with `</tool_call>`, `<function=` with `</function>`; other tags have no closing text. */
function closingTag(tag: string): string {
  const name = /^<([A-Za-z_][\w-]*)[=>\s]/.exec(tag + ">")?.[1];
  return name === undefined ? "" : `</${name}>`;
}
