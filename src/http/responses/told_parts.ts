import { PeerError } from "../../base/mod.ts";
import type { TextChunk } from "../answer_shape.ts";
import { drawId } from "../draw_id.ts";
import { logprobRows } from "../ollama_lines.ts";
import { isObject } from "../wire/mod.ts";
import type { Item } from "./items.ts";

const CALL_ID_LENGTH = 8;

/** What one step of an answer adds, in this API's own form, so that it may be kept and told again. */
export type ToldPart =
  | {
    readonly kind: "text" | "thinking";
    /** Never empty. */
    readonly delta: string;
    readonly logprobs: readonly unknown[];
  }
  | {
    readonly kind: "call";
    readonly callId: string;
    readonly name: string;
    /** JSON. */
    readonly arguments: string;
  };

/**
 * How the texts of a response's items came, part by part: characters of each, and how many tokens with probabilities they
 * are. With it the events that its client had can be told again.
 */
export type Cuts = readonly (readonly [chars: number, logprobs: number])[];

/** What of an answer a chunk adds, in the order in which it is told. */
export function partsOf(chunk: TextChunk): readonly ToldPart[] {
  const { thinking = "", content, toolCalls = [] } = chunk;
  const rows: unknown = logprobRows(chunk.logprobs ?? []);
  const logprobs: readonly unknown[] = Array.isArray(rows) ? rows : [];
  return [
    ...thinking === "" ? [] : [{ kind: "thinking", delta: thinking, logprobs: [] } as const],
    ...content === "" ? [] : [{ kind: "text", delta: content, logprobs } as const],
    ...toolCalls.map((call): ToldPart => ({
      kind: "call",
      callId: call.id ?? `call_${drawId(CALL_ID_LENGTH)}`,
      name: call.name,
      arguments: JSON.stringify(call.arguments),
    })),
  ];
}

/** The parts of a response that is kept; without its cuts each item is one. */
export function* partsOfKept(output: readonly Item[], cuts: Cuts): Generator<ToldPart> {
  const left = cuts[Symbol.iterator]();
  for (const item of output) {
    const { text = "", logprobs = [] } = textPart(item) ?? {};
    if (item["type"] === "function_call") {
      const { call_id: callId, name, arguments: written } = item;
      yield {
        kind: "call",
        callId: String(callId),
        name: String(name),
        arguments: String(written),
      };
    }
    const kind = item["type"] === "reasoning" ? "thinking" : "text";
    for (let at = 0, row = 0; at < text.length;) {
      const [chars = text.length, rows = logprobs.length] = left.next().value ?? [];
      const delta = text.slice(at, at + Math.max(1, chars));
      yield { kind, delta, logprobs: logprobs.slice(row, row + rows) };
      at += delta.length;
      row += rows;
    }
  }
}

/** What another node tells of a response. @throws PeerError `malformed_frame` */
export function readPart(json: string): ToldPart {
  const value: unknown = JSON.parse(json);
  if (isObject(value)) {
    const { kind, delta, logprobs, callId, name, arguments: written } = value;
    if ((kind === "text" || kind === "thinking") && typeof delta === "string") {
      return { kind, delta, logprobs: Array.isArray(logprobs) ? logprobs : [] };
    }
    const isCall = kind === "call" && typeof callId === "string" && typeof name === "string";
    if (isCall && typeof written === "string") return { kind, callId, name, arguments: written };
  }
  throw new PeerError("malformed_frame", "What a peer told is no part of a response");
}

function textPart(item: Item): { text: string; logprobs: readonly unknown[] } | undefined {
  for (const list of [item["content"], item["summary"]]) {
    const [part] = Array.isArray(list) ? list : [];
    if (!isObject(part) || typeof part["text"] !== "string") continue;
    const { text, logprobs } = part;
    return { text, logprobs: Array.isArray(logprobs) ? logprobs : [] };
  }
  return undefined;
}
