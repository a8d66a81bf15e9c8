import type { CallPiece, CallSource } from "./call_source.ts";
import { partialMatchLength } from "./text_search.ts";

/** Takes literals out of a text, with the white space behind each. */
export class LiteralFilter implements CallSource {
  readonly #literals: readonly string[];
  #held = "";
  #isBehindLiteral = false;

  constructor(literals: readonly string[]) {
    this.#literals = literals;
  }

  push(text: string): readonly CallPiece[] {
    this.#held += text;
    let shown = "";
    for (;;) {
      if (this.#isBehindLiteral) this.#held = this.#held.trimStart();
      if (this.#held === "") break;
      this.#isBehindLiteral = false;
      const first = this.#firstLiteral();
      if (first === undefined) {
        const held = Math.max(
          ...this.#literals.map((mark) => partialMatchLength(this.#held, mark)),
        );
        shown += this.#held.slice(0, this.#held.length - held);
        this.#held = this.#held.slice(this.#held.length - held);
        break;
      }
      shown += this.#held.slice(0, first.at);
      this.#held = this.#held.slice(first.at + first.length);
      this.#isBehindLiteral = true;
    }
    return shown === "" ? [] : [{ kind: "content", text: shown }];
  }

  flush(): readonly CallPiece[] {
    const text = this.#held;
    this.#held = "";
    return text === "" ? [] : [{ kind: "content", text }];
  }

  #firstLiteral(): { readonly at: number; readonly length: number } | undefined {
    const found = this.#literals.map((mark) => ({
      at: this.#held.indexOf(mark),
      length: mark.length,
    })).filter(({ at }) => at !== -1);
    return found.sort((a, b) => a.at - b.at || b.length - a.length)[0];
  }
}
