import {
  type AnswerFormat,
  type AnswerPiece,
  type AnswerStreamOptions,
  type CallableTool,
  type CallsText,
  literalsOf,
} from "../core/generation/mod.ts";
import { familyById, type ResolvedOptions, type TemplateTraits } from "../models/mod.ts";
import type { AnswerToken, ThinkLevel, Tool, ToolCall } from "../protocol/mod.ts";
import { type CallWriting, type ForcedCall, JSON_CALLS } from "./forced_call.ts";
import type { RenderedText } from "./prompts.ts";
import type { AnswerReport } from "../core/answers/mod.ts";
import type { AnswerChunk, LineChanges, TokenLogprobRow } from "../ports/mod.ts";

/** What decides how an answer is read. */
export interface ReadingParts {
  readonly template: { readonly traits: TemplateTraits };
  readonly resolved: Pick<ResolvedOptions, "stop">;
  readonly prompt: RenderedText;
  readonly think: ThinkLevel | undefined;
  readonly tools: readonly Tool[];
  /** The answer must be a call, which a grammar writes. */
  readonly forced?: Pick<ForcedCall, "isOwn"> | undefined;
}

/** How an answer is read. */
export interface Reading {
  readonly stream: AnswerStreamOptions;
  /** Control tokens that must not be hidden, because the reading needs them. */
  readonly shownTags: readonly string[];
}

const BARE_JSON = { open: "", close: "", syntaxes: ["json"] } as const;

/** By the family's format, or by what the template showed of itself; raw answers are not parsed at all. */
export function readingOf(parts: ReadingParts, raw: boolean): Reading {
  const { traits } = parts.template;
  const own = parts.resolved.stop;
  if (raw) return { stream: { stops: own }, shownTags: [] };
  const { think, tools, prompt, forced } = parts;
  const family = familyById(traits.family);
  const known = family?.answer ?? probedFormat(traits);
  // Weights without a template may not have a token for the end of a turn.
  const stops = traits.kind === "none" ? [...own, ...family?.stops ?? []] : own;
  const format = forced?.isOwn === false ? { ...known, calls: [BARE_JSON] } : known;
  const segments = segmentsOf(format, prompt.text);
  const { thinkingTags } = traits;
  // A model that was told not to think may do it all the same.
  const thinks = segments === undefined && think !== undefined && thinkingTags !== undefined;
  const calls = tools.length > 0 ? format.calls : [];
  const noise = format.noise ?? [];
  const stream: AnswerStreamOptions = {
    stops,
    ...(segments === undefined ? {} : { segments }),
    ...(thinks
      ? { thinking: { tags: thinkingTags, startsInside: prompt.startsInsideThinking } }
      : {}),
    ...(tools.length + noise.length > 0
      ? { tools: { calls, noise, callable: tools.map(callable) } }
      : {}),
  };
  const shownTags = literalsOf({
    calls,
    noise,
    ...(segments === undefined ? {} : { segments }),
    ...(thinks ? { thinking: thinkingTags } : {}),
  });
  return { stream, shownTags };
}

/** How the model writes a call that it must make, behind this prompt. */
export function writingOf(parts: Pick<ReadingParts, "template" | "prompt" | "think">): CallWriting {
  const { traits } = parts.template;
  const family = familyById(traits.family);
  const format = family?.answer ?? probedFormat(traits);
  return {
    calls: family?.calls ?? probedCalls(format),
    literals: literalsOf(format),
    begun: openedBy(format, parts.prompt.text) ?? "",
    thinks: parts.think !== false,
  };
}

/** Headers are only expected where the prompt leaves off in one. */
function segmentsOf(format: AnswerFormat, prompt: string): AnswerFormat["segments"] {
  const { segments } = format;
  return segments && { ...segments, startsInHeader: openedBy(format, prompt) !== undefined };
}

/** What begins a header, where the prompt leaves off in one. */
function openedBy({ segments }: AnswerFormat, prompt: string): string | undefined {
  if (segments?.startsInHeader !== true) return undefined;
  const text = prompt.trimEnd();
  return segments.opens.find((open) => text.endsWith(open.trimEnd()));
}

/** Behind its tag, what every reader of calls takes. */
function probedCalls({ calls: [format] }: AnswerFormat): CallsText {
  const { open = "", close = "" } = format ?? {};
  return { ...JSON_CALLS, before: /^[[{]?$/.test(open.trim()) ? "" : open, after: close };
}

/** A template of no known family: what it puts before calls. */
function probedFormat({ toolCallTag }: TemplateTraits): AnswerFormat {
  const json = { open: toolCallTag, close: "", syntaxes: ["json"] } as const;
  if (toolCallTag !== "<tool_call>") return { calls: [json] };
  const close = "</tool_call>";
  return { calls: [{ open: toolCallTag, close, syntaxes: ["json", "xml", "pairs"] }] };
}

function callable(tool: Tool): CallableTool {
  const { name, parameters } = tool.function;
  return { name, parameters };
}

/** How the chunks of one answer are made. */
export interface ChunkOptions {
  /** Letters and digits for tool-call ids. */
  readonly drawId: () => string;
  readonly wantsLogprobs: boolean;
  /** Further calls are left out. */
  readonly toolCallsMax: number;
}

/** Pieces of one answer as the chunks its reader gets; numbers its tool calls. */
export class AnswerChunks {
  readonly #options: ChunkOptions;
  #toolCallCount = 0;

  constructor(options: ChunkOptions) {
    this.#options = options;
  }

  /** Undefined when there is nothing to show. */
  text(pieces: readonly AnswerPiece[], tokens: readonly AnswerToken[]): AnswerChunk | undefined {
    const logprobs = this.#options.wantsLogprobs ? tokens.flatMap(logprobRow) : [];
    if (pieces.length === 0 && logprobs.length === 0) return undefined;
    let content = "";
    let thinking = "";
    const toolCalls: ToolCall[] = [];
    for (const piece of pieces) {
      if (piece.kind === "content") content += piece.text;
      else if (piece.kind === "thinking") thinking += piece.text;
      else if (this.#toolCallCount < this.#options.toolCallsMax) {
        toolCalls.push(this.#identified(piece.call));
      }
    }
    return {
      kind: "text",
      content,
      ...(thinking === "" ? {} : { thinking }),
      ...(toolCalls.length === 0 ? {} : { toolCalls }),
      ...(logprobs.length === 0 ? {} : { logprobs }),
    };
  }

  #identified(call: ToolCall): ToolCall {
    return { ...call, id: `call_${this.#options.drawId()}`, index: this.#toolCallCount++ };
  }
}

/** The last chunk. `totalMs` is what the whole request took. */
export function doneChunk(
  report: AnswerReport,
  { totalMs, volatileLines }: {
    readonly totalMs: number;
    readonly volatileLines?: LineChanges | undefined;
  },
): AnswerChunk {
  const { end } = report;
  return {
    kind: "done",
    // A reader must be able to tell an answer that was cut for repeating itself from a whole one.
    doneReason: end === "length" || end === "repetition" ? "length" : "stop",
    ...(report.stopString === undefined ? {} : { stopString: report.stopString }),
    metrics: {
      totalNs: Math.max(0, Math.round(totalMs * 1e6)),
      loadNs: report.loadNs,
      promptEvalCount: report.promptTokens,
      promptCachedCount: report.cachedTokens,
      ...(report.prefix === undefined ? {} : { prefix: report.prefix }),
      ...(volatileLines === undefined ? {} : { volatileLines }),
      promptEvalNs: report.promptNs,
      evalCount: report.answerTokens,
      evalNs: report.answerNs,
      ...(report.drafts === undefined ? {} : { drafts: report.drafts }),
    },
    context: report.context,
  };
}

function logprobRow(token: AnswerToken): TokenLogprobRow[] {
  if (token.logprob === undefined) return [];
  const decoder = new TextDecoder();
  const top = token.topLogprobs?.map(({ bytes, logprob }) => ({
    token: decoder.decode(bytes),
    bytes,
    logprob,
  }));
  return [{
    token: decoder.decode(token.bytes),
    bytes: token.bytes,
    logprob: token.logprob,
    ...(top === undefined || top.length === 0 ? {} : { topLogprobs: top }),
  }];
}
