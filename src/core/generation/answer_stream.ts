import { assert } from "../../base/mod.ts";
import type { AnswerToken, FinishReason, ToolCall } from "../../protocol/mod.ts";
import {
  type CallableTool,
  CallChain,
  type CallFormat,
  type CallPiece,
  type SegmentFormat,
  SegmentParser,
  type SegmentPiece,
  STRING_MARKS,
  type WrittenCall,
} from "../tool_calls/mod.ts";
import { RepeatGuard, StopStrings, Utf8Tail } from "./token_text.ts";
import { ThinkingParser, type ThinkingTags } from "./thinking_parser.ts";

/** How an answer is to be read. */
export interface AnswerStreamOptions {
  /** Stop strings of the request and the model. */
  readonly stops: readonly string[];
  /** Absent = the answer isn't searched for thinking. */
  readonly thinking?: {
    readonly tags: ThinkingTags;
    /** The prompt ends with the opening tag. */
    readonly startsInside: boolean;
  };
  /** Absent = the answer has no parts behind headers. In its stead `thinking` is not looked at. */
  readonly segments?: SegmentFormat;
  /** Absent = the answer isn't searched for calls. */
  readonly tools?: Pick<AnswerFormat, "calls" | "noise"> & {
    readonly callable: readonly CallableTool[];
  };
  /**
   * What happens at the first content after thinking: `go_on` (default), or `pause` so that the caller restarts the run with
   * a grammar that must not bind the thinking (contract 1.5). Without `thinking` it has no effect.
   */
  readonly atContent?: "go_on" | "pause";
}

/** A part of the answer, in order. `text` is never empty; a call has its index but no id. */
export type AnswerPiece =
  | { readonly kind: "content"; readonly text: string }
  | { readonly kind: "thinking"; readonly text: string }
  | { readonly kind: "tool_call"; readonly call: ToolCall };

/**
 * Why nothing more comes. `stop_string`, `repetition` and `paused` end an answer that the runner is still working on: the
 * caller must cancel the run. The others repeat the runner's own reason.
 */
export type AnswerEnd = FinishReason | "stop_string" | "repetition" | "paused";

/** A fact about the run, as runners report it. */
export type AnswerEvent =
  | { readonly kind: "started"; readonly promptTokens: readonly number[] }
  | { readonly kind: "tokens"; readonly tokens: readonly AnswerToken[] };

/**
 * What another runner needs to go on: it prefills both lists and emits the token after them. Text that was received but is
 * still held back lives on in the {@link AnswerStream}, which outlives runners.
 */
export interface AnswerJournal {
  readonly promptTokens: readonly number[];
  readonly emittedTokens: readonly number[];
}

/**
 * One answer from tokens to what the reader sees, through any number of runners. Bytes are decoded, cut at stop strings,
 * split into thinking and content, searched for tool calls; what comes out doesn't depend on how the bytes were cut into
 * tokens or the tokens into events. Each token of an event is in the journal as soon as it was read, so a run that goes on
 * from the journal can neither lose nor repeat a byte.
 */
export class AnswerStream {
  readonly #options: AnswerStreamOptions;
  readonly #thinking: ThinkingParser | undefined;
  readonly #segments: SegmentParser | undefined;
  readonly #tools: CallChain | undefined;
  readonly #guard = new RepeatGuard();
  #utf8 = new Utf8Tail();
  #stops: StopStrings;
  #end: AnswerEnd | undefined;
  #stopString: string | undefined;
  #promptTokens: readonly number[] = [];
  #emittedTokens: number[] = [];
  #tokenCount = 0;
  #callCount = 0;
  /** Everything that passed the stop strings; kept only where {@link resumeAtContent} may need it. */
  #rawText = "";

  constructor(options: AnswerStreamOptions) {
    this.#options = options;
    this.#stops = new StopStrings(options.stops);
    this.#thinking = options.thinking &&
      new ThinkingParser(options.thinking.tags, { startsInside: options.thinking.startsInside });
    const { segments, tools } = options;
    this.#segments = segments && new SegmentParser(segments, tools?.callable ?? []);
    this.#tools = tools && new CallChain(tools, tools.callable);
  }

  /** Undefined while the answer goes on. */
  get end(): AnswerEnd | undefined {
    return this.#end;
  }

  /** Which stop string ended the answer, where one did. */
  get stopString(): string | undefined {
    return this.#stopString;
  }

  /** Tokens read so far, those before a pause included: the reader's `eval_count`. */
  get tokenCount(): number {
    return this.#tokenCount;
  }

  /** Takes what a runner reported; tokens after the end are ignored. */
  step(event: AnswerEvent): readonly AnswerPiece[] {
    if (event.kind === "started") {
      this.#promptTokens = event.promptTokens;
      return [];
    }
    const pieces: AnswerPiece[] = [];
    for (const token of event.tokens) {
      if (this.#end !== undefined) break;
      this.#emittedTokens.push(token.token);
      this.#tokenCount++;
      const text = this.#utf8.push(token.bytes);
      this.#readText(text, pieces);
      if (this.#end === undefined && this.#guard.push(text)) this.#close("repetition", pieces);
    }
    return joinPieces(pieces);
  }

  /** The runner is done: releases everything held back. After an end of its own the stream ignores it. */
  finish(reason: FinishReason): readonly AnswerPiece[] {
    if (this.#end !== undefined) return [];
    const pieces: AnswerPiece[] = [];
    this.#readText(this.#utf8.flush(), pieces);
    if (this.#end === undefined) this.#close(reason, pieces);
    return joinPieces(pieces);
  }

  /** A copy; stays true when the stream goes on. */
  journal(): AnswerJournal {
    return { promptTokens: this.#promptTokens, emittedTokens: [...this.#emittedTokens] };
  }

  /**
   * Goes on after `paused` with a run of its own. Returns what the new prompt must have after the old one: the thinking
   * with its tags. The journal starts anew with the new run's `started`.
   */
  resumeAtContent(): string {
    if (this.#end !== "paused") return "";
    this.#end = undefined;
    this.#promptTokens = [];
    this.#emittedTokens = [];
    this.#utf8 = new Utf8Tail();
    this.#stops = new StopStrings(this.#options.stops);
    return this.#rawText;
  }

  /** Decoded text through stop strings and parsers. */
  #readText(text: string, pieces: AnswerPiece[]): void {
    if (text === "") return;
    const shown = this.#stops.push(text);
    this.#parse(shown.text, pieces);
    if (shown.hit === undefined || this.#end !== undefined) return;
    this.#stopString = shown.hit;
    this.#close("stop_string", pieces);
  }

  #parse(text: string, pieces: AnswerPiece[]): void {
    if (text === "") return;
    const parser = this.#segments ?? this.#thinking;
    if (parser === undefined) return this.#parseContent(text, pieces);
    // Read before the push, because the push may be what begins the content.
    const mayPause = this.#mayPause();
    if (mayPause) this.#rawText += text;
    for (const piece of parser.push(text)) this.#take(piece, { mayPause, pieces });
  }

  #mayPause(): boolean {
    if (this.#options.atContent !== "pause") return false;
    if (this.#segments !== undefined) return this.#segments.firstContentAt === undefined;
    return this.#thinking?.inContent === false;
  }

  #take(piece: SegmentPiece, to: { mayPause: boolean; pieces: AnswerPiece[] }): void {
    // What came behind the first content is written again by the run under the grammar.
    if (this.#end === "paused") return;
    if (piece.kind === "thinking") {
      to.pieces.push(piece);
    } else if (piece.kind === "tool_call") {
      to.pieces.push(this.#numbered(piece.call));
    } else if (to.mayPause) {
      const begins = this.#contentStart(piece.text);
      assert(this.#rawText.startsWith(piece.text, begins), "Content stands where it was found", {
        begins,
      });
      this.#rawText = this.#rawText.slice(0, begins);
      this.#segments?.dropHeld();
      this.#end = "paused";
    } else {
      this.#parseContent(piece.text, to.pieces);
    }
  }

  /** A parser of thinking holds nothing back once content began, so that the content is exactly the end of the raw text. */
  #contentStart(content: string): number {
    return this.#segments?.firstContentAt ?? this.#rawText.length - content.length;
  }

  #parseContent(text: string, pieces: AnswerPiece[]): void {
    if (this.#tools === undefined) pieces.push({ kind: "content", text });
    else for (const piece of this.#tools.push(text)) pieces.push(this.#found(piece));
  }

  #found(piece: CallPiece): AnswerPiece {
    return piece.kind === "content" ? piece : this.#numbered(piece.call);
  }

  #numbered(call: WrittenCall): AnswerPiece {
    return { kind: "tool_call", call: { index: this.#callCount++, ...call } };
  }

  #close(reason: AnswerEnd, pieces: AnswerPiece[]): void {
    this.#parse(this.#stops.flush(), pieces);
    const mayPause = this.#mayPause();
    const parser = this.#segments ?? this.#thinking;
    for (const piece of parser?.flush() ?? []) this.#take(piece, { mayPause, pieces });
    for (const piece of this.#tools?.flush() ?? []) pieces.push(this.#found(piece));
    // Content found only now was written without the grammar: the pause stands, though the run is over.
    this.#end ??= reason;
  }
}

/** Neighbours of one kind become one piece, so that a batch of tokens costs one line of the reply. */
function joinPieces(pieces: readonly AnswerPiece[]): readonly AnswerPiece[] {
  const joined: AnswerPiece[] = [];
  for (const piece of pieces) {
    const last = joined.at(-1);
    if (piece.kind !== "tool_call" && last?.kind === piece.kind) {
      joined[joined.length - 1] = { kind: piece.kind, text: last.text + piece.text };
    } else {
      joined.push(piece);
    }
  }
  return joined;
}

/** How a family's answers are read. */
export interface AnswerFormat {
  readonly thinking?: ThinkingTags;
  readonly segments?: SegmentFormat;
  /** Each looked for in what the ones before it left. */
  readonly calls: readonly CallFormat[];
  /** Markup around content that no reader should see, with the white space behind it. */
  readonly noise?: readonly string[];
}

/** Every literal of a format that a vocabulary may have as a token of its own. */
export function literalsOf(format: AnswerFormat): readonly string[] {
  const { thinking, segments, calls, noise } = format;
  const all = [
    ...(thinking === undefined ? [] : [thinking.open, thinking.close]),
    ...(segments === undefined
      ? []
      : [...segments.opens, segments.headerEnd, ...segments.ends, ...CHANNEL_WORDS]),
    ...calls.flatMap(({ open, close }) => [open, close]),
    ...calls.some(({ syntaxes }) => syntaxes.includes("json")) ? NAME_MARKS : [],
    ...calls.some(({ syntaxes }) => syntaxes.includes("braces")) ? STRING_MARKS : [],
    ...noise ?? [],
  ];
  return [...new Set(all.map((text) => text.trim()).filter((text) => text !== ""))];
}

/** Stand in headers. */
const CHANNEL_WORDS = ["<|channel|>", "<|constrain|>"];
/** Stand between a name and its JSON. */
const NAME_MARKS = [
  "[ARGS]",
  "[CALL_ID]",
  "<｜tool▁sep｜>",
  "<|tool_call_argument_begin|>",
];
