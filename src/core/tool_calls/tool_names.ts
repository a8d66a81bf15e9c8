import type { CallableTool } from "./call_format.ts";

/** Tools by the names that models give them. */
export class ToolNames {
  readonly #tools: ReadonlyMap<string, CallableTool>;

  constructor(tools: Iterable<CallableTool>) {
    this.#tools = new Map([...tools].map((tool) => [tool.name, tool]));
  }

  /** The tool meant by a word: its name, or `functions.name:0` and the like. */
  find(word: string): CallableTool | undefined {
    const exact = this.#tools.get(word);
    if (exact !== undefined) return exact;
    const bare = word.replace(/^(functions|default_api|tools)\./, "").replace(/:\d*$/, "");
    return this.#tools.get(bare);
  }
}
