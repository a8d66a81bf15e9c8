/** What the keyboard sent, as far as the conversation itself cares; everything else is for the line editor. */
export type KeyToken =
  | { readonly kind: "keys"; readonly text: string }
  | { readonly kind: "enter" | "soft_enter" | "interrupt" | "end" | "editor" | "suspend" };

const PASTE_BEGIN = "\x1b[200~";
const PASTE_END = "\x1b[201~";

const CONTROLS: Readonly<Record<string, Exclude<KeyToken["kind"], "keys">>> = {
  "\x03": "interrupt",
  "\x04": "end",
  "\x07": "editor",
  "\x1a": "suspend",
  "\r": "enter",
  "\n": "soft_enter",
};

/** Cuts terminal input into tokens. Text pasted in brackets never sends, however many lines it has. */
export class KeyTokenizer {
  #rest = "";
  #place: "typed" | "pasted" = "typed";

  /** Takes the next piece of input, however it was cut. */
  push(text: string): KeyToken[] {
    const tokens: KeyToken[] = [];
    let open = this.#rest + text;
    this.#rest = "";
    while (open !== "") {
      const marker = this.#place === "typed" ? PASTE_BEGIN : PASTE_END;
      const at = open.indexOf(marker);
      const end = at < 0 ? open.length - this.#unfinishedLength(open, marker) : at;
      const part = open.slice(0, end);
      tokens.push(...this.#place === "typed" ? typedTokens(part) : pastedTokens(part));
      if (at < 0) {
        this.#rest = open.slice(end);
        break;
      }
      this.#place = this.#place === "typed" ? "pasted" : "typed";
      open = open.slice(at + marker.length);
    }
    return tokens;
  }

  /**
   * Characters at the end that only the next piece explains: the beginning of `marker`, or of a pasted line end of two
   * characters. An Escape pressed alone waits with them, which costs nothing: by itself it does nothing.
   */
  #unfinishedLength(text: string, marker: string): number {
    if (this.#place === "pasted" && text.endsWith("\r")) return 1;
    for (let length = marker.length - 1; length > 0; length--) {
      if (text.endsWith(marker.slice(0, length))) return length;
    }
    return 0;
  }
}

function typedTokens(text: string): KeyToken[] {
  const tokens: KeyToken[] = [];
  let keys = "";
  const flush = () => {
    if (keys !== "") tokens.push({ kind: "keys", text: keys });
    keys = "";
  };
  for (const char of text) {
    const kind = CONTROLS[char];
    if (kind === undefined) keys += char;
    else {
      flush();
      tokens.push({ kind });
    }
  }
  flush();
  return tokens;
}

function pastedTokens(text: string): KeyToken[] {
  return text.split(/\r\n|\r|\n/).flatMap((line, index) => {
    // Control characters in pasted text would move the cursor or worse.
    // deno-lint-ignore no-control-regex
    const keys = line.replaceAll("\t", "  ").replaceAll(/[\x00-\x1f\x7f]/g, "");
    const typed: KeyToken[] = keys === "" ? [] : [{ kind: "keys", text: keys }];
    return index === 0 ? typed : [{ kind: "soft_enter" } as const, ...typed];
  });
}
