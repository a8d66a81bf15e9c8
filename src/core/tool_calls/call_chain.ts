import type { CallableTool, CallFormat } from "./call_format.ts";
import { CallBlockParser } from "./call_block_parser.ts";
import type { CallPiece, CallSource } from "./call_source.ts";
import { LiteralFilter } from "./literal_filter.ts";
import { ToolCallParser } from "./tool_call_parser.ts";
import { ToolNames } from "./tool_names.ts";

/** All the ways in which a model writes calls. */
interface CallFormats {
  /** Each looked for in what the ones before it left. */
  readonly calls: readonly CallFormat[];
  /** Literals that are taken out of what is left. */
  readonly noise?: readonly string[];
}

/**
 * Several ways of writing calls after one another: each looks at the content that the ones before it left. Calls keep the
 * place they have in the text.
 */
export class CallChain implements CallSource {
  readonly #stages: readonly CallSource[];

  constructor(format: CallFormats, tools: readonly CallableTool[]) {
    const names = new ToolNames(tools);
    const noise = format.noise ?? [];
    this.#stages = [
      ...format.calls.map((call) => sourceOf(call, names)),
      ...noise.length === 0 ? [] : [new LiteralFilter(noise)],
    ];
  }

  push(text: string): readonly CallPiece[] {
    return this.#feed([{ kind: "content", text }], 0);
  }

  flush(): readonly CallPiece[] {
    const pieces: CallPiece[] = [];
    this.#stages.forEach((stage, index) => {
      pieces.push(...this.#feed(stage.flush(), index + 1));
    });
    return pieces;
  }

  #feed(pieces: readonly CallPiece[], from: number): readonly CallPiece[] {
    const stage = this.#stages[from];
    if (stage === undefined) return pieces;
    return pieces.flatMap((piece) => {
      if (piece.kind === "content") return this.#feed(stage.push(piece.text), from + 1);
      // Nothing before a call can be completed by what follows it.
      return [...this.#feed(stage.flush(), from + 1), ...this.#feed([piece], from + 1)];
    });
  }
}

function sourceOf(format: CallFormat, tools: ToolNames): CallSource {
  const isJson = format.syntaxes.every((syntax) => syntax === "json");
  return isJson ? new ToolCallParser(format, tools) : new CallBlockParser(format, tools);
}
