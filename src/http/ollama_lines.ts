import type {
  Answer,
  AnswerChunk,
  AnswerMetrics,
  Clock,
  PromptUsage,
  TokenLogprobRow,
} from "../ports/mod.ts";
import type { ToolCall } from "../protocol/mod.ts";
import type { AnswerShape, DoneChunk, TextChunk } from "./answer_shape.ts";
import type { Exchange } from "./exchange.ts";
import { type Failure, jsonAnswer, utcTime } from "./wire/mod.ts";

/** Native streams: one JSON object per line. */
const NDJSON_CONTENT_TYPE = "application/x-ndjson";

type RenderedAnswer = Extract<Answer, { kind: "rendered" }>;

/** An error in the native API's words, whether as an answer or as a stream's last line. */
export function nativeErrorBody(failure: Failure): object {
  return { error: failure.message };
}

/** One line of a native stream. */
function ndjsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

/** Answers with a line for each item; a failure after the first is the stream's last line. */
export function streamLines(exchange: Exchange, items: AsyncIterable<object>): Promise<Response> {
  return exchange.stream(items, {
    contentType: NDJSON_CONTENT_TYPE,
    encode: ndjsonLine,
    encodeFailure: (error) => ndjsonLine(nativeErrorBody(exchange.describe(error))),
  });
}

/** What `stream:false` gathers from the chunks of an answer. */
class Gathered {
  content = "";
  thinking = "";
  readonly toolCalls: ToolCall[] = [];
  readonly logprobs: TokenLogprobRow[] = [];

  add(chunk: TextChunk): void {
    this.content += chunk.content;
    this.thinking += chunk.thinking ?? "";
    this.toolCalls.push(...chunk.toolCalls ?? []);
    this.logprobs.push(...chunk.logprobs ?? []);
  }
}

/** How a native endpoint words its answers. */
export abstract class NativeLines implements AnswerShape {
  readonly contentType = NDJSON_CONTENT_TYPE;
  protected readonly gathered = new Gathered();
  readonly #model: string;
  readonly #clock: Clock;

  /** `model` is echoed as the client spelled it. */
  constructor(model: string, clock: Clock) {
    this.#model = model;
    this.#clock = clock;
  }

  /** The answer to a request that only loads or unloads. */
  abstract loadLine(reason: "load" | "unload"): unknown;
  /** The answer to `_debug_render_only`. */
  abstract renderedLine(answer: RenderedAnswer): unknown;
  abstract whole(done: DoneChunk): unknown;
  protected abstract line(chunk: AnswerChunk): object;

  encode(chunk: AnswerChunk): string {
    return ndjsonLine(this.line(chunk));
  }

  wholeAnswer(value: unknown): Response {
    return jsonAnswer(value);
  }

  encodeFailure(failure: Failure): string {
    return ndjsonLine(nativeErrorBody(failure));
  }

  gather(chunk: TextChunk): void {
    this.gathered.add(chunk);
  }

  /** What every line begins with. */
  protected head() {
    return { model: this.#model, created_at: utcTime(this.#clock.nowMs()) };
  }
}

/** Lines of /api/generate (contract 1.4). */
export class GenerateLines extends NativeLines {
  readonly #raw: boolean;
  // Only the last line carries calls here, so a stream keeps them until then.
  readonly #toolCalls: ToolCall[] = [];

  /** `raw`: the reply carries no context then. */
  constructor(model: string, clock: Clock, options: { readonly raw: boolean }) {
    super(model, clock);
    this.#raw = options.raw;
  }

  override loadLine(reason: "load" | "unload"): unknown {
    return { ...this.head(), response: "", done: true, done_reason: reason };
  }

  override renderedLine(answer: RenderedAnswer): unknown {
    return { ...this.head(), response: "", done: false, _debug_info: debugBody(answer) };
  }

  protected override line(chunk: AnswerChunk): object {
    if (chunk.kind === "done") return this.#last(chunk, { response: "" }, this.#toolCalls);
    this.#toolCalls.push(...chunk.toolCalls ?? []);
    return {
      ...this.head(),
      response: chunk.content,
      thinking: chunk.thinking || undefined,
      done: false,
      logprobs: logprobRows(chunk.logprobs),
    };
  }

  override whole(chunk: DoneChunk): unknown {
    const { content, thinking, logprobs, toolCalls } = this.gathered;
    const text = { response: content, thinking: thinking || undefined };
    return { ...this.#last(chunk, text, toolCalls), logprobs: logprobRows(logprobs) };
  }

  #last(chunk: DoneChunk, text: object, toolCalls: readonly ToolCall[]): object {
    return {
      ...this.head(),
      ...text,
      tool_calls: toolCallRows(toolCalls),
      done: true,
      done_reason: chunk.doneReason,
      context: this.#raw || chunk.context.length === 0 ? undefined : chunk.context,
      ...metricFields(chunk.metrics),
    };
  }
}

/** Lines of /api/chat (contract 1.5). */
export class ChatLines extends NativeLines {
  readonly #tools: boolean;

  /** `tools`: whether the request offered any; only then a gathered answer carries calls. */
  constructor(model: string, clock: Clock, options: { readonly tools: boolean }) {
    super(model, clock);
    this.#tools = options.tools;
  }

  override loadLine(reason: "load" | "unload"): unknown {
    return { ...this.head(), message: assistant(), done: true, done_reason: reason };
  }

  override renderedLine(answer: RenderedAnswer): unknown {
    // Nobody has said anything.
    const message = { role: "", content: "" };
    return { ...this.head(), message, done: false, _debug_info: debugBody(answer) };
  }

  protected override line(chunk: AnswerChunk): object {
    if (chunk.kind === "done") return this.#last(chunk, assistant());
    return {
      ...this.head(),
      message: assistant(chunk.content, chunk.thinking, chunk.toolCalls),
      done: false,
      logprobs: logprobRows(chunk.logprobs),
    };
  }

  override whole(chunk: DoneChunk): unknown {
    const { content, thinking, toolCalls, logprobs } = this.gathered;
    const message = assistant(content, thinking, this.#tools ? toolCalls : undefined);
    return { ...this.#last(chunk, message), logprobs: logprobRows(logprobs) };
  }

  #last(chunk: DoneChunk, message: object): object {
    return {
      ...this.head(),
      message,
      done: true,
      done_reason: chunk.doneReason,
      ...metricFields(chunk.metrics),
    };
  }
}

function assistant(content = "", thinking?: string, toolCalls?: readonly ToolCall[]): object {
  return {
    role: "assistant",
    content,
    thinking: thinking || undefined,
    tool_calls: toolCallRows(toolCalls),
  };
}

function debugBody(answer: RenderedAnswer): object {
  return { rendered_template: answer.text, image_count: answer.imageCount || undefined };
}

function toolCallRows(toolCalls: readonly ToolCall[] | undefined): unknown {
  if (toolCalls === undefined || toolCalls.length === 0) return undefined;
  return toolCalls.map((call, position) => ({
    id: call.id,
    function: { index: call.index ?? position, name: call.name, arguments: call.arguments },
  }));
}

/** Contract 1.8, undefined when there are none. */
export function logprobRows(rows: readonly TokenLogprobRow[] | undefined): unknown {
  if (rows === undefined || rows.length === 0) return undefined;
  return rows.map((row) => ({
    ...logprobEntry(row),
    top_logprobs: row.topLogprobs?.length ? row.topLogprobs.map(logprobEntry) : undefined,
  }));
}

function logprobEntry(row: Pick<TokenLogprobRow, "token" | "logprob" | "bytes">): object {
  return { token: row.token, logprob: row.logprob, bytes: Array.from(row.bytes) };
}

function metricFields(metrics: AnswerMetrics): object {
  return {
    total_duration: spanNs(metrics.totalNs),
    load_duration: loadSpanNs(metrics.loadNs),
    prompt_eval_count: metrics.promptEvalCount || undefined,
    prompt_cache: cacheFields(metrics),
    prompt_eval_duration: spanNs(metrics.promptEvalNs),
    eval_count: metrics.evalCount || undefined,
    eval_duration: spanNs(metrics.evalNs),
    drafts: metrics.drafts,
  };
}

/** Not of the contract: what of the prompt was computed before, from where it came, and why it was no more. */
function cacheFields(
  { promptEvalCount, promptCachedCount = 0, prefix, volatileLines }: PromptUsage,
): object | undefined {
  if (prefix === undefined) return volatileLines && { volatile_lines: volatileLines };
  return {
    matched: prefix.matchedTokens,
    reused: promptCachedCount,
    recomputed: promptEvalCount - promptCachedCount,
    source: prefix.source,
    end: prefix.end,
    volatile_lines: volatileLines,
  };
}

/** Whole nanoseconds, never 0: typed clients refuse an answer without `load_duration`, which the contract then leaves out. */
export function loadSpanNs(durationNs: number): number {
  return spanNs(durationNs) ?? 1;
}

/** Whole nanoseconds, or undefined for 0, which the contract leaves out. */
export function spanNs(durationNs: number): number | undefined {
  return Math.round(durationNs) || undefined;
}
