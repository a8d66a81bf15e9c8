/** What a complete input is. */
export type ReplInput =
  | { readonly kind: "message"; readonly text: string }
  /** A line that starts with a slash, without what a block added to it. */
  | { readonly kind: "command"; readonly text: string };

/** How a line ended: by Enter, or by Ctrl-J or a line end inside pasted text, which never sends. */
export type LineEnding = "enter" | "soft";

const FENCE = '"""';
/** `/set system """` opens a block for the system text. */
const SYSTEM_BLOCK = /^(\/set\s+system\s+)"""/i;
/** A path such as /tmp/photo.png is a message, not a command. */
const COMMAND = /^\/[a-z?]*(\s|$)/i;

/** Puts typed lines together to messages and commands. A pure state machine: no terminal, no clock. */
export class LineAssembler {
  #lines: string[] = [];
  /** Before the block's text: "" for a message, `/set system ` for a command. */
  #head: string | undefined;

  /** Whether the next line continues an input. */
  get isContinuing(): boolean {
    return this.#head !== undefined || this.#lines.length > 0;
  }

  /** Takes one line; returns the input it completes, if any. */
  push(line: string, ending: LineEnding): ReplInput | undefined {
    if (this.#head !== undefined) return this.#pushToBlock(line, ending);
    if (this.#lines.length === 0) {
      const head = line.startsWith(FENCE) ? "" : SYSTEM_BLOCK.exec(line)?.[1];
      if (head !== undefined) {
        this.#head = head;
        return this.#pushToBlock(line.slice(head.length + FENCE.length), ending);
      }
    }
    this.#lines.push(line);
    if (ending === "soft") return undefined;
    const text = this.#take();
    if (text.trim() === "") return undefined;
    return COMMAND.test(text) ? { kind: "command", text: text.trim() } : { kind: "message", text };
  }

  /** Forgets an unfinished input. */
  clear(): void {
    this.#head = undefined;
    this.#lines = [];
  }

  #pushToBlock(line: string, ending: LineEnding): ReplInput | undefined {
    const bare = line.trimEnd();
    if (!bare.endsWith(FENCE)) {
      this.#lines.push(line);
      return undefined;
    }
    this.#lines.push(bare.slice(0, -FENCE.length));
    const head = this.#head ?? "";
    this.#head = undefined;
    const text = this.#take().replace(/^\n|\n$/g, "");
    if (head !== "") return { kind: "command", text: head + text };
    if (ending === "soft") {
      // Pasted text may go on after its block.
      this.#lines.push(text);
      return undefined;
    }
    return text.trim() === "" ? undefined : { kind: "message", text };
  }

  #take(): string {
    const text = this.#lines.join("\n");
    this.#lines = [];
    return text;
  }
}
