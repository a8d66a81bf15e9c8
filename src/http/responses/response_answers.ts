import type { AnswerChunk } from "../../ports/mod.ts";
import type { AnswerShape, DoneChunk, TextChunk } from "../answer_shape.ts";
import { type Failure, isObject, plainJsonAnswer } from "../wire/mod.ts";
import { type Item, itemIdAt } from "./items.ts";
import { type Cuts, partsOf, type ToldPart } from "./told_parts.ts";

/** What a response says of itself from its first event on. */
export interface ResponseHead {
  readonly id: string;
  /** Seconds. */
  readonly createdAt: number;
  /** As the client spelled it. */
  readonly model: string;
  readonly background: boolean;
  readonly store: boolean;
  readonly summarizes: boolean;
  readonly echo: Readonly<Record<string, unknown>>;
}

/** How far a response is. */
export type ResponseStatus =
  | "queued"
  | "in_progress"
  | "completed"
  | "incomplete"
  | "failed"
  | "cancelled";

type Done = Pick<DoneChunk, "doneReason" | "metrics">;

/** An item that text still goes into. */
interface OpenItem {
  readonly kind: "text" | "thinking";
  readonly id: string;
  text: string;
  readonly logprobs: unknown[];
}

/** A response without an answer yet, or with none any more. */
export function bareResponse(head: ResponseHead, status: ResponseStatus, error?: Failure): Item {
  return {
    ...headFields(head),
    status,
    error: error === undefined ? null : { code: errorCode(error), message: error.message },
    incomplete_details: null,
    output: [],
    usage: null,
  };
}

/** What this API calls a failure of an answer. */
function errorCode({ status }: Failure): string {
  return status === 503 ? "rate_limit_exceeded" : status < 500 ? "invalid_prompt" : "server_error";
}

/** The head of a response that was kept. */
export function headOf(response: Item): ResponseHead {
  const { id, created_at, model, background, store, reasoning } = response;
  const isEcho = ([name]: readonly [string, unknown]) => !OWN_FIELDS.has(name);
  return {
    id: String(id),
    createdAt: Number(created_at),
    model: String(model),
    background: background === true,
    store: store === true,
    summarizes: isObject(reasoning) && (reasoning["summary"] ?? null) !== null,
    echo: Object.fromEntries(Object.entries(response).filter(isEcho)),
  };
}

/** What is not repeated from its request. */
const OWN_FIELDS = new Set([
  ..."id object created_at model background store".split(" "),
  ..."status error incomplete_details output usage".split(" "),
]);

function headFields(head: ResponseHead) {
  const { id, createdAt, model, background, store, echo } = head;
  return { id, object: "response", created_at: createdAt, model, background, store, ...echo };
}

export const EVENTS_CONTENT_TYPE = "text/event-stream";

/** /v1/responses. One object serves one answer, or tells one again. */
export class ResponseAnswer implements AnswerShape {
  readonly contentType = EVENTS_CONTENT_TYPE;
  readonly #head: ResponseHead;
  readonly #output: Item[] = [];
  #open: OpenItem | undefined;
  readonly #after: number;
  readonly #cuts: [number, number][] = [];
  #started = false;
  #eventCount = 0;

  /** Events up to the one with the number `after` are counted, and not told. */
  constructor(head: ResponseHead, after = -1) {
    this.#head = head;
    this.#after = after;
  }

  /** How its texts have come. */
  get cuts(): Cuts {
    return this.#cuts;
  }

  wholeAnswer(value: unknown): Response {
    return plainJsonAnswer(value);
  }

  encode(chunk: AnswerChunk): string {
    if (chunk.kind === "text") return this.start() + this.#take(chunk);
    return this.start() + this.end(this.whole(chunk));
  }

  encodeFailure(failure: Failure): string {
    return this.start() + this.end(this.ended("failed", failure));
  }

  gather(chunk: TextChunk): void {
    this.#take(chunk);
  }

  /** The end of a response, as it is found from now on. Of one that was cancelled nothing more is told. */
  end(response: Item): string {
    const status = response["status"];
    if (status === "cancelled") return "";
    const closed = status === "failed" ? "" : this.#closed(status === "incomplete");
    return this.start() + closed + this.#event(`response.${status}`, { response });
  }

  /** What there is of a response that did not come to its end. */
  ended(status: "failed" | "cancelled", failure?: Failure): Item {
    const open = this.#open === undefined ? [] : [this.#item(this.#open, true)];
    return {
      ...bareResponse(this.#head, status, failure),
      output: [...this.#output, ...open],
    };
  }

  /** The response as it will be once this chunk is told; may be asked before. */
  whole(done: Done): Item {
    const isCut = done.doneReason === "length";
    const open = this.#open === undefined ? [] : [this.#item(this.#open, isCut)];
    const { promptEvalCount, promptCachedCount = 0, evalCount } = done.metrics;
    const output = [...this.#output, ...open];
    const hasThought = output.some((item) => item["type"] === "reasoning");
    return {
      ...headFields(this.#head),
      status: isCut ? "incomplete" : "completed",
      error: null,
      incomplete_details: isCut ? { reason: "max_output_tokens" } : null,
      output,
      usage: {
        input_tokens: promptEvalCount,
        input_tokens_details: { cached_tokens: promptCachedCount },
        output_tokens: evalCount,
        // Of an answer that thought, nobody counted which tokens were thinking.
        output_tokens_details: hasThought ? {} : { reasoning_tokens: 0 },
        total_tokens: promptEvalCount + evalCount,
      },
    };
  }

  /** The first events, once. */
  start(): string {
    if (this.#started) return "";
    this.#started = true;
    const response = bareResponse(this.#head, "in_progress");
    return this.#event("response.created", { response }) +
      this.#event("response.in_progress", { response });
  }

  #take(chunk: TextChunk): string {
    return partsOf(chunk).map((part) => this.tell(part)).join("");
  }

  /** The events of one part. */
  tell(part: ToldPart): string {
    const start = this.start();
    if (part.kind === "call") return start + this.#call(part);
    const { kind, delta, logprobs } = part;
    this.#cuts.push([delta.length, logprobs.length]);
    const opened = start + this.#opened(kind);
    const open = this.#open;
    if (open === undefined) return opened;
    open.text += delta;
    open.logprobs.push(...logprobs);
    return opened + this.#event(this.#deltaName(kind), {
      ...this.#part(open),
      delta,
      ...(kind === "text" ? { logprobs } : {}),
    });
  }

  #opened(kind: OpenItem["kind"]): string {
    if (this.#open?.kind === kind) return "";
    const closed = this.#closed();
    const id = this.#itemId(kind === "text" ? "message" : "reasoning");
    const open: OpenItem = { kind, id, text: "", logprobs: [] };
    this.#open = open;
    const empty = kind === "text"
      ? { type: "message", id, role: "assistant", status: "in_progress", content: [] }
      : { type: "reasoning", id, status: "in_progress", summary: [], content: [] };
    const added = this.#event("response.output_item.added", {
      output_index: this.#output.length,
      item: empty,
    });
    const part = { ...this.#part(open), part: this.#partOf(open) };
    return closed + added + this.#event(`response.${this.#partName(kind)}.added`, part);
  }

  #closed(isCut = false): string {
    const open = this.#open;
    if (open === undefined) return "";
    const part = this.#part(open);
    const events = this.#event(this.#doneName(open.kind), {
      ...part,
      text: open.text,
      ...(open.kind === "text" ? { logprobs: open.logprobs } : {}),
    }) + this.#event(`response.${this.#partName(open.kind)}.done`, {
      ...part,
      part: this.#partOf(open),
    });
    this.#open = undefined;
    return events + this.#added(this.#item(open, isCut));
  }

  /** A call comes as a whole: its item, its arguments, its end. */
  #call(call: Extract<ToldPart, { kind: "call" }>): string {
    const closed = this.#closed();
    const { callId, name: called, arguments: text } = call;
    const id = this.#itemId("function_call");
    const item = { type: "function_call", id, call_id: callId, name: called };
    const place = { item_id: item.id, output_index: this.#output.length };
    const begun = this.#event("response.output_item.added", {
      output_index: this.#output.length,
      item: { ...item, arguments: "", status: "in_progress" },
    });
    const name = "response.function_call_arguments";
    return closed + begun + this.#event(`${name}.delta`, { ...place, delta: text }) +
      this.#event(`${name}.done`, { ...place, name: item.name, arguments: text }) +
      this.#added({ ...item, arguments: text, status: "completed" });
  }

  #added(item: Item): string {
    const output_index = this.#output.length;
    this.#output.push(item);
    return this.#event("response.output_item.done", { output_index, item });
  }

  #item(open: OpenItem, isCut: boolean): Item {
    const { id, kind } = open;
    const status = isCut ? "incomplete" : "completed";
    if (kind === "text") {
      return { type: "message", id, role: "assistant", status, content: [this.#partOf(open)] };
    }
    const part = this.#partOf(open);
    return this.#head.summarizes
      ? { type: "reasoning", id, status, summary: [part] }
      : { type: "reasoning", id, status, summary: [], content: [part] };
  }

  #partOf({ kind, text, logprobs }: OpenItem) {
    if (kind === "thinking") {
      return { type: this.#head.summarizes ? "summary_text" : "reasoning_text", text };
    }
    return { type: "output_text", text, annotations: [], logprobs };
  }

  #part({ id, kind }: OpenItem) {
    const index = kind === "thinking" && this.#head.summarizes ? "summary_index" : "content_index";
    return { item_id: id, output_index: this.#output.length, [index]: 0 };
  }

  #partName(kind: OpenItem["kind"]): string {
    return kind === "thinking" && this.#head.summarizes ? "reasoning_summary_part" : "content_part";
  }

  #deltaName(kind: OpenItem["kind"]): string {
    return `${this.#textName(kind)}.delta`;
  }

  #doneName(kind: OpenItem["kind"]): string {
    return `${this.#textName(kind)}.done`;
  }

  #textName(kind: OpenItem["kind"]): string {
    if (kind === "text") return "response.output_text";
    return this.#head.summarizes ? "response.reasoning_summary_text" : "response.reasoning_text";
  }

  #itemId(type: string): string {
    return itemIdAt(type, { responseId: this.#head.id, index: this.#output.length });
  }

  #event(type: string, fields: Readonly<Record<string, unknown>>): string {
    const event = { type, sequence_number: this.#eventCount++, ...fields };
    if (event.sequence_number <= this.#after) return "";
    return `event: ${type}\ndata: ${JSON.stringify(event)}\n\n`;
  }
}
