import type { AnswerReport } from "../core/answers/mod.ts";
import type { AnswerPiece } from "../core/generation/mod.ts";
import type { AnswerChunk, TokenLogprobRow } from "../ports/mod.ts";
import type { AnswerToken, ToolCall } from "../protocol/mod.ts";

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
export function doneChunk(report: AnswerReport, totalMs: number): AnswerChunk {
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
      promptEvalNs: report.promptNs,
      evalCount: report.answerTokens,
      evalNs: report.answerNs,
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
