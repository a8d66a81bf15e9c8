import type { AnswerChunk, AnswerMetrics, TokenLogprobRow } from "../../ports/mod.ts";
import type { ToolCall } from "../../protocol/mod.ts";
import type { AnswerShape, DoneChunk, TextChunk } from "../answer_shape.ts";
import { drawId } from "../draw_id.ts";
import type { Exchange } from "../exchange.ts";
import { logprobRows } from "../ollama_lines.ts";
import { type Failure, plainJsonAnswer } from "../wire/mod.ts";

/** Of an answer's id: clients keep answers under it, so no two may have the same. */
const ANSWER_ID_LENGTH = 24;
const TOOL_CALL_ID_LENGTH = 8;

/** What an answer object says in every one of its chunks. */
export interface AnswerHead {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

/** A head with a fresh id. `model` is echoed as the client spelled it. */
export function answerHead(
  prefix: "chatcmpl" | "cmpl",
  model: string,
  exchange: Exchange,
): AnswerHead {
  return {
    id: `${prefix}-${exchange.drawId(ANSWER_ID_LENGTH)}`,
    created: Math.floor(exchange.startedAtMs / 1000),
    model,
  };
}

/** One event of a stream. */
function sseEvent(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

const STREAM_END = "data: [DONE]\n\n";

/** An error in the OpenAI API's words, whether as an answer or as a stream's last event. */
export function openAiErrorBody(failure: Failure): object {
  const type = failure.status === 400
    ? "invalid_request_error"
    : failure.status === 404
    ? "not_found_error"
    : "api_error";
  return { error: { message: failure.message, type, param: null, code: null } };
}

/** Usage of an answer that only loaded the model. */
export const NO_TOKENS: AnswerMetrics = {
  totalNs: 0,
  loadNs: 0,
  promptEvalCount: 0,
  promptEvalNs: 0,
  evalCount: 0,
  evalNs: 0,
};

/** How one choice of a completion is told. */
export interface ChoiceOptions {
  readonly includeUsage: boolean;
  /** Its number among the choices; default 0. */
  readonly index?: number;
  /** One of several: what ends their stream is told by {@link EventShape.ending}, once. */
  readonly isOneOfMany?: boolean;
}

type Tokens = Pick<AnswerMetrics, "promptEvalCount" | "evalCount">;

/** What both kinds of completion share. */
abstract class EventShape implements AnswerShape {
  readonly contentType = "text/event-stream";
  abstract encode(chunk: AnswerChunk): string;
  abstract gather(chunk: TextChunk): void;
  abstract whole(
    done: Pick<DoneChunk, "doneReason" | "metrics">,
  ): { readonly choices: readonly object[] };
  /** The last events of a stream. */
  abstract ending(tokens: Tokens): string;

  usage(tokens: Tokens): object {
    return usageOf(tokens);
  }

  wholeAnswer(value: unknown): Response {
    return plainJsonAnswer(value);
  }

  encodeFailure(failure: Failure): string {
    // The official clients raise an event with `error`; a stream that merely stopped would pass for a whole answer.
    return sseEvent(openAiErrorBody(failure));
  }
}

/** /v1/chat/completions (contract 1.13). One object serves one answer. */
export class ChatCompletion extends EventShape {
  readonly #head: AnswerHead;
  readonly #options: ChoiceOptions;
  readonly #index: number;
  #roleSent = false;
  #callCount = 0;
  #content = "";
  #reasoning = "";
  readonly #calls: unknown[] = [];
  readonly #logprobs: TokenLogprobRow[] = [];

  constructor(head: AnswerHead, options: ChoiceOptions) {
    super();
    this.#head = head;
    this.#options = options;
    this.#index = options.index ?? 0;
  }

  override encode(chunk: AnswerChunk): string {
    if (chunk.kind === "done") return this.#lastEvents(chunk);
    const reasoning = chunk.thinking ?? "";
    const calls = this.#toolCalls(chunk.toolCalls ?? []);
    const logprobs = chunkLogprobs(chunk.logprobs);
    const rest = { content: chunk.content, tool_calls: calls };
    if (reasoning === "") return this.#event({ ...rest }, { logprobs });
    if (chunk.content === "" && calls === undefined) {
      return this.#event({ ...rest, reasoning }, { logprobs });
    }
    // Clients expect one kind of text per chunk: the thought, then what was said.
    return this.#event({ reasoning }) + this.#event({ ...rest }, { logprobs });
  }

  override gather(chunk: TextChunk): void {
    this.#content += chunk.content;
    this.#reasoning += chunk.thinking ?? "";
    this.#calls.push(...this.#toolCalls(chunk.toolCalls ?? []) ?? []);
    this.#logprobs.push(...chunk.logprobs ?? []);
  }

  override whole(chunk: Pick<DoneChunk, "doneReason" | "metrics">) {
    const message = {
      role: "assistant",
      content: this.#content,
      reasoning: this.#reasoning || undefined,
      tool_calls: this.#calls.length === 0 ? undefined : this.#calls,
    };
    const finishReason = this.#finishReason(chunk);
    const logprobs = chunkLogprobs(this.#logprobs);
    return {
      ...this.#fields("chat.completion"),
      choices: [{ index: this.#index, message, finish_reason: finishReason, logprobs }],
      usage: usageOf(chunk.metrics),
    };
  }

  #lastEvents(chunk: DoneChunk): string {
    const opening = this.#roleSent ? "" : this.#event({ content: "" });
    const finish = sseEvent({
      ...this.#fields("chat.completion.chunk"),
      choices: [{ index: this.#index, delta: {}, finish_reason: this.#finishReason(chunk) }],
    });
    const ending = this.#options.isOneOfMany === true ? "" : this.ending(chunk.metrics);
    return opening + finish + ending;
  }

  override ending(tokens: Tokens): string {
    if (!this.#options.includeUsage) return STREAM_END;
    const usage = { choices: [], usage: usageOf(tokens) };
    return sseEvent({ ...this.#fields("chat.completion.chunk"), ...usage }) + STREAM_END;
  }

  #event(delta: object, extras: object = {}): string {
    const role = this.#roleSent ? undefined : "assistant";
    this.#roleSent = true;
    return sseEvent({
      ...this.#fields("chat.completion.chunk"),
      choices: [{
        index: this.#index,
        delta: { role, ...delta },
        finish_reason: null,
        ...extras,
      }],
    });
  }

  #toolCalls(calls: readonly ToolCall[]): unknown[] | undefined {
    if (calls.length === 0) return undefined;
    return calls.map((call) => {
      const index = call.index ?? this.#callCount;
      this.#callCount++;
      const called = { name: call.name, arguments: JSON.stringify(call.arguments) };
      return {
        id: call.id ?? `call_${drawId(TOOL_CALL_ID_LENGTH)}`,
        index,
        type: "function",
        function: called,
      };
    });
  }

  #finishReason(chunk: Pick<DoneChunk, "doneReason">): string {
    // An answer that was cut is not complete, whatever calls it made until then.
    return this.#callCount > 0 && chunk.doneReason !== "length" ? "tool_calls" : chunk.doneReason;
  }

  #fields(object: string): object {
    const { id, created, model } = this.#head;
    return { id, object, created, model, system_fingerprint: "fp_ollama" };
  }
}

/** /v1/completions (contract 1.13). One object serves one answer. */
export class TextCompletion extends EventShape {
  readonly #head: AnswerHead;
  readonly #options: ChoiceOptions;
  readonly #index: number;
  #text = "";

  constructor(head: AnswerHead, options: ChoiceOptions) {
    super();
    this.#head = head;
    this.#options = options;
    this.#index = options.index ?? 0;
  }

  override encode(chunk: AnswerChunk): string {
    const text = chunk.kind === "text" ? chunk.content : "";
    const finishReason = chunk.kind === "text" ? null : chunk.doneReason;
    const event = sseEvent(
      this.#body([{ text, index: this.#index, finish_reason: finishReason }], this.#zeroUsage()),
    );
    const goesOn = chunk.kind === "text" || this.#options.isOneOfMany === true;
    return goesOn ? event : event + this.ending(chunk.metrics);
  }

  override ending(tokens: Tokens): string {
    const usage = this.#options.includeUsage ? sseEvent(this.#body([], usageOf(tokens))) : "";
    return usage + STREAM_END;
  }

  override gather(chunk: TextChunk): void {
    this.#text += chunk.content;
  }

  override whole(chunk: Pick<DoneChunk, "doneReason" | "metrics">) {
    const choice = { text: this.#text, index: this.#index, finish_reason: chunk.doneReason };
    return this.#body([choice], usageOf(chunk.metrics));
  }

  #zeroUsage(): object | undefined {
    return this.#options.includeUsage ? usageOf({ promptEvalCount: 0, evalCount: 0 }) : undefined;
  }

  #body(choices: readonly object[], usage: object | undefined) {
    const { id, created, model } = this.#head;
    return {
      id,
      object: "text_completion",
      created,
      model,
      system_fingerprint: "fp_ollama",
      choices,
      usage,
    };
  }
}

function chunkLogprobs(rows: readonly TokenLogprobRow[] | undefined): object | undefined {
  const content = logprobRows(rows);
  return content === undefined ? undefined : { content };
}

function usageOf(
  metrics: Pick<AnswerMetrics, "promptEvalCount" | "promptCachedCount" | "evalCount">,
): object {
  const { promptCachedCount } = metrics;
  return {
    prompt_tokens: metrics.promptEvalCount,
    completion_tokens: metrics.evalCount,
    total_tokens: metrics.promptEvalCount + metrics.evalCount,
    ...(promptCachedCount !== undefined && {
      prompt_tokens_details: { cached_tokens: promptCachedCount },
    }),
  };
}
