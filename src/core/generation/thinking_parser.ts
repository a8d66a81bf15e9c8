import { assert } from "../../base/mod.ts";
import { partialMatchLength } from "../tool_calls/mod.ts";

/** The literal texts around a model's thinking, e.g. `<think>` and `</think>`. Neither is empty. */
export interface ThinkingTags {
  readonly open: string;
  readonly close: string;
}

/** A piece of the answer that is either thinking or not. Never empty. */
export interface ThinkingPiece {
  readonly kind: "thinking" | "content";
  readonly text: string;
}

/**
 * Splits an answer into thinking and content. Thinking can only come first: optional white space, the opening tag,
 * thinking, the closing tag, content. White space next to the tags belongs to neither side.
 */
export class ThinkingParser {
  readonly #tags: ThinkingTags;
  /** `opening` and `closing`: a tag was passed and the white space after it is being skipped. */
  #phase: "before" | "opening" | "thinking" | "closing" | "content";
  /** Invariant: text not yet given out, in order; "" in phase `content`. */
  #held = "";

  /** `startsInside`: the prompt already ends with the opening tag. */
  constructor(tags: ThinkingTags, options: { readonly startsInside: boolean }) {
    this.#tags = tags;
    this.#phase = options.startsInside ? "opening" : "before";
  }

  /** True once everything that follows is content. */
  get inContent(): boolean {
    return this.#phase === "content";
  }

  push(text: string): readonly ThinkingPiece[] {
    this.#held += text;
    const pieces: ThinkingPiece[] = [];
    while (this.#advance(pieces));
    return pieces;
  }

  /** Gives out what was held back in case a tag would come. */
  flush(): readonly ThinkingPiece[] {
    const text = this.#held;
    const isContent = this.#phase === "content";
    assert(!isContent || text === "", "Content is given out at once", { held: text.length });
    this.#held = "";
    if (text === "" || this.#phase === "opening" || this.#phase === "closing") return [];
    if (this.#phase === "before") this.#phase = "content";
    return [{ kind: this.#phase === "thinking" ? "thinking" : "content", text }];
  }

  /** One step; false when more text is needed. */
  #advance(pieces: ThinkingPiece[]): boolean {
    if (this.#held === "") return false;
    switch (this.#phase) {
      case "before":
        return this.#lookForOpening();
      case "opening":
        return this.#skipSpace("thinking");
      case "thinking":
        return this.#think(pieces);
      case "closing":
        return this.#skipSpace("content");
      case "content":
        pieces.push({ kind: "content", text: this.#held });
        this.#held = "";
        return false;
    }
  }

  #lookForOpening(): boolean {
    const trimmed = this.#held.trimStart();
    if (trimmed.startsWith(this.#tags.open)) {
      this.#held = trimmed.slice(this.#tags.open.length);
      this.#phase = "opening";
      return true;
    }
    if (this.#tags.open.startsWith(trimmed)) return false;
    this.#phase = "content";
    return true;
  }

  #skipSpace(next: "thinking" | "content"): boolean {
    this.#held = this.#held.trimStart();
    if (this.#held === "") return false;
    this.#phase = next;
    return true;
  }

  #think(pieces: ThinkingPiece[]): boolean {
    const end = this.#held.indexOf(this.#tags.close);
    if (end !== -1) {
      const text = this.#held.slice(0, end).trimEnd();
      if (text !== "") pieces.push({ kind: "thinking", text });
      this.#held = this.#held.slice(end + this.#tags.close.length);
      this.#phase = "closing";
      return true;
    }
    const open = this.#held.length - partialMatchLength(this.#held, this.#tags.close);
    // White space before a tag is dropped, so it must wait until it is known that no tag follows.
    const text = this.#held.slice(0, open).trimEnd();
    if (text !== "") pieces.push({ kind: "thinking", text });
    this.#held = this.#held.slice(text.length);
    return false;
  }
}
