import type { Answer, AnswerChunk, AnswerMetrics, Clock, TokenLogprobRow } from "../ports/mod.ts";
import type { ToolCall } from "../protocol/mod.ts";
import { utcTime } from "./wire/mod.ts";

type TextChunk = Extract<AnswerChunk, { kind: "text" }>;
type DoneChunk = Extract<AnswerChunk, { kind: "done" }>;
type RenderedAnswer = Extract<Answer, { kind: "rendered" }>;

/** How one native endpoint words its answer: line by line, or gathered into one object. */
export interface LineShape {
  loadLine(reason: "load" | "unload"): unknown;
  renderedLine(answer: RenderedAnswer): unknown;
  line(chunk: AnswerChunk): unknown;
  /** Keeps a chunk for {@link whole}. */
  gather(chunk: TextChunk): void;
  whole(chunk: DoneChunk): unknown;
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

/** Lines of /api/generate (contract 1.4). */
export class GenerateLines implements LineShape {
  readonly #model: string;
  readonly #clock: Clock;
  readonly #raw: boolean;
  readonly #gathered = new Gathered();
  // Only the last line carries calls here, so a stream keeps them until then.
  readonly #toolCalls: ToolCall[] = [];

  /** `model` is echoed as the client spelled it. */
  constructor(model: string, clock: Clock, options: { readonly raw: boolean }) {
    this.#model = model;
    this.#clock = clock;
    this.#raw = options.raw;
  }

  loadLine(reason: "load" | "unload"): unknown {
    return { ...this.#head(), response: "", done: true, done_reason: reason };
  }

  renderedLine(answer: RenderedAnswer): unknown {
    return { ...this.#head(), response: "", done: false, _debug_info: debugBody(answer) };
  }

  line(chunk: AnswerChunk): unknown {
    if (chunk.kind === "done") return this.#last(chunk, { response: "" }, this.#toolCalls);
    this.#toolCalls.push(...chunk.toolCalls ?? []);
    return {
      ...this.#head(),
      response: chunk.content,
      thinking: chunk.thinking || undefined,
      done: false,
      logprobs: logprobRows(chunk.logprobs),
    };
  }

  gather(chunk: TextChunk): void {
    this.#gathered.add(chunk);
  }

  whole(chunk: DoneChunk): unknown {
    const { content, thinking, logprobs, toolCalls } = this.#gathered;
    const text = { response: content, thinking: thinking || undefined };
    return { ...this.#last(chunk, text, toolCalls), logprobs: logprobRows(logprobs) };
  }

  #last(chunk: DoneChunk, text: object, toolCalls: readonly ToolCall[]): object {
    return {
      ...this.#head(),
      ...text,
      tool_calls: toolCallRows(toolCalls),
      done: true,
      done_reason: chunk.doneReason,
      context: this.#raw || chunk.context.length === 0 ? undefined : chunk.context,
      ...metricFields(chunk.metrics),
    };
  }

  #head() {
    return { model: this.#model, created_at: utcTime(this.#clock.nowMs()) };
  }
}

/** Lines of /api/chat (contract 1.5). */
export class ChatLines implements LineShape {
  readonly #model: string;
  readonly #clock: Clock;
  readonly #tools: boolean;
  readonly #gathered = new Gathered();

  /** `tools`: whether the request offered any; only then a gathered answer carries calls. */
  constructor(model: string, clock: Clock, options: { readonly tools: boolean }) {
    this.#model = model;
    this.#clock = clock;
    this.#tools = options.tools;
  }

  loadLine(reason: "load" | "unload"): unknown {
    return { ...this.#head(), message: assistant(), done: true, done_reason: reason };
  }

  renderedLine(answer: RenderedAnswer): unknown {
    return {
      ...this.#head(),
      message: assistant(),
      done: false,
      _debug_info: debugBody(answer),
    };
  }

  line(chunk: AnswerChunk): unknown {
    if (chunk.kind === "done") return this.#last(chunk, assistant());
    return {
      ...this.#head(),
      message: assistant(chunk.content, chunk.thinking, chunk.toolCalls),
      done: false,
      logprobs: logprobRows(chunk.logprobs),
    };
  }

  gather(chunk: TextChunk): void {
    this.#gathered.add(chunk);
  }

  whole(chunk: DoneChunk): unknown {
    const { content, thinking, toolCalls, logprobs } = this.#gathered;
    const message = assistant(content, thinking, this.#tools ? toolCalls : undefined);
    return { ...this.#last(chunk, message), logprobs: logprobRows(logprobs) };
  }

  #last(chunk: DoneChunk, message: object): object {
    return {
      ...this.#head(),
      message,
      done: true,
      done_reason: chunk.doneReason,
      ...metricFields(chunk.metrics),
    };
  }

  #head() {
    return { model: this.#model, created_at: utcTime(this.#clock.nowMs()) };
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
    load_duration: spanNs(metrics.loadNs),
    prompt_eval_count: metrics.promptEvalCount || undefined,
    prompt_eval_duration: spanNs(metrics.promptEvalNs),
    eval_count: metrics.evalCount || undefined,
    eval_duration: spanNs(metrics.evalNs),
  };
}

/** Whole nanoseconds, or undefined for 0, which the contract leaves out. */
export function spanNs(durationNs: number): number | undefined {
  return Math.round(durationNs) || undefined;
}
