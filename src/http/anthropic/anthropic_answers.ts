import type { AnswerChunk, PromptUsage } from "../../ports/mod.ts";
import type { ToolCall } from "../../protocol/mod.ts";
import type { AnswerShape, DoneChunk, TextChunk } from "../answer_shape.ts";
import { drawId } from "../draw_id.ts";
import { type Failure, plainJsonAnswer } from "../wire/mod.ts";

const TOOL_USE_ID_LENGTH = 24;
/** Nothing here can tell altered thinking; clients drop thinking whose signature is empty. */
const SIGNATURE = "unsigned";

/** What Anthropic's clients call an error of this status. */
const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  409: "conflict_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
  504: "timeout_error",
};

/** An error in the Messages API's words, whether as an answer or as a stream's last event. */
export function anthropicErrorBody({ status, message, requestId }: Failure) {
  const error = { type: ERROR_TYPES[status] ?? "api_error", message };
  return { type: "error", error, request_id: requestId } as const;
}

/** What an answer says of itself, and how it is read. */
export interface MessageHead {
  readonly id: string;
  /** As the client spelled it. */
  readonly model: string;
  /** The request's own stop sequences: those of the model are no news. */
  readonly stops: readonly string[];
  /** Settled with the first chunk. */
  readonly promptUsage: () => PromptUsage;
}

type Block =
  | { readonly type: "thinking"; readonly thinking: string; readonly signature: string }
  | { readonly type: "text"; readonly text: string }
  | ReturnType<typeof toolUse>;

/** /v1/messages. One object serves one answer. */
export class MessageAnswer implements AnswerShape {
  readonly contentType = "text/event-stream";
  readonly beat = event({ type: "ping" });
  readonly #head: MessageHead;
  /** Of a stream: which block is open; of a whole answer: unused. */
  #open: "thinking" | "text" | undefined;
  #blockCount = 0;
  #started = false;
  #called = false;
  readonly #blocks: Block[] = [];

  constructor(head: MessageHead) {
    this.#head = head;
  }

  wholeAnswer(value: unknown): Response {
    return plainJsonAnswer(value);
  }

  encode(chunk: AnswerChunk): string {
    const start = this.#start();
    return start + (chunk.kind === "done" ? this.#end(chunk) : this.#pieces(chunk));
  }

  encodeFailure(failure: Failure): string {
    return event(anthropicErrorBody(failure));
  }

  gather(chunk: TextChunk): void {
    const last = () => this.#blocks.at(-1);
    const { thinking = "", content, toolCalls = [] } = chunk;
    if (thinking !== "") {
      const before = last();
      if (before?.type === "thinking") this.#blocks.pop();
      const text = before?.type === "thinking" ? before.thinking + thinking : thinking;
      this.#blocks.push({ type: "thinking", thinking: text, signature: SIGNATURE });
    }
    if (content !== "") {
      const before = last();
      if (before?.type === "text") this.#blocks.pop();
      this.#blocks.push({
        type: "text",
        text: before?.type === "text" ? before.text + content : content,
      });
    }
    this.#blocks.push(...toolCalls.map(toolUse));
    if (toolCalls.length > 0) this.#called = true;
  }

  whole(done: Pick<DoneChunk, "doneReason" | "metrics" | "stopString">): object {
    const { metrics } = done;
    return {
      ...this.#message(this.#blocks),
      ...this.#stop(done),
      usage: { ...promptUsageOf(metrics), output_tokens: metrics.evalCount },
    };
  }

  /** The answer to a request that generates nothing. */
  empty(): object {
    const usage = { ...promptUsageOf({ promptEvalCount: 0 }), output_tokens: 0 };
    return { ...this.#message([]), stop_reason: "end_turn", stop_sequence: null, usage };
  }

  #message(content: readonly Block[]) {
    const { id, model } = this.#head;
    return { id, type: "message", role: "assistant", model, content } as const;
  }

  /** What comes before the first block. */
  #start(): string {
    if (this.#started) return "";
    this.#started = true;
    const usage = { ...promptUsageOf(this.#head.promptUsage()), output_tokens: 0 };
    const message = { ...this.#message([]), stop_reason: null, stop_sequence: null, usage };
    return event({ type: "message_start", message }) + this.beat;
  }

  #pieces({ thinking = "", content, toolCalls = [] }: TextChunk): string {
    let text = "";
    if (thinking !== "") {
      const block = { type: "thinking", thinking: "", signature: "" };
      text += this.#opened("thinking", block) + this.#delta({ type: "thinking_delta", thinking });
    }
    if (content !== "") {
      text += this.#opened("text", { type: "text", text: "" }) +
        this.#delta({ type: "text_delta", text: content });
    }
    return text + toolCalls.map((call) => this.#toolUse(call)).join("");
  }

  #opened(kind: "thinking" | "text", block: object): string {
    if (this.#open === kind) return "";
    const closed = this.#closed();
    this.#open = kind;
    return closed + this.#begun(block);
  }

  #toolUse(call: ToolCall): string {
    const closed = this.#closed();
    this.#called = true;
    const { input, ...block } = toolUse(call);
    const begun = this.#begun({ ...block, input: {} });
    const delta = this.#delta({ type: "input_json_delta", partial_json: JSON.stringify(input) });
    return closed + begun + delta + this.#stopped();
  }

  #begun(block: object): string {
    return event({ type: "content_block_start", index: this.#blockCount, content_block: block });
  }

  #delta(delta: object): string {
    return event({ type: "content_block_delta", index: this.#blockCount, delta });
  }

  /** Ends the block that text or thinking still goes into. */
  #closed(): string {
    if (this.#open === undefined) return "";
    const signed = this.#open === "thinking"
      ? this.#delta({ type: "signature_delta", signature: SIGNATURE })
      : "";
    this.#open = undefined;
    return signed + this.#stopped();
  }

  #stopped(): string {
    return event({ type: "content_block_stop", index: this.#blockCount++ });
  }

  #end(done: DoneChunk): string {
    const usage = { ...promptUsageOf(done.metrics), output_tokens: done.metrics.evalCount };
    return this.#closed() +
      event({ type: "message_delta", delta: this.#stop(done), usage }) +
      event({ type: "message_stop" });
  }

  #stop({ doneReason, stopString }: Pick<DoneChunk, "doneReason" | "stopString">) {
    const reason = (name: string) => ({ stop_reason: name, stop_sequence: null });
    // An answer that was cut is not complete, whatever calls it made until then.
    if (doneReason === "length") return reason("max_tokens");
    if (this.#called) return reason("tool_use");
    if (stopString === undefined || !this.#head.stops.includes(stopString)) {
      return reason("end_turn");
    }
    return { stop_reason: "stop_sequence", stop_sequence: stopString };
  }
}

function toolUse(call: ToolCall) {
  return {
    type: "tool_use",
    id: call.id ?? `toolu_${drawId(TOOL_USE_ID_LENGTH)}`,
    name: call.name,
    input: call.arguments,
    caller: { type: "direct" },
  } as const;
}

/** In these terms the input is what had to be computed; the rest was read from the runner's cache. */
function promptUsageOf({ promptEvalCount, promptCachedCount = 0 }: PromptUsage) {
  return {
    input_tokens: promptEvalCount - promptCachedCount,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: promptCachedCount,
  };
}

function event<T extends { readonly type: string }>(value: T): string {
  return `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`;
}
